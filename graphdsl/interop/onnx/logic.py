"""Comparisons and choices, remainders, and whole numbers that stand for others (quantised models)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from graphdsl.interop.onnx.elementwise import shortest, truncated
from graphdsl.interop.onnx.flow import Value
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.sheet import Sheet
from graphdsl.interop.onnx.stretch import together

PAIRS = {
    "Greater": "greater", "GreaterOrEqual": "greater_equal", "Less": "less", "LessOrEqual": "less_equal",
    "Equal": "equal", "And": "logical_and", "Or": "logical_or", "Xor": "logical_xor",
}  # fmt: skip


@reads(*PAIRS)
def read_pair(sheet: Sheet, step: Step) -> Value:
    left, right = sheet.value(0), sheet.value(1)
    assert left is not None and right is not None
    a, b = together(sheet, left, right)
    return replace(a, name=sheet.put(PAIRS[step.op], (a.name, b.name))[0], dtype="bool", port="")


@reads("Where")
def read_where(sheet: Sheet, step: Step) -> Value:
    values = [sheet.value(i) for i in range(3)]
    flows = together(sheet, *(v for v in values if v is not None))
    return replace(flows[1], name=sheet.put("where", [f.name for f in flows])[0], port="")


@reads("Mod")
def read_mod(sheet: Sheet, step: Step) -> Value:
    """What division leaves: with the sign of the divisor, or of x with fmod."""
    left, right = sheet.value(0), sheet.value(1)
    assert left is not None and right is not None
    a, b = together(sheet, left, right)
    quotient = replace(a, name=sheet.put("/", (a.name, b.name))[0], port="")
    whole = truncated(sheet, quotient) if step.get("fmod", 0) else sheet.unary("floor", quotient)
    times = sheet.put("*", (whole.name, b.name))[0]
    return replace(a, name=sheet.put("-", (a.name, times))[0], port="")


@reads("IsNaN", "IsInf")
def read_odd(sheet: Sheet, step: Step) -> Value:
    """A NaN is what does not equal itself; an infinity is beyond every number."""
    x = sheet.flow(0)
    if step.op == "IsNaN":
        same = replace(x, name=sheet.put("equal", (x.name, x.name))[0])
        return replace(sheet.unary("logical_not", same), dtype="bool")
    up, down = step.get("detect_positive", 1), step.get("detect_negative", 1)
    if not (up or down):
        return replace(sheet.scaled(x, "*", 0), dtype="bool")
    size = sheet.unary("abs", x) if up and down else x if up else sheet.scaled(x, "*", -1)
    return replace(sheet.unary("threshold", size, limit=3.4e38), dtype="bool")


@reads("QuantizeLinear")
def read_quantize(sheet: Sheet, step: Step) -> Value:
    """Rounded to steps of one size and cut to what the whole numbers hold; with us they stay floats."""
    scale, zero = sheet.fixed(1, "its step"), sheet.optional(2, "its zero")
    if scale.size != 1:
        raise sheet.refused("its steps differ from channel to channel")
    bounds = np.iinfo(np.uint8 if zero is None else zero.dtype)
    at = 0 if zero is None else int(zero.ravel()[0])
    x = sheet.unary("round", sheet.scaled(sheet.flow(0), "/", shortest(scale.ravel()[0])))
    return sheet.unary("clip", sheet.scaled(x, "+", at), low=float(bounds.min), high=float(bounds.max))


@reads("DequantizeLinear")
def read_dequantize(sheet: Sheet, step: Step) -> Value:
    """Steps as numbers again."""
    scale, zero = sheet.fixed(1, "its step"), sheet.optional(2, "its zero")
    if scale.size != 1:
        raise sheet.refused("its steps differ from channel to channel")
    x = sheet.scaled(sheet.flow(0), "-", 0 if zero is None else int(zero.ravel()[0]))
    return sheet.scaled(x, "*", shortest(scale.ravel()[0]))
