"""Texts as numbers, and numbers as texts."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from graphdsl.data.column import Array
from graphdsl.report import dataclass

PADDING = "<pad>"
UNKNOWN = "<unknown>"
STRANGE = "\N{REPLACEMENT CHARACTER}"
"""What a number without a meaning reads as."""

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_BEFORE = re.compile(r" ([.,!?;:%)\]}…])")
_BEHIND = re.compile(r"([(\[{]) ")


class Unit(ABC):
    """What a text is cut into. Concrete ones are frozen dataclasses."""

    @abstractmethod
    def cut(self, text: str) -> list[str]:
        """The pieces of a text, in order."""

    @abstractmethod
    def join(self, pieces: Iterable[str]) -> str:
        """A text of these pieces."""


@dataclass(frozen=True)
class Words(Unit):
    """Words, apostrophes inside them kept, and punctuation marks one by one."""

    lower: bool = True

    def cut(self, text: str) -> list[str]:
        return _WORD.findall(text.lower() if self.lower else text)

    def join(self, pieces: Iterable[str]) -> str:
        """With blanks between, but for those that punctuation does not have."""
        return _BEHIND.sub(r"\1", _BEFORE.sub(r"\1", " ".join(pieces)))


@dataclass(frozen=True)
class Characters(Unit):
    """Characters one by one."""

    lower: bool = False

    def cut(self, text: str) -> list[str]:
        return list(text.lower() if self.lower else text)

    def join(self, pieces: Iterable[str]) -> str:
        return "".join(pieces)


@dataclass(frozen=True)
class Bytes(Unit):
    """The bytes of a text in UTF-8, each as the character of its number."""

    def cut(self, text: str) -> list[str]:
        return list(text.encode("utf-8", "replace").decode("latin-1"))

    def join(self, pieces: Iterable[str]) -> str:
        """Bytes that are no UTF-8 become a sign that says so."""
        return "".join(pieces).encode("latin-1", "replace").decode("utf-8", "replace")


@dataclass(frozen=True)
class Names(Unit):
    """A text is one piece: the name of a class or category."""

    def cut(self, text: str) -> list[str]:
        return [text]

    def join(self, pieces: Iterable[str]) -> str:
        return ", ".join(pieces)


@dataclass(frozen=True)
class Vocabulary:
    """Pieces of text by number.

    tokens    the piece each number stands for
    unit      how texts are cut
    unknown   the number of pieces that are none of them; None where there must be none
    """

    tokens: tuple[str, ...]
    unit: Unit
    unknown: int | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> Array:
        """int64 [pieces]. Raises KeyError, of the piece, where one is unknown and must not be."""
        return self.numbers(self.unit.cut(text))

    def numbers(self, pieces: Sequence[str]) -> Array:
        """int64 [pieces]: the number of each. Raises KeyError as encode does."""
        known, unknown = self._numbers, self.unknown
        if unknown is None:
            return np.array([known[piece] for piece in pieces], np.int64)
        return np.array([known.get(piece, unknown) for piece in pieces], np.int64)

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of these numbers. Padding is left out; what stands for nothing known is shown as such."""
        return self.unit.join(self.token(int(number)) for number in numbers if not self.pads(int(number)))

    def token(self, number: int) -> str:
        """The piece that a number stands for."""
        inside = 0 <= number < len(self.tokens) and number != self.unknown
        return self.tokens[number] if inside else STRANGE

    def pads(self, number: int) -> bool:
        """Whether the number fills up what is too short."""
        return number == 0 and self.tokens[:1] == (PADDING,)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}


def frequent(pieces: Iterable[str], most: int, least: int = 1) -> list[str]:
    """The most frequent pieces, at most so many and each there at least so often; equally frequent ones in the order
    of their characters."""
    counts = Counter(pieces)
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [piece for piece, count in ranked[: max(0, most)] if count >= least]
