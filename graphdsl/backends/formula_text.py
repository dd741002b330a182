"""Formulas under one name: equal up to the order of operands and of sums, and up to the numbers in them.

    x1 - 0.01 * x0        v: subtract(v0, multiply(v1, k0))       0.01 is k0, handed over when it runs

The letter before an operand's number says what it is, the letter in front what the result is:

    v  floats, along a row     s  one float for a whole row
    i  whole numbers           j  one whole number for a whole row
    b  truth, along a row      t  one truth value for a whole row
    w  several results, floats along a row
    c  sums, one a column      r  sums, one a row
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import field
from functools import lru_cache
from hashlib import blake2b

from graphdsl.ops import expression as e
from graphdsl.ops.expression import Apply, Expression, Literal, Operand
from graphdsl.report import dataclass

COMMUTATIVE = frozenset({"add", "multiply", "maximum", "minimum", "equal", "both"})
SUMS, RESULTS = "sums", "results"
"""What stands before several formulas that are summed, or computed, together."""
LETTERS = {
    **{("float32", True): "v", ("float32", False): "s", ("bool", True): "b", ("bool", False): "t"},
    **{("int32", True): "i", ("int32", False): "j"},
}
"""An operand's letter: by what it holds, and whether it goes along the row."""
STRUCTURAL = frozenset({0.0, 1.0, -1.0, 2.0})
"""Numbers that stay in the text."""


@dataclass(frozen=True)
class Canonical:
    """A formula under its own name.

    text      what it is known by
    tree      over operands in the order in which they are met
    operands  their numbers in the formula that it was made of
    classes   their letters, then that of the result
    literals  the values of k0, k1 …
    """

    text: str
    tree: Expression
    operands: tuple[int, ...]
    classes: str
    literals: tuple[float, ...]

    @property
    def name(self) -> str:
        """Of its loop in C."""
        return loop_name(self.text)


def loop_name(text: str) -> str:
    """The C function that works out the formula of this text."""
    return f"formula_{blake2b(text.encode(), digest_size=6).hexdigest()}"


@lru_cache(maxsize=4096)
def canonical(tree: Expression, classes: str) -> Canonical:
    """A formula by its own name. classes: the letters of the operands, then that of the result."""
    tree = _ordered(simplified(tree), classes)
    operands = tuple(dict.fromkeys(_met(tree)))
    places = {Operand(index): Operand(number) for number, index in enumerate(operands)}
    letters = "".join(classes[i] for i in operands)
    new: dict[Expression, Expression] = {}
    for part in e.parts(tree):
        match part:
            case Operand():
                new[part] = places[part]
            case Apply(function, arguments):
                new[part] = Apply(function, tuple(new[a] for a in arguments))
            case _:
                new[part] = part
    literals = _parameters(new[tree])
    text = f"{classes[-1]}: {_written(new[tree], letters, literals)}"
    return Canonical(text, new[tree], operands, letters + classes[-1], literals)


@lru_cache(maxsize=4096)
def simplified(tree: Expression) -> Expression:
    """The tree with small whole powers as products and `less` as `greater`: the same numbers, to a rounding."""
    new: dict[Expression, Expression] = {}
    for part in e.parts(tree):
        new[part] = part
        if isinstance(part, Apply):
            new[part] = _simpler(part.function, tuple(new[a] for a in part.arguments))
    return new[tree]


def _simpler(function: str, arguments: tuple[Expression, ...]) -> Expression:
    match function, arguments:
        case "less", (a, b):
            return Apply("greater", (b, a))
        case "less_equal", (a, b):
            return Apply("greater_equal", (b, a))
        case "power", (x, Literal(2.0)):
            return Apply("multiply", (x, x))
        case "power", (x, Literal(3.0)):
            return Apply("multiply", (Apply("multiply", (x, x)), x))
        case "power", (x, Literal(-1.0)):
            return Apply("divide", (Literal(1.0), x))
        case _:
            return Apply(function, arguments)


def _ordered(tree: Expression, classes: str) -> Expression:
    """The tree with the arguments of sums, products and the like in one order."""

    def rank(part: Expression) -> int:
        match part:
            case Apply():
                return 0
            case Operand(index):
                return 1 + "vbst".index(classes[index]) if classes[index] in "vbst" else 5
            case _:
                return 6

    new: dict[Expression, Expression] = {}
    for part in e.parts(tree):
        new[part] = part
        if isinstance(part, Apply):
            arguments = tuple(new[a] for a in part.arguments)
            new[part] = Apply(
                part.function, tuple(sorted(arguments, key=rank)) if part.function in COMMUTATIVE else arguments
            )
    return new[tree]


def _met(tree: Expression) -> Iterator[int]:
    """Operands as one meets them when reading."""
    waiting, seen = [tree], set()
    while waiting:
        part = waiting.pop()
        if part in seen:
            continue
        seen.add(part)
        if isinstance(part, Operand):
            yield part.index
        elif isinstance(part, Apply):
            waiting += reversed(part.arguments)


def _parameters(tree: Expression) -> tuple[float, ...]:
    found = (p.value for p in e.parts(tree) if isinstance(p, Literal))
    return tuple(dict.fromkeys(v for v in found if v not in STRUCTURAL))


def _written(tree: Expression, letters: str, literals: Sequence[float]) -> str:
    known: dict[Expression, str] = {}
    for part in e.parts(tree):
        match part:
            case Operand(index):
                known[part] = f"{letters[index]}{index}"
            case Literal(value):
                known[part] = f"k{literals.index(value)}" if value in literals else f"{value:g}"
            case Apply(function, arguments):
                known[part] = f"{function}({', '.join(known[a] for a in arguments)})"
    return known[tree]


@dataclass(frozen=True)
class Parameter(Expression):
    """A number that is handed over when the formula runs."""

    index: int


def read(text: str) -> tuple[Expression, str]:
    """The tree of a text, with Parameters for its numbers, and the letters of its operands and result."""
    result, _, body = text.partition(": ")
    reader = _Reader(re.findall(r"[a-z_0-9.\-]+|[(),]", body))
    tree = reader.tree()
    return tree, "".join(reader.letters[i] for i in range(len(reader.letters))) + result


@dataclass
class _Reader:
    words: list[str]
    letters: dict[int, str] = field(default_factory=dict)
    at: int = 0

    def tree(self) -> Expression:
        word = self.words[self.at]
        self.at += 1
        if found := re.fullmatch(r"([vsijbt])(\d+)", word):
            self.letters[int(found[2])] = found[1]
            return Operand(int(found[2]))
        if found := re.fullmatch(r"k(\d+)", word):
            return Parameter(int(found[1]))
        if word not in e.FUNCTIONS and word not in (SUMS, RESULTS):
            return Literal(float(word))
        arguments = []
        while self.words[self.at] in "(,":
            self.at += 1
            arguments.append(self.tree())
        self.at += 1
        return Apply(word, tuple(arguments))
