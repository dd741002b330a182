"""Formulas in printed graphs: `formula("a = exp(x0); add(a, a)")`. Parts used twice are named once."""

from __future__ import annotations

import re

from graphdsl.ir import NotationError, notation
from graphdsl.ops.expression import FUNCTIONS, Apply, Expression, Literal, Operand, parts


def write_formula(tree: Expression) -> str:
    """Each application once, in an order that defines before use; the last is the formula."""
    uses: dict[Expression, int] = {}
    for part in parts(tree):
        for argument in part.arguments if isinstance(part, Apply) else ():
            uses[argument] = uses.get(argument, 0) + 1
    known: dict[Expression, str] = {}
    lines: list[str] = []
    for part in parts(tree):
        text = _part(part, known)
        if isinstance(part, Apply) and uses.get(part, 0) > 1:
            lines.append(f"t{len(lines)} = {text}")
            text = f"t{len(lines) - 1}"
        known[part] = text
    return "; ".join([*lines, known[tree]])


def _part(part: Expression, known: dict[Expression, str]) -> str:
    match part:
        case Operand(index):
            return f"x{index}"
        case Literal(value):
            return repr(value)
        case Apply(function, arguments):
            return f"{function}({', '.join(known[a] for a in arguments)})"
    raise AssertionError(part)


def read_formula(text: str) -> Expression:
    """The tree of a written formula. Raises NotationError."""
    named: dict[str, Expression] = {}
    *lines, last = text.split("; ")
    for line in lines:
        name, _, body = line.partition(" = ")
        named[name] = _read(body, named)
    return _read(last, named)


def _read(text: str, named: dict[str, Expression]) -> Expression:
    """One application, innermost brackets first: every finished part is put under a name of its own."""
    named = dict(named)
    while found := re.search(r"(\w+)\(([^()]*)\)", text):
        function, inner = found.groups()
        if function not in FUNCTIONS:
            raise NotationError(f"there is no function `{function}`")
        name = f"@{len(named)}"
        named[name] = Apply(function, tuple(_leaf(a.strip(), named) for a in inner.split(",")))
        text = text[: found.start()] + name + text[found.end() :]
    return _leaf(text.strip(), named)


def _leaf(text: str, named: dict[str, Expression]) -> Expression:
    if text in named:
        return named[text]
    if re.fullmatch(r"x\d+", text):
        return Operand(int(text[1:]))
    try:
        return Literal(float(text))
    except ValueError as error:
        raise NotationError(f"`{text}` is no part of a formula") from error


notation("formula", Expression, lambda tree: (write_formula(tree),), read_formula)
