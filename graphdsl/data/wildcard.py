"""Whether a name fits a pattern, and what stands in its braces.

A pattern is a row of steps, and so a regular expression, which says it fast where little is wild. Every further wild
stretch multiplies what a regular expression tries on a name that does not fit: eight took the eighth power of its
length. Where there are more than FEW the steps are walked here, in the same order of preference; a step and a place in
the name that were met before have led nowhere, so nobody goes there again.

A short stretch before letters and another stretch of any length, as in `{age}_{race}_*.jpg`, does not count: it ends
where those letters are first met, and a later end would help nothing that follows.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property

from graphdsl.report import dataclass

FEW = 3
"""Wild stretches of a regular expression: three took 32 ms on the worst names of 255 letters that were tried."""
MOST_DIGITS = 18
DIGITS = re.compile(f"[0-9]{{1,{MOST_DIGITS}}}")
ANY = "."

Way = tuple[int, int]
"""How many steps and how many letters it goes on."""
LETTER, STAY, NEXT = (1, 1), (0, 1), (1, 0)


class Step(ABC):
    """One thing that a name must have. Concrete ones are frozen dataclasses."""

    @property
    @abstractmethod
    def expression(self) -> str:
        """As a regular expression has it."""

    @abstractmethod
    def ways(self, name: str, place: int) -> Sequence[Way]:
        """Where it leads from this place, the preferred way first; none where it does not fit."""


@dataclass(frozen=True)
class One(Step):
    """A letter. of: which, as a regular expression."""

    of: str

    @property
    def expression(self) -> str:
        return self.of

    @cached_property
    def _fits(self) -> re.Pattern[str]:
        return re.compile(self.of, re.DOTALL)

    def ways(self, name: str, place: int) -> Sequence[Way]:
        return [LETTER] if self._fits.match(name, place) else []


@dataclass(frozen=True)
class Many(Step):
    """Any letters: as many as can be, or where it is short as few as can be."""

    short: bool = False

    @property
    def expression(self) -> str:
        return ".*?" if self.short else ".*"

    def ways(self, name: str, place: int) -> Sequence[Way]:
        if place == len(name):
            return [NEXT]
        return [NEXT, STAY] if self.short else [STAY, NEXT]


@dataclass(frozen=True)
class Number(Step):
    """1 to MOST_DIGITS digits, as many as can be."""

    @property
    def expression(self) -> str:
        return DIGITS.pattern

    def ways(self, name: str, place: int) -> Sequence[Way]:
        found = DIGITS.match(name, place)
        return [(1, letters) for letters in range(len(found[0]) if found else 0, 0, -1)]


@dataclass(frozen=True)
class Mark(Step):
    """Where what a name in braces stands for begins, or ends."""

    brace: str
    end: bool = False

    @property
    def expression(self) -> str:
        return ")" if self.end else f"(?P<{self.brace}>"

    def ways(self, name: str, place: int) -> Sequence[Way]:
        return [NEXT]


@dataclass(frozen=True)
class Row:
    """The steps of a pattern."""

    steps: tuple[Step, ...]

    @cached_property
    def _expression(self) -> re.Pattern[str] | None:
        """None where too much is wild."""
        ends = [self._end(i) for i in range(len(self.steps))]
        pairs = list(zip(self.steps, ends, strict=True))
        if sum(isinstance(step, Many | Number) and not end for step, end in pairs) > FEW:
            return None
        told = (f"(?>{step.expression}(?={end}))" if end else step.expression for step, end in pairs)
        return re.compile("".join(told), re.DOTALL)

    def _end(self, at: int) -> str:
        """The letters at which a short stretch ends for good; empty where the step is another, or may go on."""
        rest = [step for step in self.steps[at + 1 :] if not isinstance(step, Mark)]
        count = next((i for i, step in enumerate(rest) if not isinstance(step, One)), len(rest))
        goes_on = count < len(rest) and isinstance(rest[count], Many)
        short = self.steps[at] == Many(short=True)
        return "".join(step.expression for step in rest[:count]) if short and goes_on else ""

    def fit(self, name: str) -> Mapping[str, str] | None:
        """The text of each name in braces; None where name does not fit."""
        if self._expression is None:
            return self.walked(name)
        found = self._expression.fullmatch(name)
        return found.groupdict() if found else None

    def walked(self, name: str) -> Mapping[str, str] | None:
        """The same, step by step, in time that grows with steps times letters."""
        waiting: list[tuple[int, int, tuple[int, ...]]] = [(0, 0, ())]
        met: set[Way] = set()
        while waiting:
            at, place, marks = waiting.pop()
            if at == len(self.steps) and place == len(name):
                return self._texts(name, marks)
            if at < len(self.steps) and (at, place) not in met:
                met.add((at, place))
                kept = (*marks, place) if isinstance(self.steps[at], Mark) else marks
                ways = self.steps[at].ways(name, place)
                waiting += [(at + go, place + letters, kept) for go, letters in reversed(ways)]
        return None

    def _texts(self, name: str, marks: Sequence[int]) -> dict[str, str]:
        braces = [step.brace for step in self.steps if isinstance(step, Mark) and not step.end]
        pairs = zip(marks[::2], marks[1::2], strict=True)
        return {brace: name[start:end] for brace, (start, end) in zip(braces, pairs, strict=True)}
