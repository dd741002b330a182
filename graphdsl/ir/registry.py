"""Words of the language: layers, losses, metrics, readers …, each kind in a registry, each entry with a signature.

A signature is read off a Python function (or a frozen dataclass): annotations give the domains, defaults the defaults,
the docstring the page that `graphdsl ops NAME` shows. So a word is defined in one place.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from functools import partial
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from graphdsl.ir.builder import Builder
from graphdsl.ir.domain import (
    Domain,
    Either,
    EntryOf,
    FlagDomain,
    Made,
    Many,
    NoneDomain,
    Real,
    TensorDomain,
    TextDomain,
    Whole,
)
from graphdsl.ir.graph import Value
from graphdsl.report import dataclass

REQUIRED: Any = inspect.Parameter.empty
"""The default of a setting that must be given."""

F = TypeVar("F", bound=Callable[..., Any])

OneOrMore = Annotated[tuple[Value, ...], "one or more"]
"""The annotation of an operand that is a list of tensors, or one tensor alone; `tuple[Value, ...]` takes lists only."""


@dataclass(frozen=True)
class Setting:
    """One setting: its name, what it may be, and its default (REQUIRED when there is none)."""

    name: str
    domain: Domain
    default: Any = REQUIRED


@dataclass(frozen=True)
class Entry:
    """A word of the language.

    operands  how many tensors flow in: names of the Value parameters; ("*",) takes a list of any number,
              ("+",) one tensor alone as well
    settings  in the order in which they may be given without a name
    make      the function behind it; a layer is called as make(builder, *tensors, **settings), others as
              make(**settings)
    """

    kind: str
    name: str
    operands: tuple[str, ...]
    settings: tuple[Setting, ...]
    doc: str
    make: Callable[..., Any] = field(compare=False)

    def setting(self, name: str) -> Setting | None:
        return next((s for s in self.settings if s.name == name), None)

    @property
    def example(self) -> str:
        """A call of it that its text shows, `conv(16, 3)`; empty where there is none."""
        found = re.search(rf"(?<=`){re.escape(self.name)}\([^()`]+\)(?=`)", self.doc)
        return found[0] if found else ""

    @property
    def variadic(self) -> bool:
        return self.operands[:1] in (("*",), ("+",))


class Registry(Mapping[str, Entry]):
    """The entries of one kind, by name. A signature is read when its word is first used: most specs use few words."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry | Callable[[], Entry]] = {}

    def register(self, name: str = "") -> Callable[[F], F]:
        """Decorator: adds a function or a frozen dataclass under its name (or the one given)."""

        def add(make: F) -> F:
            word = name or make.__name__
            self._put(word, partial(entry_of, self.kind, word, make))
            return make

        return add

    def add(self, entry: Entry) -> None:
        self._put(entry.name, entry)

    def _put(self, name: str, entry: Entry | Callable[[], Entry]) -> None:
        if name in self._entries:
            raise AssertionError(f"two entries of {self.kind} are called {name}")
        self._entries[name] = entry

    def build(self, made: Made) -> Any:
        """What a Made record of this kind stands for: the entry's function called with its settings."""
        return self[made.name].make(**made.settings)

    def __getitem__(self, name: str) -> Entry:
        found = self._entries[name]
        if not isinstance(found, Entry):
            found = self._entries[name] = found()
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def entry_of(kind: str, name: str, make: Callable[..., Any]) -> Entry:
    """Reads the signature of a function.

    Parameters annotated Value are operands, one annotated tuple[Value, ...] takes a list; Builder parameters are
    supplied.
    """
    hints = get_type_hints(make, include_extras=True)
    operands: list[str] = []
    settings: list[Setting] = []
    for parameter in inspect.signature(make).parameters.values():
        hint = hints.get(parameter.name, Any)
        if hint is Builder:
            continue
        if hint is Value:
            operands.append(parameter.name)
        elif hint == tuple[Value, ...]:
            operands.append("*")
        elif hint == OneOrMore:
            operands.append("+")
        else:
            settings.append(Setting(parameter.name, domain_of(hint), parameter.default))
    return Entry(kind, name, tuple(operands), tuple(settings), inspect.cleandoc(make.__doc__ or ""), make)


def domain_of(hint: Any) -> Domain:
    """The domain an annotation stands for: Annotated[..., domain] first, then plain bool, int, float, str, X | None."""
    if get_origin(hint) is Annotated:
        plain, *extras = get_args(hint)
        return next((e for e in extras if isinstance(e, Domain)), None) or domain_of(plain)
    if get_origin(hint) in (Union, UnionType):
        return Either(tuple(domain_of(h) for h in get_args(hint)))
    if get_origin(hint) is tuple:
        return Many(domain_of(get_args(hint)[0]))
    if hint not in _PLAIN:
        raise AssertionError(f"no domain for the annotation {hint!r}")
    return _PLAIN[hint]


_PLAIN: dict[Any, Domain] = {
    bool: FlagDomain(),
    int: Whole(-(2**31), 2**31 - 1),
    float: Real(),
    str: TextDomain(),
    NoneType: NoneDomain(),
    Value: TensorDomain(),
}

LAYERS = Registry("layer")
LOSSES = Registry("loss")
INITIALIZERS = Registry("initializer")

Init = Annotated[Any, EntryOf("initializer")]
"""The annotation of a setting that takes an initialiser. The default is the Initializer itself."""


def layer(name: str = "") -> Callable[[F], F]:
    """Decorator: makes a function (builder, tensors, settings) -> Value or tuple of them a layer of the language."""
    return LAYERS.register(name)


def loss(name: str = "") -> Callable[[F], F]:
    """Decorator: makes a function (builder, prediction, target, settings) -> scalar Value a loss of the language."""
    return LOSSES.register(name)
