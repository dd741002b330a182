"""`python -m graphdsl.backends.cpu.generate` writes formulas_*.c: loops for the formulas and sums in formulas.txt.

Each line of formulas.txt is a formula under its own name (formula_text.py). All others the interpreter works out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from graphdsl.backends.formula_text import RESULTS, SUMS, Parameter, loop_name, read
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Apply, Expression, Literal, Operand

KERNELS = Path(__file__).resolve().parent / "kernels"
FORMULAS = KERNELS / "formulas.txt"
A_FILE = 40
"""Formulas in one file."""

WIDTH, INDENT = 120, " " * 7

HEAD = """\
/* Written by generate.py from formulas.txt: loops for formulas and for sums of them. */
#include "sums.h"
"""

TEXTS = {
    "add": "({0} + {1})",
    "subtract": "({0} - {1})",
    "multiply": "({0} * {1})",
    "divide": "({0} / {1})",
    "negative": "(-{0})",
    "power": "v_power({0}, {1})",
    "maximum": "larger({0}, {1})",
    "minimum": "smaller({0}, {1})",
    "absolute": "magnitude({0})",
    "sqrt": "root({0})",
    "floor": "floors({0})",
    "nearest": "nearest({0})",
    "greater": "greater({0}, {1})",
    "greater_equal": "not_less({0}, {1})",
    "equal": "equals({0}, {1})",
    "both": "both_masks({0}, {1})",
    "where": "choose({0}, {1}, {2})",
}
"""A function in C; of those not here the name is v_ and theirs."""
KNOWN_BOUNDS = {"maximum": "max_or_second({1}, {0})", "minimum": "min_or_second({1}, {0})"}
"""Where the second argument is a number that is written there, so no NaN."""


def c_text(tree: Expression, letters: str) -> str:
    """The tree as an expression in C; parts that are used twice are named."""
    writer = _Writer(letters)
    order = [p for p in e.parts(tree) if isinstance(p, Apply) and p.function not in (SUMS, RESULTS)]
    users: dict[Expression, int] = {}
    for part in e.parts(tree):
        for argument in part.arguments if isinstance(part, Apply) else ():
            users[argument] = users.get(argument, 0) + 1
    for part in order:
        writer.write(part, named=users.get(part, 0) > 1)
    if isinstance(tree, Apply) and tree.function == SUMS:
        return " ".join([*writer.before, *(f"s[{j}] += {writer.number(a)};" for j, a in enumerate(tree.arguments))])
    if isinstance(tree, Apply) and tree.function == RESULTS:
        values = [f"const vec r{j} = {writer.number(a)};" for j, a in enumerate(tree.arguments)]
        return " ".join([*writer.before, *values, *(f"PUT({j}, r{j});" for j in range(len(values)))])
    whole = writer.truth(tree) if letters[-1] == "b" else writer.number(tree)
    return f"({{ {' '.join(writer.before)} {whole}; }})" if writer.before else whole


class _Writer:
    """before: statements for named parts; text: of each part."""

    def __init__(self, letters: str) -> None:
        self.letters = letters
        self.before: list[str] = []
        self.text: dict[Expression, str] = {}

    def write(self, part: Apply, *, named: bool) -> None:
        wants_truth = part.function == "both", part.function in ("both", "where")
        arguments = [
            self.truth(a) if wants_truth[0] or (wants_truth[1] and i == 0) else self.number(a)
            for i, a in enumerate(part.arguments)
        ]
        pattern = TEXTS.get(part.function, f"v_{part.function}({{0}})")
        if part.function in KNOWN_BOUNDS and isinstance(part.arguments[1], Literal | Parameter):
            pattern = KNOWN_BOUNDS[part.function]
        text = pattern.format(*arguments)
        if named:
            kind = "mask" if self._is_truth(part) else "vec"
            self.before.append(f"{kind} p{len(self.before)} = {text};")
            text = f"p{len(self.before) - 1}"
        self.text[part] = text

    def number(self, part: Expression) -> str:
        match part:
            case Literal(value):
                return "zeros()" if value == 0 else f"all({value}f)"
            case Parameter(index):
                return f"k{index}"
        text = self._plain(part)
        return f"keep({text}, all(1.0f))" if self._is_truth(part) else text

    def truth(self, part: Expression) -> str:
        return self._plain(part) if self._is_truth(part) else f"not_zero({self.number(part)})"

    def _plain(self, part: Expression) -> str:
        return f"x{part.index}" if isinstance(part, Operand) else self.text[part]

    def _is_truth(self, part: Expression) -> bool:
        if isinstance(part, Operand):
            return self.letters[part.index] in "bt"
        return e.gives_truth(part)


def loop(text: str) -> str:
    """The loop for one formula, or for the sums of several."""
    tree, letters = read(text)
    count = 1 + max((p.index for p in e.parts(tree) if isinstance(p, Parameter)), default=-1)
    operands, name = ", ".join(letters[:-1]), f"{loop_name(text)}, LITERALS_{count}"
    if isinstance(tree, Apply) and tree.function == SUMS:
        macro = "COLUMN_SUMS" if letters[-1] == "c" else "ROW_SUMS"
        head = f"{macro}_{len(letters) - 1}({name}, {len(tree.arguments)}, {operands},"
    elif isinstance(tree, Apply) and tree.function == RESULTS:
        head = f"LOOPS_{len(letters) - 1}({name}, {len(tree.arguments)}, {operands},"
    else:
        head = f"LOOP_{len(letters) - 1}({name}, {letters[-1]}, {operands},"
    lines = [*wrap(f"/* {text} */", WIDTH, subsequent_indent=" * "), head]
    return "\n".join(
        [*lines, *wrap(f"{c_text(tree, letters)})", WIDTH, initial_indent=INDENT, subsequent_indent=INDENT), ""]
    )


def files(formulas: Sequence[str]) -> dict[str, str]:
    """The text of every file, by name."""
    parts = [formulas[i : i + A_FILE] for i in range(0, len(formulas), A_FILE)]
    return {f"formulas_{n}.c": "\n".join([HEAD, *map(loop, part)]) for n, part in enumerate(parts)}


def main() -> None:
    for path in KERNELS.glob("formulas_*.c"):
        path.unlink()
    for name, text in files(FORMULAS.read_text().splitlines()).items():
        (KERNELS / name).write_text(text)


if __name__ == "__main__":
    main()
