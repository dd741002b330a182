"""Whole axes become one number; and softmax, which looks at a whole axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from graphdsl.interop.onnx.along import along_axis
from graphdsl.interop.onnx.flow import Flow, Value
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.shapes import without
from graphdsl.interop.onnx.sheet import Mixed, Sheet
from graphdsl.interop.onnx.stretch import together

NEW_AXES = {"ReduceSum": 13}
"""From which version on the axes are an input; 18 for the others."""
PLAIN = {"ReduceSum": "reduce_sum", "ReduceMean": "reduce_mean", "ReduceMax": "reduce_max", "ReduceMin": "reduce_min",
         "ReduceProd": "reduce_prod"}  # fmt: skip


@reads(*PLAIN, "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp")
def read_reduce(sheet: Sheet, step: Step) -> Value:
    """Sums, means, extremes; norms and logarithms of sums are compositions."""
    x = sheet.plain(sheet.flow(0))
    axes = _axes(sheet, step, x)
    keep = bool(step.get("keepdims", 1))
    if not axes:
        return _unreduced(sheet, step, x)
    match step.op:
        case "ReduceL1":
            return reduced(sheet, "reduce_sum", sheet.unary("abs", x), axes, keep)
        case "ReduceL2":
            return sheet.unary("sqrt", reduced(sheet, "reduce_sum", sheet.unary("square", x), axes, keep))
        case "ReduceSumSquare":
            return reduced(sheet, "reduce_sum", sheet.unary("square", x), axes, keep)
        case "ReduceLogSum":
            return sheet.unary("log", reduced(sheet, "reduce_sum", x, axes, keep))
        case "ReduceLogSumExp":
            return _log_sum_exp(sheet, x, axes, keep)
    return reduced(sheet, PLAIN[step.op], x, axes, keep)


def _axes(sheet: Sheet, step: Step, x: Flow) -> list[int]:
    """Which axes vanish; none where an empty list means so."""
    given = sheet.numbers("axes", 1)
    if not given:
        return [] if step.get("noop_with_empty_axes", 0) else list(range(x.rank))
    return sorted({x.axis(a) for a in given})


def _unreduced(sheet: Sheet, step: Step, x: Flow) -> Flow:
    word = {"ReduceL1": "abs", "ReduceL2": "abs", "ReduceSumSquare": "square", "ReduceLogSum": "log"}.get(step.op)
    return sheet.unary(word, x) if word else x


def reduced(sheet: Sheet, word: str, x: Flow, axes: Sequence[int], keep: bool) -> Flow:
    """x with these ONNX axes as one number; keeping them with size 1 costs nothing, because ours need not have them."""
    if x.batch in axes:
        raise Mixed
    gone = [a for a in x.order if a in axes]
    shape = tuple(1 if a in axes else s for a, s in enumerate(x.shape))
    order = tuple(a for a in x.order if a not in axes)
    name = x.name
    if gone:
        places = [x.place(a) for a in gone]
        if word == "reduce_mean" and order == x.order[-1:] and len(x.order) in (2, 3):
            name = sheet.then(x, "global_avg_pool")
        else:
            given: dict[str, Any] = {} if not order else {"axes": places[0] if len(places) == 1 else places}
            name = sheet.then(x, word, **given)
    made = replace(x, name=name, shape=shape, order=order, port="")
    return made if keep else without(sheet, made, list(axes))


def _log_sum_exp(sheet: Sheet, x: Flow, axes: Sequence[int], keep: bool) -> Flow:
    """The largest is taken out first, so that nothing overflows."""
    top = reduced(sheet, "reduce_max", x, axes, True)
    a, b = together(sheet, x, top)
    rest = sheet.unary("exp", replace(a, name=sheet.put("-", (a.name, b.name))[0]))
    total = sheet.unary("log", reduced(sheet, "reduce_sum", rest, axes, True))
    made = replace(total, name=sheet.put("+", (total.name, top.name))[0])
    return made if keep else without(sheet, made, list(axes))


@reads("Softmax", "LogSoftmax", "Hardmax")
def read_softmax(sheet: Sheet, step: Step) -> Value:
    """Before version 13 all axes from the given one on are one."""
    x = sheet.plain(sheet.flow(0))
    old = sheet.model.opset < 13
    axis = x.axis(int(step.get("axis", 1 if old else -1)))
    word = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Hardmax": "hardmax"}[step.op]
    together_ = [a for a in range(axis, x.rank) if x.shape[a] != 1 or a == axis] if old else [axis]
    many = [a for a in together_ if x.shape[a] != 1]
    if len(many) > 1:
        flat = sheet.reshaped(x, (prod(x.shape[:axis]), prod(x.shape[axis:])))
        return sheet.reshaped(over_last(sheet, word, sheet.plain(flat), 1), x.shape)
    return over_last(sheet, word, x, many[0] if many else axis)


def over_last(sheet: Sheet, word: str, x: Flow, axis: int) -> Flow:
    """A layer that looks along the features: this ONNX axis stands last for it."""
    if axis == x.batch:
        raise Mixed
    if x.order[-1:] != (axis,):
        rest = tuple(a for a in x.order if a != axis)
        if all(x.shape[a] == 1 for a in rest):
            rest = ()
        x = sheet.arranged(replace(x, port=""), (*rest, axis))
    return replace(x, name=sheet.then(x, word), port="")


@reads("ArgMax", "ArgMin")
def read_argmax(sheet: Sheet, step: Step) -> Value:
    """The place of the largest number along an axis."""
    x = sheet.plain(sheet.flow(0))
    axis = x.axis(int(step.get("axis", 0)))
    if axis == x.batch:
        raise Mixed
    if step.get("select_last_index", 0):
        raise sheet.refused("of equal numbers it takes the last, and argmax takes the first")
    if step.op == "ArgMin":
        x = sheet.scaled(x, "*", -1)
    if axis not in x.order:
        x = sheet.natural(x)
    name = sheet.then(x, "argmax", axis=x.place(axis) - len(x.order))
    shape = tuple(1 if a == axis else s for a, s in enumerate(x.shape))
    made = replace(x, name=name, shape=shape, order=tuple(a for a in x.order if a != axis), dtype="int64", port="")
    return made if step.get("keepdims", 1) else without(sheet, made, [axis])


@reads("CumSum")
def read_cumsum(sheet: Sheet, step: Step) -> Value:
    """A product with a matrix of zeros and ones."""
    x = sheet.plain(sheet.flow(0))
    axis = x.axis(int(np.ravel(sheet.fixed(1, "the axis"))[0]))
    if axis == x.batch:
        raise Mixed
    x = x if axis in x.order else sheet.natural(x)
    ones = np.triu(np.ones((x.shape[axis],) * 2, np.float32), 1 if step.get("exclusive", 0) else 0)
    return along_axis(sheet, x, axis, ones.T if step.get("reverse", 0) else ones)
