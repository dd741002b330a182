"""Whole axes become one number; and softmax, which looks at a whole axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from graphdsl.interop.onnx.flow import Flow, Value, parted, rejoined
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.shapes import without
from graphdsl.interop.onnx.sheet import Mixed, Sheet

NEW_AXES = {"ReduceSum": 13}
"""From which version on the axes are an input; 18 for the others."""
PLAIN = {
    "ReduceSum": "reduce_sum", "ReduceMean": "reduce_mean", "ReduceMax": "reduce_max", "ReduceMin": "reduce_min",
    "ReduceProd": "reduce_prod", "ReduceL1": "reduce_l1", "ReduceL2": "reduce_l2",
    "ReduceLogSumExp": "reduce_logsumexp",
}  # fmt: skip


@reads(*PLAIN, "ReduceSumSquare", "ReduceLogSum")
def read_reduce(sheet: Sheet, step: Step) -> Value:
    """Sums, means, extremes; norms and logarithms of sums are compositions."""
    x = sheet.plain(sheet.flow(0))
    axes = _axes(sheet, step, x)
    keep = bool(step.get("keepdims", 1))
    if not axes:
        return _unreduced(sheet, step, x)
    if step.op == "ReduceSumSquare":
        return reduced(sheet, "reduce_sum", sheet.unary("square", x), axes, keep)
    if step.op == "ReduceLogSum":
        return sheet.unary("log", reduced(sheet, "reduce_sum", x, axes, keep))
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


@reads("Softmax", "LogSoftmax", "Hardmax")
def read_softmax(sheet: Sheet, step: Step) -> Value:
    """Before version 13 all axes from the given one on are one."""
    word = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Hardmax": "hardmax"}[step.op]
    x, counts = parted(sheet.plain(sheet.raw_flow(0)))
    if len(counts) < x.rank:
        if counts[-1] != 1 or step.get("axis", -1) not in (-1, len(counts) - 1):
            raise Mixed
        return rejoined(over_last(sheet, word, x, x.rank - 1), counts)
    x = sheet.plain(sheet.flow(0))
    old = sheet.model.opset < 13
    axis = x.axis(int(step.get("axis", 1 if old else -1)))
    many = [a for a in (range(axis, x.rank) if old else [axis]) if x.shape[a] != 1]
    if len(many) > 1:
        flat = sheet.reshaped(x, (prod(x.shape[:axis]), prod(x.shape[axis:])))
        return sheet.reshaped(over_last(sheet, word, sheet.plain(flat), 1), x.shape)
    return over_last(sheet, word, x, many[0] if many else axis)


def over_last(sheet: Sheet, word: str, x: Flow, axis: int) -> Flow:
    """A layer that looks along one axis, by rights the features."""
    if axis == x.batch:
        raise Mixed
    if axis not in x.order:
        x = sheet.arranged(replace(x, port=""), (*x.order, axis))
    if all(x.shape[a] == 1 for a in x.order if a != axis):
        x = sheet.shown(x, (axis,))
    place = x.place(axis) - len(x.order)
    return replace(x, name=sheet.then(x, word, None, **({} if place == -1 else {"axis": place})), port="")


@reads("ArgMax", "ArgMin")
def read_argmax(sheet: Sheet, step: Step) -> Value:
    """The place of the largest number along an axis."""
    x = sheet.plain(sheet.flow(0))
    axis = x.axis(int(step.get("axis", 0)))
    if axis == x.batch:
        raise Mixed
    x = x if axis in x.order else sheet.natural(x)
    place = x.place(axis) - len(x.order)
    given: dict[str, Any] = {} if place == -1 else {"axis": place}
    given |= {"last": True} if step.get("select_last_index", 0) else {}
    name = sheet.then(x, step.op.lower(), None, **given)
    shape = tuple(1 if a == axis else s for a, s in enumerate(x.shape))
    order = tuple(a for a in x.order if a != axis)
    made = Flow(name, shape, order, x.batch, "int64", classes=x.shape[axis])
    return made if step.get("keepdims", 1) else without(sheet, made, [axis])


@reads("TopK")
def read_top_k(sheet: Sheet, step: Step) -> tuple[Value, ...]:
    """The largest numbers along an axis and where they stand."""
    x = sheet.plain(sheet.flow(0))
    axis = x.axis(int(step.get("axis", -1)))
    if axis == x.batch:
        raise Mixed
    x = x if axis in x.order else sheet.natural(x)
    found = step.get("k") if step.get("k") is not None else np.ravel(sheet.fixed(1, "how many"))[0]
    place = x.place(axis) - len(x.order)
    given: dict[str, Any] = {"k": int(found)} | ({} if place == -1 else {"axis": place})
    given |= {} if step.get("largest", 1) else {"largest": False}
    values, places = sheet.put("top_k", (x.name,), given, outputs=2)
    shape = tuple(int(found) if a == axis else s for a, s in enumerate(x.shape))
    made = replace(x, name=values, shape=shape, port="")
    return made, replace(made, name=places, dtype="int64", classes=x.shape[axis])


@reads("CumSum")
def read_cumsum(sheet: Sheet, step: Step) -> Value:
    """Along an axis that is known now."""
    x = sheet.plain(sheet.flow(0))
    axis = x.axis(int(np.ravel(sheet.fixed(1, "the axis"))[0]))
    if axis == x.batch:
        raise Mixed
    x = x if axis in x.order else sheet.natural(x)
    given: dict[str, Any] = {"axis": x.place(axis)}
    given |= {name: True for name in ("reverse", "exclusive") if step.get(name, 0)}
    return replace(x, name=sheet.then(x, "cumsum", None, **given), port="")
