"""Texts that a model writes: from numbers to letters, as they come."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from graphdsl.data import STRANGE, MuLaw, Tokeniser, Vocabulary
from graphdsl.ir import Domain, SettingError
from graphdsl.lang import Spec
from graphdsl.learn import DRAWN, GREEDY, SAMPLE, Done, Sampling, Writer, heads, samplings
from graphdsl.model.supply import Supply
from graphdsl.report import dataclass, fail, write_whole
from graphdsl.runtime import Executor

SAMPLES = "samples.txt"
TAIL = 8
"""Pieces before a new one that say how it is joined on: a blank before a word, none before a comma."""
HELD = 4
"""Bytes of one character at most, which come one by one."""


@dataclass(frozen=True)
class Author:
    """A model that writes texts.

    vocabulary  what the numbers that it reads and writes stand for
    """

    writer: Writer
    vocabulary: Vocabulary

    def text(self, sampling: Sampling, temperature: float) -> Iterator[str]:
        """What comes after the start, a few characters at a time. Raises E0619 where the start cannot be read."""
        numbers = self._start(sampling.start)
        drawn = self.writer.numbers(numbers, sampling.draw(temperature), sampling.seed, self._meaningless)
        made = (next(drawn) for _ in range(sampling.length))
        return until(sampling.stop, spelled(self.vocabulary, numbers, made))

    @property
    def how(self) -> str:
        """How it reads what it wrote, in words."""
        return self.writer.how

    @property
    def _meaningless(self) -> list[int]:
        """The numbers that are never written: of padding, of what is unknown or has no name."""
        return [n for n in range(self.writer.heads.classes) if self.vocabulary.decode([n]) in ("", STRANGE)]

    def _start(self, text: str) -> list[int]:
        """A text that begins with nothing begins as a line does, or else after the piece of number 0."""
        words = self.vocabulary
        try:
            found = [int(n) for piece in cut(words, text) for n in words.numbers(piece)]
            line = [int(n) for n in words.encode("\n") if n != words.unknown] if not found else []
        except KeyError as error:
            if text:
                raise fail("E0619", f"the model does not know `{error.args[0]}`, which the start holds") from error
            found, line = [], []
        return found or line or [0]


def cut(words: Vocabulary, text: str) -> Iterator[list[str]]:
    """The pieces of a text, among them marks of several letters that the vocabulary holds as one, such as `<s>`."""
    apart = [token for token in words.tokens if token and words.unit.cut(token) != [token]]
    marks = [token for token in apart if words.decode(words.numbers([token])) == token]
    for part in re.split(f"({'|'.join(map(re.escape, marks))})", text) if marks else [text]:
        yield [part] if part in marks else words.unit.cut(part)


def spelled(words: Vocabulary, before: Sequence[int], numbers: Iterator[int]) -> Iterator[str]:
    """The text of numbers that come one by one, joined on to those before."""
    seen, held = list(before[-TAIL:]), list[int]()
    for number in numbers:
        held.append(number)
        old, new = words.decode(seen), words.decode([*seen, *held])
        if new.endswith(STRANGE) and len(held) < HELD:
            continue
        yield new[len(old) :]
        seen, held = [*seen, *held][-TAIL:], []


def until(stop: str, pieces: Iterator[str]) -> Iterator[str]:
    """The pieces before the text stop, if it comes. What may be its beginning is held back until that is known."""
    held = ""
    for piece in pieces:
        held += piece
        if stop and stop in held:
            yield from filter(None, [held[: held.index(stop)]])
            return
        sure = len(held) - next((n for n in range(min(len(stop) - 1, len(held)), 0, -1) if held.endswith(stop[:n])), 0)
        yield from filter(None, [held[:sure]])
        held = held[sure:]
    yield from filter(None, [held])


@dataclass(frozen=True)
class Writing:
    """A model as one that writes.

    supply    knows what the numbers of inputs stand for, when data or weights have told
    executor  gives the weights, which are made when they are first needed
    Raises E0612, E0619 where a sample section asks for what the model cannot do.
    """

    spec: Spec
    supply: Supply
    executor: Callable[[], Executor]

    def __post_init__(self) -> None:
        for sampling in samplings(self.spec):
            heads(self.spec, sampling.says, sampling.span)

    def spell(self, names: Sequence[str]) -> set[str]:
        """Lets these be what numbers stand for, where an input has as many and training would have learned them.

        Gives the inputs.
        """
        recipes = [(name, recipe) for name, recipe in self.supply.preprocess.items() if name in self.spec.inputs]
        cut = {name: r for name, r in recipes if isinstance(r.steps[0], Tokeniser) and "tokens" in r.steps[0].learns}
        fitting = {name for name in cut if self.spec.inputs[name].type.kind.classes == len(names)}
        self.supply.states |= {cut[name].keys[0]: {"tokens": tuple(names)} for name in fitting}
        return fitting

    def samplings(self, settings: Mapping[str, Any]) -> tuple[Sampling, ...]:
        """The sample sections, or what one would be; with settings the first one, changed by these."""
        found = samplings(self.spec) or (Sampling(),)
        return (changed(found[0], settings),) if settings else found

    def author(self, sampling: Sampling) -> Author:
        """Who writes by a sample section. Raises E0409, E0619 where the model cannot write."""
        head = heads(self.spec, sampling.says, sampling.span)
        known = self.supply.vocabularies
        if head.reads not in known:
            message = f"nothing says what the numbers of `{head.reads}` stand for"
            help = f"write `preprocess = {head.reads} -> characters`, and train it or import its vocabulary"
            steps = self.supply.preprocess[head.reads].steps if head.reads in self.supply.preprocess else ()
            if steps and isinstance(steps[-1], MuLaw):
                message = f"the numbers of `{head.reads}` stand for sound, and no letters"
                help = "name a file for it: `graphdsl sample … -o made.wav`"
            raise fail("E0619", message, self.spec.inputs[head.reads].span, help=help)
        return Author(Writer(self.spec, self.executor(), head), known[head.reads])

    def text(self, start: str, settings: Mapping[str, Any]) -> Iterator[str]:
        """What comes after start."""
        (sampling,) = self.samplings({"start": start, **settings})
        return self.author(sampling).text(sampling, sampling.temperatures[0])

    def demand(self) -> None:
        """Raises before a training what would keep its texts from being written: E0409, E0619."""
        for sampling in samplings(self.spec):
            self.author(sampling)

    def left(self, done: Done) -> Done:
        """A run that is done, with the texts of all sample sections in its folder, if it has one."""
        texts = [
            f"# {s.name}, {s.draw(t).title}\n{s.start}{''.join(author.text(s, t))}\n"
            for s in (samplings(self.spec) if done.folder is not None else ())
            for author in [self.author(s)]
            for t in s.temperatures
        ]
        if done.folder is not None and texts:
            write_whole(done.folder / SAMPLES, "\n".join(texts).encode())
        return done


def changed(sampling: Sampling, settings: Mapping[str, Any]) -> Sampling:
    """The same with other settings, as a program gives them. Raises E0618."""
    checked = {name: _checked(name, value) for name, value in settings.items()}
    drawn = [name for name in DRAWN if name in settings]
    if checked.get("method") == GREEDY and drawn:
        raise fail("E0618", f"`method={GREEDY}` takes the likeliest, and `{drawn[0]}` is for what is drawn")
    if checked.get("method") == GREEDY:
        sampling = replace(sampling, temperatures=(1.0,))
    temperatures = checked.pop("temperature", sampling.temperatures)
    return replace(sampling, temperatures=temperatures, **checked)


def _checked(name: str, value: Any) -> Any:
    key = SAMPLE.setting(name)
    if key is None or not isinstance(key.takes, Domain):
        raise fail(
            "E0618", f"there is no setting `{name}`", help=f"there are {', '.join(s.name for s in SAMPLE.settings)}"
        )
    try:
        return key.takes.accept(tuple(value) if isinstance(value, list) else value)
    except SettingError as error:
        raise fail("E0618", f"`{name}` {error.message}") from error
