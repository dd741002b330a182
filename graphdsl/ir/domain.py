"""What a setting may be. A domain turns a value of the language into what the code wants, or says what is wrong.

The values of the language are int, float, bool, str (texts and bare words), None, Size, tuples of these, and Made
records.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any

from graphdsl.ir.graph import Value
from graphdsl.report import Span, dataclass, did_you_mean


class SettingError(Exception):
    """A value is outside its domain. Whoever reads the spec adds the place."""

    def __init__(self, message: str, help: str = "") -> None:
        Exception.__init__(self, message)
        self.message = message
        self.help = help


@dataclass(frozen=True)
class SizeValue:
    """`1x7`"""

    values: tuple[int, ...]

    def __str__(self) -> str:
        return "x".join(map(str, self.values))


@dataclass(frozen=True)
class Made:
    """`steps(0.1, at=[30])`, read but not yet built: entry `name` of the registry `kind`, with settings by name.

    arguments are already inside their domains. span is where it was written.
    """

    kind: str
    name: str
    arguments: tuple[tuple[str, Any], ...] = ()
    span: Span | None = None

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.arguments)


class Domain(ABC):
    """A set of values. Concrete ones are frozen dataclasses."""

    @abstractmethod
    def describe(self) -> str:
        """A noun phrase: "a whole number of at least 1"."""

    @abstractmethod
    def accept(self, value: Any) -> Any:
        """value as the code wants it; raises SettingError."""

    @property
    def words(self) -> tuple[str, ...]:
        """Bare words that mean something here: `pad=same`."""
        return ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Registries whose entries may be called here: `lr=steps(…)`."""
        return ()


@dataclass(frozen=True)
class Whole(Domain):
    """Whole numbers from low to high. The upper bound is a guard against size bombs and part of every message."""

    low: int = 0
    high: int = 2**31 - 1

    def describe(self) -> str:
        if self.high < 2**31 - 1:
            return f"a whole number from {self.low} to {self.high}"
        return "a whole number" if self.low == -(2**31) else f"a whole number of at least {self.low}"

    def accept(self, value: Any) -> int:
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise SettingError(f"needs {self.describe()}, got {show(value)}")
        if value > self.high:
            raise SettingError(f"needs a whole number of at most {self.high}, got {value}")
        if value < self.low:
            raise SettingError(f"needs {self.describe()}, got {value}")
        return value


@dataclass(frozen=True)
class Real(Domain):
    """Numbers between low and high; open: the bound itself is outside. unit: what they count, for messages."""

    low: float = float("-inf")
    high: float = float("inf")
    low_open: bool = False
    high_open: bool = False
    unit: str = ""

    def describe(self) -> str:
        least = "" if self.low == float("-inf") else f"{'above' if self.low_open else 'of at least'} {self.low:g}"
        most = "" if self.high == float("inf") else f"{'below' if self.high_open else 'of at most'} {self.high:g}"
        return " ".join([self.unit or "a number", " and ".join(filter(None, [least, most]))]).strip()

    def accept(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SettingError(f"needs {self.describe()}, got {show(value)}")
        low = value > self.low if self.low_open else value >= self.low
        high = value < self.high if self.high_open else value <= self.high
        if not (low and high):
            raise SettingError(f"needs {self.describe()}, got {show(value)}")
        return float(value)


@dataclass(frozen=True)
class FlagDomain(Domain):
    """`true` and `false`."""

    def describe(self) -> str:
        return "true or false"

    def accept(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise SettingError(f"needs true or false, got {show(value)}")
        return value


@dataclass(frozen=True)
class TextDomain(Domain):
    """Texts."""

    def describe(self) -> str:
        return "a text in quotes"

    def accept(self, value: Any) -> str:
        if not isinstance(value, str):
            raise SettingError(f"needs a text in quotes, got {show(value)}")
        return value


@dataclass(frozen=True)
class Choice(Domain):
    """One of a few words."""

    options: tuple[str, ...]

    def describe(self) -> str:
        return " or ".join(f"`{o}`" for o in self.options)

    def accept(self, value: Any) -> str:
        if value not in self.options:
            raise SettingError(f"needs {self.describe()}, got {show(value)}", did_you_mean(str(value), self.options))
        return str(value)

    @property
    def words(self) -> tuple[str, ...]:
        return self.options


@dataclass(frozen=True)
class SizeDomain(Domain):
    """A number for every axis, or one a axis: `3`, `1x7`."""

    low: int = 1
    high: int = 65_536

    def describe(self) -> str:
        return f"a size such as 3 or 1x7, of numbers from {self.low} to {self.high}"

    def accept(self, value: Any) -> int | tuple[int, ...]:
        whole = Whole(self.low, self.high)
        if isinstance(value, SizeValue):
            return tuple(whole.accept(v) for v in value.values)
        return whole.accept(value)


@dataclass(frozen=True)
class Sides:
    """`[1, 0, 2, 3]`: what stands before each axis, then what stands behind each."""

    values: tuple[int, ...]

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.values))}]"


@dataclass(frozen=True)
class SidesDomain(Domain):
    """A list of what stands before each axis, then behind each: `[top, left, bottom, right]`, `[before, behind]`."""

    high: int = 65_536

    def describe(self) -> str:
        return f"a list such as [top, left, bottom, right] or [before, behind], of numbers from 0 to {self.high}"

    def accept(self, value: Any) -> Sides:
        if not isinstance(value, tuple) or not value or len(value) % 2:
            raise SettingError(f"needs {self.describe()}, got {show(value)}")
        whole = Whole(0, self.high)
        return Sides(tuple(whole.accept(v) for v in value))


@dataclass(frozen=True)
class Many(Domain):
    """`[a, b]`; a single value stands for a list of one. least: how many there must be."""

    item: Domain
    least: int = 0

    def describe(self) -> str:
        return f"a list of {self.item.describe()}"

    def accept(self, value: Any) -> tuple[Any, ...]:
        values = value if isinstance(value, tuple) else (value,)
        if len(values) < self.least:
            raise SettingError(f"needs {self.least} or more in the list, got {show(value)}")
        return tuple(self.item.accept(v) for v in values)

    @property
    def words(self) -> tuple[str, ...]:
        return self.item.words

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.item.kinds


@dataclass(frozen=True)
class EntryOf(Domain):
    """A call of an entry of a registry: `adam(lr=1e-3)`. Accepts the Made record."""

    kind: str

    def describe(self) -> str:
        return f"{'an' if self.kind[0] in 'aeiou' else 'a'} {self.kind}"

    def accept(self, value: Any) -> Made:
        if not isinstance(value, Made) or value.kind != self.kind:
            raise SettingError(f"needs {self.describe()}, got {show(value)}")
        return value

    @property
    def kinds(self) -> tuple[str, ...]:
        return (self.kind,)


@dataclass(frozen=True)
class Either(Domain):
    """The first of several domains that accepts."""

    options: tuple[Domain, ...]

    def describe(self) -> str:
        return " or ".join(o.describe() for o in self.options)

    def accept(self, value: Any) -> Any:
        for option in self.options:
            try:
                return option.accept(value)
            except SettingError:
                continue
        raise SettingError(f"needs {self.describe()}, got {show(value)}")

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(w for o in self.options for w in o.words)

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(k for o in self.options for k in o.kinds)


@dataclass(frozen=True)
class TensorDomain(Domain):
    """A tensor of the spec, by its name: `sample_weight=w`."""

    def describe(self) -> str:
        return "the name of a tensor"

    def accept(self, value: Any) -> Value:
        if not isinstance(value, Value):
            raise SettingError(f"needs {self.describe()}, got {show(value)}")
        return value


@dataclass(frozen=True)
class NoneDomain(Domain):
    """`none` alone."""

    def describe(self) -> str:
        return "none"

    def accept(self, value: Any) -> None:
        if value is not None:
            raise SettingError(f"needs none, got {show(value)}")


def show(value: Any) -> str:
    """A value as it is written in a spec."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case float():
            return f"{value:g}"
        case tuple():
            return f"[{', '.join(map(show, value))}]"
        case Made():
            return f"`{value.name}(…)`"
        case _:
            return str(value)


Count = Annotated[int, Whole(1)]
Natural = Annotated[int, Whole(0)]
Number = Annotated[float, Real()]
NonNegative = Annotated[float, Real(0.0)]
Positive = Annotated[float, Real(0.0, low_open=True)]
Rate = Annotated[float, Real(0.0, 1.0, high_open=True)]
Fraction = Annotated[float, Real(0.0, 1.0)]
Flag = Annotated[bool, FlagDomain()]
Words = Annotated[str, TextDomain()]
Size = Annotated[int | tuple[int, ...], SizeDomain()]
Padding = Annotated[
    int | str | tuple[int, ...] | Sides, Either((SizeDomain(0), SidesDomain(), Choice(("valid", "same", "causal"))))
]
