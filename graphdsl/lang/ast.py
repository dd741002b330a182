"""The tree of a .dag file: what was written, where, and nothing about what it means."""

from __future__ import annotations

from dataclasses import field

from graphdsl.report import Span, dataclass

# --- expressions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number:
    value: int | float
    span: Span


@dataclass(frozen=True)
class SizeLiteral:
    """`1x7`: whole numbers joined by x."""

    values: tuple[int, ...]
    span: Span


@dataclass(frozen=True)
class Text:
    value: str
    span: Span


@dataclass(frozen=True)
class Truth:
    value: bool
    span: Span


@dataclass(frozen=True)
class Nothing:
    """`none`"""

    span: Span


@dataclass(frozen=True)
class Name:
    """`body`, `in`"""

    name: str
    span: Span


@dataclass(frozen=True)
class Fact:
    """`in.channels`: a fact about a value. `span` covers it all, `fact_span` the word after the dot."""

    value: Expression
    fact: str
    fact_span: Span
    span: Span


@dataclass(frozen=True)
class ListOf:
    """`[a, b]`"""

    items: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True)
class Argument:
    """`3` or `stride=2`; name is empty for a positional one."""

    name: str
    name_span: Span | None
    value: Expression
    span: Span


@dataclass(frozen=True)
class Call:
    """`conv(64, 3)`: as an expression (`adam(lr=1e-3)`, `folder("x")`), or the layer part of a stage."""

    name: str
    name_span: Span
    arguments: tuple[Argument, ...]
    span: Span


@dataclass(frozen=True)
class Stage:
    """One step of a pipe: `conv(64, 3) * 2`. Without brackets it has no arguments; repeat is None when unwritten."""

    call: Call
    repeat: Expression | None
    span: Span


@dataclass(frozen=True)
class Pipe:
    """`x -> conv(64, 3) -> relu`. A pipe without a source (`shared enc = a -> b`) has source None."""

    source: Expression | None
    stages: tuple[Stage, ...]
    span: Span


@dataclass(frozen=True)
class Unary:
    """operator: `-`, `+` or `not`"""

    operator: str
    operand: Expression
    span: Span


@dataclass(frozen=True)
class Binary:
    """operator: + - * / % ** == != < <= > >= and or"""

    operator: str
    left: Expression
    right: Expression
    operator_span: Span
    span: Span


@dataclass(frozen=True)
class Conditional:
    """`if a then x else y`"""

    condition: Expression
    then: Expression
    otherwise: Expression
    span: Span


Expression = (
    Number | SizeLiteral | Text | Truth | Nothing | Name | Fact | ListOf | Call | Pipe | Unary | Binary | Conditional
)

# --- definitions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NameDef:
    """A name where it is defined."""

    name: str
    span: Span


@dataclass(frozen=True)
class TypeExpression:
    """`float[224, 224, 3]`, `int(10)`, `int(10000)[T]`, `box(20)[50]`, `float?[8]`.

    dimensions is None when no brackets were written (a scalar per sample). A capital name is a free dimension.
    maybe: there is a question mark, so entries may be unknown.
    """

    name: str
    name_span: Span
    arguments: tuple[Expression, ...]
    dimensions: tuple[Expression, ...] | None
    maybe: bool
    span: Span


@dataclass(frozen=True)
class Use:
    path: Text
    span: Span


@dataclass(frozen=True)
class ListDomain:
    """`in [32, 64, 128]`"""

    items: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True)
class RangeDomain:
    """`in range(0.1, 0.5)` (log False), `in log(1e-4, 1e-1)` (log True)"""

    low: Expression
    high: Expression
    log: bool
    span: Span


@dataclass(frozen=True)
class Param:
    name: NameDef
    default: Expression
    domain: ListDomain | RangeDomain | None
    span: Span


@dataclass(frozen=True)
class Input:
    """`input left, right: float[T, 128]`"""

    names: tuple[NameDef, ...]
    type: TypeExpression
    span: Span


@dataclass(frozen=True)
class Target:
    names: tuple[NameDef, ...]
    type: TypeExpression
    span: Span


@dataclass(frozen=True)
class Weight:
    """`weight canvas: float[256, 256, 3] = photo("cat.jpg")`; init is None when unwritten."""

    name: NameDef
    type: TypeExpression
    init: Expression | None
    span: Span


@dataclass(frozen=True)
class Shared:
    """`shared enc = lstm(32)`, `shared enc = dense(64) -> relu`: a Pipe without a source."""

    name: NameDef
    recipe: Pipe
    span: Span


@dataclass(frozen=True)
class Define:
    """`y = x -> relu`, `a, b = x -> split(2)`, and with output set `output y = …`."""

    names: tuple[NameDef, ...]
    value: Expression
    output: bool
    span: Span


@dataclass(frozen=True)
class Assert:
    condition: Expression
    message: str
    span: Span


@dataclass(frozen=True)
class Formal:
    """A setting of a block; default is None when the user must give it."""

    name: NameDef
    default: Expression | None
    span: Span


@dataclass(frozen=True)
class Block:
    """`block res(c, stride=1) = in -> …`: body is one Define of `out`; with braces, the local definitions in order."""

    name: NameDef
    formals: tuple[Formal, ...]
    body: tuple[Define | Shared | Weight | Assert, ...]
    braces: bool
    span: Span


@dataclass(frozen=True)
class Setting:
    """`epochs = 20` in a section. Also `names` for tensors defined inside a section: `soft, hard = …`."""

    names: tuple[NameDef, ...]
    value: Expression
    span: Span


@dataclass(frozen=True)
class Section:
    """`train { … }`, `train finetune { … }`, `step critic { … }` inside one; name is empty when unwritten."""

    kind: str
    kind_span: Span
    name: str
    name_span: Span | None
    items: tuple[Setting | Section, ...]
    span: Span


Definition = Use | Param | Input | Target | Weight | Shared | Define | Assert | Block | Section


@dataclass(frozen=True)
class File:
    """One .dag file: the definitions that could be read, in order."""

    definitions: tuple[Definition, ...]
    span: Span = field(compare=False)
