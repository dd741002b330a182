"""Values written as text and read back: settings of operators, types, sizes. A closed table; nothing is evaluated.

    value   number | "text" | true | false | none | (value, ...) | name(value, ..., name=value, ...)

Operators and initialisers are written as their name with the fields that differ from their defaults; other classes
register a Notation that says which values stand for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, fields
from typing import Any

from graphdsl.ir.dim import Dim, Symbolic, symbol
from graphdsl.ir.operator import OPERATORS, Operator
from graphdsl.ir.sources import INITIAL
from graphdsl.ir.types import DType, Kind, TensorType
from graphdsl.report import dataclass


class NotationError(ValueError):
    """A text that stands for nothing."""


@dataclass(frozen=True)
class Notation:
    """How values of a class are written: name(write(value)...); read makes the value again."""

    name: str
    type: type
    write: Callable[[Any], tuple[Any, ...]]
    read: Callable[..., Any]


NOTATIONS: dict[str, Notation] = {}


def notation(name: str, type: type, write: Callable[[Any], tuple[Any, ...]], read: Callable[..., Any]) -> None:
    """Adds a class to the table."""
    assert name not in NOTATIONS, f"two notations are called {name}"
    NOTATIONS[name] = Notation(name, type, write, read)


# --- writing ---------------------------------------------------------------------------------------------------------


def write(value: Any) -> str:
    """value as text."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case DType():
            return f'dtype("{value}")'
        case str():
            return json.dumps(value)
        case int() | float():
            return repr(value)
        case tuple():
            return f"({', '.join(map(write, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, Operator):
        return f"{value.name}({write_fields(value)})"
    for known in NOTATIONS.values():
        if isinstance(value, known.type):
            return f"{known.name}({', '.join(map(write, known.write(value)))})"
    if type(value) is INITIAL.get(type(value).__name__):
        return f"{type(value).__name__}({write_fields(value)})"
    raise AssertionError(f"no notation for {value!r}")


def write_fields(value: Any) -> str:
    """The fields of a dataclass that differ from their defaults: `stride=2, pad="same"`."""
    told = []
    for field in fields(value):
        given = getattr(value, field.name)
        if field.default is MISSING or given != field.default:
            told.append(f"{field.name}={write(given)}")
    return ", ".join(told)


# --- reading ---------------------------------------------------------------------------------------------------------

TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|-?(?:inf|nan)\b|-?\d[\d.]*(?:e[+-]?\d+)?|[A-Za-z_]\w*|//|[-+*()\[\]=,:])')


class Reader:
    """Reads one line of tokens."""

    def __init__(self, text: str) -> None:
        self.tokens = list(_tokens(text))
        self.place = 0

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.place += 1
        return token

    def accept(self, *tokens: str) -> bool:
        found = self.peek() in tokens and self.place < len(self.tokens)
        self.place += found
        return found

    def demand(self, token: str) -> None:
        if not self.accept(token):
            raise NotationError(f"wanted `{token}`, got `{self.peek()}`")

    def end(self) -> None:
        if self.peek():
            raise NotationError(f"`{self.peek()}` is left over")

    def value(self) -> Any:
        """The value that begins here."""
        if self.accept("("):
            return self._items()[0]
        token = self.take()
        if token in _WORDS:
            return _WORDS[token]
        if token.startswith('"'):
            return json.loads(token)
        if token[:1].isalpha() or token[:1] == "_":
            return self._made(token)
        return number(token)

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """`(1, b=2)`, the bracket included."""
        self.demand("(")
        return self._items()

    def _items(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        plain: list[Any] = []
        named: dict[str, Any] = {}
        while not self.accept(")"):
            following = self.tokens[self.place + 1 : self.place + 2]
            if following == ["="]:
                name = self.take()
                self.take()
                named[name] = self.value()
            else:
                plain.append(self.value())
            if self.peek() != ")":
                self.demand(",")
        return tuple(plain), named

    def _made(self, name: str) -> Any:
        plain, named = self.arguments()
        read = NOTATIONS[name].read if name in NOTATIONS else INITIAL.get(name) or OPERATORS.get(name)
        if read is None:
            raise NotationError(f"nothing is called `{name}`")
        return call(read, name, plain, named)

    def dim(self) -> Dim:
        """`(T + 1) // 5 - 1`: a sum of products; here // binds closer than *."""
        total = self._product()
        while self.peek() in ("+", "-"):
            sign = 1 if self.take() == "+" else -1
            total = total + self._product() * sign
        return total

    def _product(self) -> Dim:
        made = self._factor()
        while self.accept("*"):
            made = made * self._factor()
        return made

    def _factor(self) -> Dim:
        token = self.take()
        if token == "-":
            return self._factor() * -1
        if token == "(":
            inner = self.dim()
            self.demand(")")
            self.demand("//")
            return inner // int(self.take())
        return int(token) if token.lstrip("-").isdigit() else symbol(token)

    def type(self) -> TensorType:
        """`float32[batch, 10]:probabilities`"""
        dtype = DType(self.take())
        shape: list[Dim] = []
        self.demand("[")
        while not self.accept("]"):
            shape.append(self.dim())
            if self.peek() != "]":
                self.demand(",")
        return TensorType(tuple(shape), dtype, self._kind())

    def _kind(self) -> Kind:
        if not self.accept(":"):
            return Kind("plain")
        name = self.take()
        if self.peek() != "(":
            return Kind(name)
        plain, _ = self.arguments()
        return Kind(name, *plain)


def call(make: Callable[..., Any], name: str, plain: Iterable[Any], named: dict[str, Any]) -> Any:
    """make of these arguments; what it refuses is a NotationError."""
    try:
        return make(*plain, **named)
    except (TypeError, ValueError, KeyError) as error:
        raise NotationError(f"`{name}` refuses its arguments: {error}") from error


def number(token: str) -> int | float:
    """`3`, `-1e-05`, `inf`"""
    try:
        return int(token) if token.lstrip("-").isdigit() else float(token)
    except ValueError as error:
        raise NotationError(f"`{token}` is no value") from error


def _tokens(text: str) -> Iterator[str]:
    place = 0
    while text[place:].strip():
        found = TOKEN.match(text, place)
        if found is None:
            raise NotationError(f"cannot read `{text[place:].strip()[:20]}`")
        yield found.group(1)
        place = found.end()


def read_dim(text: str) -> Dim:
    reader = Reader(text)
    dim = reader.dim()
    reader.end()
    return dim


def read_type(text: str) -> TensorType:
    reader = Reader(text)
    type = reader.type()
    reader.end()
    return type


_WORDS: dict[str, Any] = {"true": True, "false": False, "none": None, "inf": float("inf"), "nan": float("nan")}

notation("dtype", DType, lambda d: (str(d),), DType)
notation("dim", Symbolic, lambda d: (str(d),), read_dim)
notation("type", TensorType, lambda t: (str(t),), read_type)
notation("kind", Kind, lambda k: (k.name, k.classes), Kind)
notation("bytes", bytes, lambda b: (b.hex(),), bytes.fromhex)
