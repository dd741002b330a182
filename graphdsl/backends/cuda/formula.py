"""Formulas as C++: what is worked out at a place, written from the expression tree.

    x1 - 0.01 * x0       struct formula {
                             enum : int { OPERANDS = 2, RESULTS = 1, LITERALS = 1 };
                             DEVICE static void compute(const float *k, float x0, float x1, float &y0) {
                                 float p0 = scalar::multiply(x1, k[0]);
                                 float p1 = scalar::subtract(x0, p0);
                                 y0 = p1;
                             }
                             template <int N, class Place> DEVICE static void at(Place &place) { … }
                         };

`compute` is the formula of single numbers; numbers that stand in it are handed over as k, so that formulas that differ
in nothing else are one kernel. `at` works out N neighbours along the last axis: it asks the place for every operand
(`load`, or `load_one` where all N have the same), and hands it every result (`store`). A place of elementwise.cu reads
and writes arrays, one of reduced.cu adds up what it is handed.

A tile kernel that finishes its results with the formula of a Fused call uses neither directly: see epilogue.py.

Numbers are float; whole numbers stay i32 as long as they meet only each other, 0, 1, -1 and 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.formula_text import LETTERS, RESULTS, SUMS, Parameter, canonical, read
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Apply, Expression, Literal, Operand
from graphdsl.report import dataclass

TYPES = {"v": "float", "s": "float", "i": "i32", "j": "i32", "b": "bool", "t": "bool"}
"""Of an operand in C++, by its letter."""
WHOLE = frozenset({"add", "subtract", "multiply", "negative", "sign", "absolute", "maximum", "minimum", "where"})
"""Functions of whole numbers that give whole numbers."""
ANY = "any"
"""The type of a number that is written there: that of what it meets."""


@dataclass(frozen=True)
class Formula:
    """A formula, or several together, for a kernel.

    text      C++, to stand before the kernel that uses it
    operands  which of the arrays it reads, in the order of x0, x1 …
    literals  the values of k[0], k[1] …
    """

    text: str
    operands: tuple[int, ...]
    literals: tuple[float, ...]


def letters(arrays: Sequence[DeviceArray], along: Sequence[bool]) -> str | None:
    """The operands' letters in formula_text.py. along: which change along the last axis. None for other numbers."""
    found = [LETTERS.get((a.dtype.name, runs)) for a, runs in zip(arrays, along, strict=True)]
    return None if None in found else "".join(letter for letter in found if letter)


def formula_of(trees: Sequence[Expression], classes: str, results: str, *, sums: bool = False) -> Formula:
    """The trees as C++. classes: the letters of the operands; results: dtype of what is stored. sums: it is summed."""
    several = len(trees) > 1 or sums
    tree = Apply(SUMS if sums else RESULTS, tuple(trees)) if several else trees[0]
    letter = "r" if sums else "w" if several else LETTERS[results, True]
    known = canonical(tree, classes + letter)
    return Formula(_text(known.text), known.operands, known.literals)


@lru_cache(maxsize=4096)
def _text(text: str) -> str:
    tree, classes = read(text)
    operands, result = classes[:-1], classes[-1]
    several = isinstance(tree, Apply) and tree.function in (SUMS, RESULTS)
    trees = tree.arguments if several and isinstance(tree, Apply) else (tree,)
    made = TYPES.get(result, "float")
    writer = _Writer(operands)
    stores = [f"y{j} = {writer.value(t, made)};" for j, t in enumerate(trees)]
    count = 1 + max((p.index for p in e.parts(tree) if isinstance(p, Parameter)), default=-1)
    head = f"enum : int {{ OPERANDS = {len(operands)}, RESULTS = {len(trees)}, LITERALS = {count} }};"
    takes = [f"{TYPES[c]} x{i}" for i, c in enumerate(operands)] + [f"{made} &y{j}" for j in range(len(trees))]
    lines = [
        '#include "scalar.cuh"',
        f"/* {text} */",
        "struct formula {",
        f"    {head}",
        f"    DEVICE static void compute({', '.join(['const float *k', *takes])}) {{",
        *(f"        {line}" for line in (*writer.lines, *stores)),
        "    }",
        *_at(operands, made, len(trees)),
        "};",
    ]
    return "\n".join(lines) + "\n"


def _at(operands: Sequence[str], made: str, results: int) -> list[str]:
    """The text of `at`."""
    given = [f"x{i}[i]" if c in "vib" else f"x{i}" for i, c in enumerate(operands)]
    given += [f"y{j}[i]" for j in range(results)]
    lines = [f"{TYPES[c]} x{i}{'[N]' if c in 'vib' else ''};" for i, c in enumerate(operands)]
    lines += [f"{made} y{j}[N];" for j in range(results)]
    lines += [f"place.load{'' if c in 'vib' else '_one'}({i}, x{i});" for i, c in enumerate(operands)]
    lines += [f"UNROLL for (int i = 0; i < N; i++) compute(place.literals(), {', '.join(given)});"]
    lines += [f"place.store({j}, y{j});" for j in range(results)]
    head = "    template <int N, class Place> DEVICE static void at(Place &place) {"
    return [head, *(f"        {line}" for line in lines), "    }"]


class _Writer:
    """One statement a part; kinds: the type of each."""

    def __init__(self, operands: Sequence[str]) -> None:
        self.operands = operands
        self.lines: list[str] = []
        self.text: dict[Expression, str] = {}
        self.kinds: dict[Expression, str] = {}

    def value(self, tree: Expression, kind: str) -> str:
        """The tree as a number of this kind."""
        for part in e.parts(tree):
            if part not in self.text:
                self._write(part)
        return self._as(kind, tree)

    def _write(self, part: Expression) -> None:
        match part:
            case Operand(index):
                self._names(part, f"x{index}", TYPES[self.operands[index]])
            case Parameter(index):
                self._names(part, f"k[{index}]", "float")
            case Literal(value):
                self._names(part, f"{value:g}", ANY)
            case Apply(function, arguments):
                kind = self._kind(function, arguments)
                wanted = self._wanted(function, arguments, kind)
                given = [self._as(w, a) for w, a in zip(wanted, arguments, strict=True)]
                name = f"p{len(self.lines)}"
                self.lines.append(f"const {kind} {name} = scalar::{function}({', '.join(given)});")
                self._names(part, name, kind)

    def _names(self, part: Expression, text: str, kind: str) -> None:
        self.text[part] = text
        self.kinds[part] = kind

    def _kind(self, function: str, arguments: Sequence[Expression]) -> str:
        if e.FUNCTIONS[function].truth:
            return "bool"
        return "i32" if function in WHOLE and self._whole(arguments[function == "where" :]) else "float"

    def _wanted(self, function: str, arguments: Sequence[Expression], kind: str) -> list[str]:
        """The kinds in which the function takes its arguments."""
        if function == "both":
            return ["bool", "bool"]
        if kind == "bool":
            kind = "i32" if self._whole(arguments) else "float"
        wanted = [kind] * len(arguments)
        return ["bool", *wanted[1:]] if function == "where" else wanted

    def _whole(self, parts: Sequence[Expression]) -> bool:
        kinds = {self.kinds[p] for p in parts}
        return "i32" in kinds and "float" not in kinds

    def _as(self, kind: str, part: Expression) -> str:
        text, own = self.text[part], self.kinds[part]
        if own == ANY:
            return {"float": f"{float(text):.1f}f", "i32": text, "bool": str(float(text) != 0).lower()}[kind]
        if own == kind:
            return text
        return f"({text} != 0)" if kind == "bool" else f"({kind}){text}"
