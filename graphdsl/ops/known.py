"""Targets of which some entries are unknown: `float?[8]`, `point[68]`. NaN stands for such an entry.

    target   0.3   NaN   0.7          known    1   0   1        filled   0.3   0   0.7

A loss compares with the filled target, takes 0 for what is not known and divides by how many are. So what is unknown
reaches neither the loss nor the gradient, whatever the network says there: a square that is beyond float is chosen
away, where it times 0 would be NaN.
"""

from __future__ import annotations

from graphdsl.ir import Builder, TypeRuleError, Value
from graphdsl.ops import expression as e
from graphdsl.ops.elementwise import formula

FIT = "`mse`, `mae`, `huber`, `binary_crossentropy` and `localisation` leave unknown entries out"


def known_of(b: Builder, target: Value) -> tuple[Value, Value | None]:
    """The target with 0 for what is unknown, and 1 for what is known; the target itself where all is known."""
    if not target.type.partial:
        return target, None
    filled = formula(b, lambda t: e.where(e.equal(t, t), t, 0), target, title="filled")
    return filled, formula(b, lambda t: e.where(e.equal(t, t), 1, 0), target, title="known")


def demand_known(title: str, target: Value, operand: int = 1) -> None:
    """Raises TypeRuleError E0303 where entries of the target may be unknown."""
    if target.type.partial:
        message = f"{title} needs all of its target, and entries of {target.type.describe()} may be unknown"
        raise TypeRuleError(message, code="E0303", operand=operand, help=FIT)
