"""Scalar formulas: what an element-wise operator is made of.

A Python function over scalars is called once with symbols; the tree that comes back is the operator. Its value, its
derivative and its machine text all follow from the tree, and fusing two operators is putting one tree into the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from functools import lru_cache
from typing import Any

import numpy as np

from graphdsl.ir import Array
from graphdsl.report import dataclass


class Expression:
    """A tree over operands and numbers. Arithmetic on trees gives trees."""

    def __add__(self, other: Scalar) -> Expression:
        return call("add", self, other)

    def __radd__(self, other: Scalar) -> Expression:
        return call("add", other, self)

    def __sub__(self, other: Scalar) -> Expression:
        return call("subtract", self, other)

    def __rsub__(self, other: Scalar) -> Expression:
        return call("subtract", other, self)

    def __mul__(self, other: Scalar) -> Expression:
        return call("multiply", self, other)

    def __rmul__(self, other: Scalar) -> Expression:
        return call("multiply", other, self)

    def __truediv__(self, other: Scalar) -> Expression:
        return call("divide", self, other)

    def __rtruediv__(self, other: Scalar) -> Expression:
        return call("divide", other, self)

    def __pow__(self, other: Scalar) -> Expression:
        return call("power", self, other)

    def __neg__(self) -> Expression:
        return call("negative", self)

    def __abs__(self) -> Expression:
        return call("absolute", self)

    def __gt__(self, other: Scalar) -> Expression:
        return call("greater", self, other)

    def __ge__(self, other: Scalar) -> Expression:
        return call("greater_equal", self, other)

    def __lt__(self, other: Scalar) -> Expression:
        return call("less", self, other)

    def __le__(self, other: Scalar) -> Expression:
        return call("less_equal", self, other)


@dataclass(frozen=True)
class Operand(Expression):
    """The element of operand number index at the place being computed."""

    index: int

    def __str__(self) -> str:
        return f"x{self.index}"


@dataclass(frozen=True)
class Literal(Expression):
    """A number."""

    value: float

    def __str__(self) -> str:
        return f"{self.value:g}"


@dataclass(frozen=True)
class Apply(Expression):
    """function (a name in FUNCTIONS) of the arguments."""

    function: str
    arguments: tuple[Expression, ...]

    def __hash__(self) -> int:
        known = self.__dict__.get("_hash")
        if known is None:
            known = self.__dict__["_hash"] = hash((self.function, self.arguments))
        return known

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


Scalar = Expression | float | int


@dataclass(frozen=True)
class Function:
    """A scalar function: what computes it, and its derivative by each argument as a formula of the arguments.

    derivatives  one a argument; None where it is zero everywhere (comparisons, floor)
    truth        gives true or false, not a number
    """

    numpy: Callable[..., Any]
    derivatives: tuple[Callable[..., Scalar] | None, ...]
    truth: bool = field(default=False)


def call(function: str, *arguments: Scalar) -> Expression:
    """function applied, with the plain identities (x + 0, 1 * x, 0 * x, numbers only) already worked out."""
    trees = tuple(a if isinstance(a, Expression) else Literal(float(a)) for a in arguments)
    if not FUNCTIONS[function].truth and all(isinstance(t, Literal) for t in trees):
        with np.errstate(all="ignore"):
            return Literal(float(FUNCTIONS[function].numpy(*(t.value for t in trees if isinstance(t, Literal)))))
    return _identity(function, trees) or Apply(function, trees)


def _identity(function: str, trees: tuple[Expression, ...]) -> Expression | None:
    if len(trees) != 2:
        return None
    a, b = trees
    zero, one = Literal(0.0), Literal(1.0)
    match function:
        case "add":
            return b if a == zero else a if b == zero else None
        case "subtract":
            return a if b == zero else None
        case "multiply":
            return zero if zero in trees else b if a == one else a if b == one else _chosen(a, b) or _chosen(b, a)
        case "divide":
            return a if b == one else zero if a == zero else None
        case "power":
            return a if b == one else None
        case _:
            return None


def _chosen(choice: Expression, x: Expression) -> Expression | None:
    """x times a choice between 1 and 0 is a choice between x and 0."""
    if not isinstance(choice, Apply) or choice.function != "where":
        return None
    condition, yes, no = choice.arguments
    if {yes, no} != {Literal(0.0), Literal(1.0)}:
        return None
    return Apply("where", (condition, x, no) if yes == Literal(1.0) else (condition, yes, x))


def _function(name: str) -> Callable[..., Expression]:
    def apply(*arguments: Scalar) -> Expression:
        return call(name, *arguments)

    apply.__name__ = name
    return apply


exp = _function("exp")
expm1 = _function("expm1")
log = _function("log")
log1p = _function("log1p")
sqrt = _function("sqrt")
tanh = _function("tanh")
erf = _function("erf")
sin = _function("sin")
cos = _function("cos")
tan = _function("tan")
asin = _function("asin")
acos = _function("acos")
atan = _function("atan")
sinh = _function("sinh")
cosh = _function("cosh")
asinh = _function("asinh")
acosh = _function("acosh")
atanh = _function("atanh")
sign = _function("sign")
floor = _function("floor")
nearest = _function("nearest")
logistic = _function("logistic")
softplus = _function("softplus")
maximum = _function("maximum")
minimum = _function("minimum")
where = _function("where")
equal = _function("equal")
both = _function("both")


def _logistic(x: Any) -> Any:
    """1 / (1 + exp(-x)) without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def _erf(x: Any) -> Any:
    """Error function to float64's last digits but two. Source: W. J. Cody 1969 as a series and a continued fraction."""
    a = np.abs(np.asarray(x, np.float64))
    small = np.minimum(a, 3.0)
    term = small.copy()
    total = small.copy()
    for n in range(1, 60):
        term = term * (-small * small) / n
        total = total + term / (2 * n + 1)
    large = np.maximum(a, 2.9)
    tail = np.zeros_like(large)
    for n in range(60, 0, -1):
        tail = (n / 2) / (large + tail)
    upper = 1 - np.exp(-large * large) / (np.sqrt(np.pi) * (large + tail))
    return (np.sign(x) * np.where(a < 3.0, total * 2 / np.sqrt(np.pi), upper)).astype(np.result_type(x, np.float32))


FUNCTIONS: dict[str, Function] = {
    "add": Function(np.add, (lambda a, b: 1, lambda a, b: 1)),
    "subtract": Function(np.subtract, (lambda a, b: 1, lambda a, b: -1)),
    "multiply": Function(np.multiply, (lambda a, b: b, lambda a, b: a)),
    "divide": Function(np.divide, (lambda a, b: 1 / b, lambda a, b: -a / (b * b))),
    "power": Function(np.power, (lambda a, b: b * a ** (b - 1), lambda a, b: a**b * log(a))),
    "negative": Function(np.negative, (lambda a: -1,)),
    "absolute": Function(np.abs, (lambda a: sign(a),)),
    "exp": Function(np.exp, (lambda a: exp(a),)),
    "expm1": Function(np.expm1, (lambda a: exp(a),)),
    "log": Function(np.log, (lambda a: 1 / a,)),
    "log1p": Function(np.log1p, (lambda a: 1 / (1 + a),)),
    "sqrt": Function(np.sqrt, (lambda a: 0.5 / sqrt(a),)),
    "tanh": Function(np.tanh, (lambda a: 1 - tanh(a) * tanh(a),)),
    "erf": Function(_erf, (lambda a: 2 / np.sqrt(np.pi) * exp(-a * a),)),
    "sin": Function(np.sin, (lambda a: cos(a),)),
    "cos": Function(np.cos, (lambda a: -sin(a),)),
    "tan": Function(np.tan, (lambda a: 1 + tan(a) * tan(a),)),
    "asin": Function(np.arcsin, (lambda a: 1 / sqrt((1 - a) * (1 + a)),)),
    "acos": Function(np.arccos, (lambda a: -1 / sqrt((1 - a) * (1 + a)),)),
    "atan": Function(np.arctan, (lambda a: 1 / (1 + a * a),)),
    "sinh": Function(np.sinh, (lambda a: cosh(a),)),
    "cosh": Function(np.cosh, (lambda a: sinh(a),)),
    "asinh": Function(np.arcsinh, (lambda a: 1 / sqrt(1 + a * a),)),
    "acosh": Function(np.arccosh, (lambda a: 1 / sqrt((a - 1) * (a + 1)),)),
    "atanh": Function(np.arctanh, (lambda a: 1 / ((1 - a) * (1 + a)),)),
    "sign": Function(np.sign, (None,)),
    "floor": Function(np.floor, (None,)),
    "nearest": Function(np.rint, (None,)),
    "logistic": Function(_logistic, (lambda a: logistic(a) * (1 - logistic(a)),)),
    "softplus": Function(lambda x: np.logaddexp(x, 0.0), (lambda a: logistic(a),)),
    "maximum": Function(
        np.maximum, (lambda a, b: where(maximum(a, b) > b, 1, 0), lambda a, b: where(maximum(a, b) > b, 0, 1))
    ),
    "minimum": Function(
        np.minimum, (lambda a, b: where(minimum(a, b) < b, 1, 0), lambda a, b: where(minimum(a, b) < b, 0, 1))
    ),
    "where": Function(np.where, (None, lambda c, a, b: where(c, 1, 0), lambda c, a, b: where(c, 0, 1))),
    "greater": Function(np.greater, (None, None), truth=True),
    "greater_equal": Function(np.greater_equal, (None, None), truth=True),
    "less": Function(np.less, (None, None), truth=True),
    "less_equal": Function(np.less_equal, (None, None), truth=True),
    "equal": Function(np.equal, (None, None), truth=True),
    "both": Function(np.logical_and, (None, None), truth=True),
}
"""Every scalar function there is. Where both arguments of maximum or minimum are equal, the second is differentiated.

Derivatives are written with the function itself where that is possible (exp, tanh, maximum): so the backward step of
a relu reads its result, and its operand need not be kept.

softplus, log(1 + exp(x)), is among them because its stable form has a kink at 0 that its derivative must not have.
"""


def derivative(tree: Expression, index: int) -> Expression:
    """d tree / d operand index, worked out by the chain rule; equal parts are differentiated once."""
    known: dict[Expression, Expression] = {}
    for part in parts(tree):
        known[part] = _derivative(part, index, known)
    return known[tree]


def _derivative(part: Expression, index: int, known: dict[Expression, Expression]) -> Expression:
    if not isinstance(part, Apply):
        return Literal(float(part == Operand(index)))
    total: Expression = Literal(0.0)
    for argument, rule in zip(part.arguments, FUNCTIONS[part.function].derivatives, strict=True):
        inner = known[argument]
        if rule is not None and inner != Literal(0.0):
            total = total + rule(*part.arguments) * inner
    return total


@lru_cache(maxsize=4096)
def parts(tree: Expression) -> tuple[Expression, ...]:
    """Every different part of the tree, arguments before what uses them, the tree itself last."""
    order: dict[Expression, None] = {}
    waiting = [(tree, False)]
    while waiting:
        part, ready = waiting.pop()
        if part in order:
            continue
        if ready or not isinstance(part, Apply):
            order[part] = None
            continue
        waiting.append((part, True))
        waiting.extend((a, False) for a in reversed(part.arguments))
    return tuple(order)


def substitute(tree: Expression, operands: Sequence[Expression]) -> Expression:
    """The tree with operand i replaced by operands[i]: how two element-wise operators become one."""
    return _substituted(tree, tuple(operands))


@lru_cache(maxsize=4096)
def _substituted(tree: Expression, operands: tuple[Expression, ...]) -> Expression:
    new: dict[Expression, Expression] = {}
    for part in parts(tree):
        match part:
            case Operand(index):
                new[part] = operands[index]
            case Apply(function, arguments):
                new[part] = call(function, *(new[a] for a in arguments))
            case _:
                new[part] = part
    return new[tree]


def replaced(tree: Expression, part: Expression, by: Expression) -> Expression:
    """The tree with by wherever part stood."""
    new: dict[Expression, Expression] = {}
    for each in parts(tree):
        if each == part:
            new[each] = by
        elif isinstance(each, Apply):
            new[each] = call(each.function, *(new[a] for a in each.arguments))
        else:
            new[each] = each
    return new[tree]


def operands_of(tree: Expression) -> tuple[int, ...]:
    """The operands that the tree reads, by number, in the order in which they are met."""
    return tuple(p.index for p in parts(tree) if isinstance(p, Operand))


def compute(tree: Expression, arrays: Sequence[Array]) -> Array:
    """The tree over arrays; equal parts are computed once. Follows NumPy's broadcasting."""
    known: dict[Expression, Any] = {}
    with np.errstate(all="ignore"):
        for part in parts(tree):
            match part:
                case Operand(index):
                    known[part] = arrays[index]
                case Literal(value):
                    known[part] = value
                case Apply(function, arguments):
                    known[part] = FUNCTIONS[function].numpy(*(known[a] for a in arguments))
    return np.asarray(known[tree])


def gives_truth(tree: Expression) -> bool:
    """Whether the result is true or false."""
    return isinstance(tree, Apply) and FUNCTIONS[tree.function].truth


@lru_cache(maxsize=4096)
def work(tree: Expression) -> int:
    """Scalar operations for one element."""
    return sum(isinstance(p, Apply) for p in parts(tree))


def work_of_all(trees: Sequence[Expression]) -> int:
    """The same for several trees, whose equal parts are computed once."""
    return sum(isinstance(p, Apply) for p in {p for tree in trees for p in parts(tree)})
