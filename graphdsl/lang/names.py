"""Which names mean what where, and how layers and weights get theirs.

The one naming rule: every definition is a scope of its name; every use of a layer, block, shared layer or model is a
scope of its word and a number, counted for each word from 1 inside the scope around it; the `out` of a block and the
outermost section-less text add nothing. A weight's name is the scopes around it and its own word:

    output class = image -> stage(64)      class/stage_1
    block stage(c) = in -> conv(c, 3)      class/stage_1/conv_1
                                           class/stage_1/conv_1/kernel

The weights of a shared layer live in the scope of its definition (`enc/lstm_1/kernel`), wherever it is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf

from graphdsl.lang import ast
from graphdsl.lang.refusal import refuse
from graphdsl.lang.values import Datum
from graphdsl.report import Label, Span, dataclass


@dataclass(frozen=True)
class Binding:
    """A name's meaning, where it was defined, and as the how-manieth of its table."""

    value: Datum
    span: Span
    order: int


class Names:
    """A table of names inside another. The outer one is seen as it was when this one began to be written.

    planned  where each name will be defined that the text defines here, first place first
    """

    def __init__(self, outer: Names | None = None, horizon: float = inf, planned: Iterable[ast.NameDef] = ()) -> None:
        self._outer = outer
        self._horizon = horizon
        self._bound: dict[str, Binding] = {}
        self._planned: dict[str, Span] = {}
        for name in planned:
            self._planned.setdefault(name.name, name.span)

    def __len__(self) -> int:
        return len(self._bound)

    @property
    def outermost(self) -> bool:
        """Whether this is the table of a file, inside no block and no section."""
        return self._outer is None

    def find(self, name: str, horizon: float = inf) -> Binding | None:
        """What name means here, among the first `horizon` definitions of this table."""
        binding = self._bound.get(name)
        if binding is not None and binding.order < horizon:
            return binding
        return self._outer.find(name, self._horizon) if self._outer is not None else None

    def planned(self, name: str) -> Span | None:
        """Where the text defines name, though perhaps too late."""
        here = self._planned.get(name)
        return here or (self._outer.planned(name) if self._outer is not None else None)

    def define(self, name: ast.NameDef, value: Datum) -> None:
        """Raises E0203 where name means something already, here or around."""
        self.demand_new(name)
        self.bind(name.name, value, name.span)

    def bind(self, name: str, value: Datum, span: Span) -> None:
        self._bound[name] = Binding(value, span, len(self._bound))

    def demand_new(self, name: ast.NameDef) -> None:
        """Raises E0203 where name means something already, here or around."""
        before = self.find(name.name)
        if before is None:
            return
        label = Label(before.span, "first defined here")
        raise refuse(
            "E0203", f"`{name.name}` is defined twice", name.span, labels=[label], help="give one of them another name"
        )

    def local(self) -> Iterator[tuple[str, Binding]]:
        """The names of this table alone, in order."""
        yield from self._bound.items()

    def visible(self) -> Iterator[tuple[str, Binding]]:
        """Every name that can be used here."""
        yield from self._before(inf)

    def _before(self, horizon: float) -> Iterator[tuple[str, Binding]]:
        yield from ((n, b) for n, b in self._bound.items() if b.order < horizon)
        if self._outer is not None:
            yield from self._outer._before(self._horizon)


class Scope:
    """Where the names of layers are counted. `weights` differs from `path` inside a shared layer."""

    __slots__ = ("_counts", "_taken", "path", "weights")

    def __init__(self, path: str = "", weights: str | None = None) -> None:
        self.path = path
        self.weights = path if weights is None else weights
        self._counts: dict[str, int] = {}
        self._taken: set[str] = set()

    def numbered(self, word: str) -> Scope:
        """A scope inside, called word and the next number."""
        number = self._counts.get(word, 0) + 1
        while f"{word}_{number}" in self._taken:
            number += 1
        self._counts[word] = number
        return self._inside(f"{word}_{number}")

    def named(self, name: str) -> Scope:
        """A scope inside, called name; with a number where that is taken."""
        return self.numbered(name) if name in self._taken else self._inside(name)

    def _inside(self, segment: str) -> Scope:
        self._taken.add(segment)
        return Scope(_join(self.path, segment), _join(self.weights, segment))


def _join(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name
