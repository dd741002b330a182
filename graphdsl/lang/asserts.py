"""Asserts: conditions that are checked while the graph is built, or at its end where they speak of `weights`."""

from __future__ import annotations

from graphdsl.ir import show
from graphdsl.lang import ast
from graphdsl.lang.definitions import carry_out
from graphdsl.lang.evaluate import read
from graphdsl.lang.frame import Frame
from graphdsl.lang.refusal import refuse
from graphdsl.lang.values import Datum, describe, is_unknown


@carry_out.register
def _assert(definition: ast.Assert, frame: Frame) -> None:
    if _mentions_weights(definition.condition) and frame.names.find("weights") is None:
        frame.session.deferred.append((definition, frame.now()))
    else:
        check(definition, frame)


def check(definition: ast.Assert, frame: Frame) -> None:
    """Raises E0215 where the condition is false."""
    condition = definition.condition
    holds = read(condition, frame)
    if is_unknown(holds):
        return
    if not isinstance(holds, bool):
        raise refuse("E0310", f"assert needs true or false, got {describe(holds)}", condition.span)
    if not holds:
        message = definition.message or f"not true: {condition.span.text}"
        raise refuse("E0215", message, condition.span, label=_sides(condition, frame))


def _sides(condition: ast.Expression, frame: Frame) -> str:
    """`26,000 <= 25,000`: what was compared."""
    if not isinstance(condition, ast.Binary) or condition.operator in ("and", "or"):
        return ""
    left, right = read(condition.left, frame), read(condition.right, frame)
    return f"{_grouped(left)} {condition.operator} {_grouped(right)}"


def _grouped(value: Datum) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else show(value)


def _mentions_weights(expression: ast.Expression) -> bool:
    waiting: list[ast.Expression] = [expression]
    while waiting:
        match waiting.pop():
            case ast.Name("weights"):
                return True
            case ast.Binary() as part:
                waiting += [part.left, part.right]
            case ast.Unary() as part:
                waiting.append(part.operand)
            case ast.Conditional() as part:
                waiting += [part.condition, part.then, part.otherwise]
    return False
