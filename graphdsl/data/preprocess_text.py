"""Steps of `preprocess` for texts and sequences: cut into words, characters or bytes, which become numbers; shortened,
filled up."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Annotated

import numpy as np

from graphdsl.data.column import Array, Column, Dense, Numerals, Ragged, Texts
from graphdsl.data.preprocess import STEPS, ColumnStep, Spelling, State, Use, cannot
from graphdsl.data.running import Running
from graphdsl.data.vocabulary import PADDING, UNKNOWN, Bytes, Characters, Unit, Vocabulary, Words, frequent
from graphdsl.data.wanted import Wanted
from graphdsl.ir import Choice, Count, Flag
from graphdsl.ir import Words as Text
from graphdsl.report import Failed, dataclass, fail

BYTES = 256
End = Annotated[str, Choice(("start", "end"))]


class Tokeniser(Spelling):
    """Makes numbers of the pieces of a text."""

    @property
    def learns(self) -> tuple[str, ...]:
        return ("tokens",)

    @property
    @abstractmethod
    def unit(self) -> Unit:
        """What texts are cut into."""

    @abstractmethod
    def tokens(self, pieces: Iterable[str], most: int) -> tuple[str, ...]:
        """What stands for these pieces, at most so many."""

    def suit(self, wanted: Wanted) -> None:
        if not wanted.sequence:
            message = f"{wanted.title} is {wanted.type.describe()}; texts become rows of whole numbers"
            raise cannot(message, f"declare `{wanted.role} {wanted.name}: int(10000)[T]`")

    def knows(self, state: State) -> bool:
        tokens = state.get("tokens", () if self.learns else ("",))
        return bool(tokens) and all(isinstance(token, str) for token in tokens)

    def fit(self, columns: Sequence[Column], uses: Sequence[Use]) -> State:
        pieces = chain.from_iterable(self._pieces(c, use) for c, use in zip(columns, uses, strict=True))
        return {"tokens": self.tokens(pieces, min(use.wanted.classes for use in uses))}

    def change(self, column: Column, state: State, use: Use) -> Column:
        vocabulary = self.vocabulary(state)
        if isinstance(column, Running):
            return column.numbered(vocabulary)
        texts = _texts(self, column, use)
        return Ragged.of([_numbers(vocabulary, text, i, use) for i, text in enumerate(texts)])

    def _pieces(self, column: Column, use: Use) -> Iterable[str]:
        if isinstance(column, Running):
            return column.pieces
        return chain.from_iterable(self.unit.cut(text) for text in _texts(self, column, use))


@STEPS.register("words")
@dataclass(frozen=True)
class WordsStep(Tokeniser):
    """Makes numbers of words, learned from the rows that are trained on: 0 is padding, 1 an unknown word, then words by
    falling frequency. A word is a run of letters and digits, with apostrophes inside it; punctuation marks are words of
    their own. A text without words is one unknown word.

    limit   numbers at most, the two first included; the n of `int(n)[T]` unless given
    lower   capital letters count as small ones
    least   how often a word must be there to be known
    """

    limit: Count | None = None
    lower: Flag = True
    least: Count = 1

    @property
    def unit(self) -> Unit:
        return Words(self.lower)

    def suit(self, wanted: Wanted) -> None:
        Tokeniser.suit(self, wanted)
        _fits("words", self.limit, wanted)

    def tokens(self, pieces: Iterable[str], most: int) -> tuple[str, ...]:
        return (PADDING, UNKNOWN, *frequent(pieces, min(most, self.limit or most) - 2, self.least))

    def vocabulary(self, state: State) -> Vocabulary:
        return Vocabulary(state["tokens"], self.unit, unknown=1)


@STEPS.register("characters")
@dataclass(frozen=True)
class CharactersStep(Tokeniser):
    """Makes numbers of characters.

    alphabet   the characters, from number 0 on; any other character in the data is a mistake. Without it those in the
               rows that are trained on are taken, in the order of their code points, from number 1 on, and 0 is padding
               and every other character
    limit      without an alphabet: numbers at most, for the most frequent characters; the n of `int(n)[T]` unless given
    lower      capital letters count as small ones
    """

    alphabet: Text | None = None
    limit: Count | None = None
    lower: Flag = False

    @property
    def learns(self) -> tuple[str, ...]:
        return () if self.alphabet is not None else ("tokens",)

    @property
    def unit(self) -> Unit:
        return Characters(self.lower)

    def suit(self, wanted: Wanted) -> None:
        Tokeniser.suit(self, wanted)
        _fits("characters", self.limit, wanted)
        _fits("characters", len(self.alphabet or ""), wanted)
        twice = next((c for c in self.alphabet or "" if (self.alphabet or "").count(c) > 1), None)
        if twice is not None or self.alphabet == "":
            said = f"has `{twice}` twice" if twice else "is empty"
            raise cannot(f"the alphabet of `characters` {said}", "name each character once")

    def tokens(self, pieces: Iterable[str], most: int) -> tuple[str, ...]:
        if self.alphabet is not None:
            return tuple(self.alphabet)
        return (UNKNOWN, *sorted(frequent(pieces, min(most, self.limit or most) - 1)))

    def vocabulary(self, state: State) -> Vocabulary:
        if self.alphabet is not None:
            return Vocabulary(self.tokens((), 0), self.unit)
        return Vocabulary(state["tokens"], self.unit, unknown=0)


@STEPS.register("bytes")
@dataclass(frozen=True)
class BytesStep(Tokeniser):
    """Makes numbers of the bytes of a text in UTF-8: `int(256)[T]`. Nothing is learned, and nothing is unknown."""

    @property
    def learns(self) -> tuple[str, ...]:
        return ()

    @property
    def unit(self) -> Unit:
        return Bytes()

    def suit(self, wanted: Wanted) -> None:
        Tokeniser.suit(self, wanted)
        _fits("bytes", BYTES, wanted)

    def tokens(self, pieces: Iterable[str], most: int) -> tuple[str, ...]:
        return tuple(map(chr, range(BYTES)))

    def vocabulary(self, state: State) -> Vocabulary:
        return Vocabulary(self.tokens((), BYTES), self.unit)


@STEPS.register("truncate")
@dataclass(frozen=True)
class Truncate(ColumnStep):
    """Shortens sequences to a length; shorter ones stay as they are.

    keep   which part is left: their `start` or their `end`
    """

    length: Count
    keep: End = "start"

    def suit(self, wanted: Wanted) -> None:
        _demand_axis("truncate", wanted)

    def change(self, column: Column, state: State, use: Use) -> Column:
        if isinstance(column, Dense) and column.shape:
            return Dense(self._kept(column.values, 1))
        if not isinstance(column, Ragged):
            raise _no_sequence("truncate", column, use)
        return Ragged.of([self._kept(row, 0) for row in _rows(column)])

    def _kept(self, values: Array, axis: int) -> Array:
        start = 0 if self.keep == "start" else max(0, values.shape[axis] - self.length)
        return values[start : start + self.length] if axis == 0 else values[:, start : start + self.length]


@STEPS.register("pad")
@dataclass(frozen=True)
class PadStep(ColumnStep):
    """Fills sequences up with 0 to one length, for inputs such as `int(10000)[200]`; free lengths, `int(10000)[T]`,
    need no such step. Longer ones are a mistake: put `truncate` before it.

    side   where the zeros stand: at the `end` or the `start`. They count as steps like any other
    """

    length: Count
    side: End = "end"

    def suit(self, wanted: Wanted) -> None:
        _demand_axis("pad", wanted)
        size = wanted.shape[0]
        if isinstance(size, int) and size != self.length:
            message = f"`pad` makes sequences of {self.length}, {wanted.title} takes `{wanted.type.describe()}`"
            raise cannot(message, f"write `pad({size})`")

    def change(self, column: Column, state: State, use: Use) -> Column:
        rows = _rows(column) if isinstance(column, Ragged) else _dense_rows("pad", column, use)
        for i, row in enumerate(rows):
            if len(row) > self.length:
                message = f"{use.place(i)} of `{use.column}` has {len(row)} steps, more than `pad({self.length})` makes"
                raise cannot(message, f"write `truncate({self.length})` before it")
        out = np.zeros((len(rows), self.length, *rows[0].shape[1:]), rows[0].dtype)
        for i, row in enumerate(rows):
            start = 0 if self.side == "end" else self.length - len(row)
            out[i, start : start + len(row)] = row
        return Dense(out)


# --- parts -----------------------------------------------------------------------------------------------------------


def tokeniser(steps: Sequence[object]) -> Tokeniser | None:
    """The first of these steps, where it cuts texts."""
    return steps[0] if steps and isinstance(steps[0], Tokeniser) else None


def _numbers(vocabulary: Vocabulary, text: str, row: int, use: Use) -> Array:
    pieces = vocabulary.unit.cut(text)
    if not pieces and vocabulary.unknown is not None:
        return np.array([vocabulary.unknown], np.int64)
    try:
        return vocabulary.numbers(pieces)
    except KeyError as error:
        message = f"{use.place(row)}: `{error.args[0]}` in `{use.column}` is no character of the alphabet"
        help = "add it to `characters`, or leave such rows out; without an alphabet it is learned from the data"
        raise fail("E0517", message, use.wanted.span, help=help) from error


def _rows(column: Ragged) -> list[Array]:
    return [column.values[a:b] for a, b in zip(column.starts, column.starts[1:], strict=False)]


def _dense_rows(step: str, column: Column, use: Use) -> list[Array]:
    if isinstance(column, Dense) and column.shape:
        return list(column.values)
    raise _no_sequence(step, column, use)


def _demand_axis(step: str, wanted: Wanted) -> None:
    if not wanted.shape:
        message = f"{wanted.title} is {wanted.type.describe()}; `{step}` is for sequences"
        raise cannot(message, f"leave `{step}` out, or declare a length: `[T]`")


def _fits(step: str, limit: int | None, wanted: Wanted) -> None:
    if limit is not None and limit > wanted.classes:
        message = f"`{step}` makes numbers below {limit}, {wanted.title} takes `{wanted.type.describe()}`"
        raise cannot(message, f"declare `int({limit})`")


def _texts(step: Tokeniser, column: Column, use: Use) -> Sequence[str]:
    """Digits that stand for a number are a text too, where they were written."""
    if isinstance(column, Texts):
        return column.values
    if isinstance(column, Numerals):
        return column.texts
    message = f"`preprocess` makes numbers of texts, the column `{use.column}` is {column.describe()}"
    help = f'leave the step out, or read it as texts (csv: `text=["{use.column}"]`)'
    raise fail("E0514", message, use.wanted.span, help=help)


def _no_sequence(step: str, column: Column, use: Use) -> Failed:
    message = f"`{step}` is for sequences, the column `{use.column}` is {column.describe()} at that point"
    return fail("E0514", message, use.wanted.span, help="cut texts first: `-> words -> …`")
