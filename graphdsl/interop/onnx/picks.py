"""Single numbers taken from a whole sample, or put into it, at places that are known now."""

from __future__ import annotations

from math import prod

import numpy as np

from graphdsl.interop.onnx.along import along_axis, chosen
from graphdsl.interop.onnx.elementwise import per_element
from graphdsl.interop.onnx.flow import NONE, Flow, Value
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.shapes import class_numbers
from graphdsl.interop.onnx.sheet import Mixed, Sheet
from graphdsl.interop.onnx.stretch import together
from graphdsl.ir import Array


@reads("GatherElements", "GatherND")
def read_picked(sheet: Sheet, step: Step) -> Value:
    """Single numbers at places that are known now: where these stand is worked out, and they are taken from one row."""
    x = sheet.plain(sheet.flow(0))
    if isinstance(places := sheet.raw(1), Flow) and step.op == "GatherElements":
        return _computed(sheet, step, x, places)
    if x.batch != NONE:
        raise Mixed
    indices = sheet.fixed(1, "which numbers are taken").astype(np.int64)
    sheet.demand_small(prod(x.shape), "its list of places")
    places = np.arange(prod(x.shape)).reshape(x.shape)
    if step.op == "GatherElements":
        picked = np.take_along_axis(places, indices, axis=x.axis(int(step.get("axis", 0))))
    else:
        picked = _gathered(places, indices, int(step.get("batch_dims", 0)))
    return picked_from(sheet, x, picked)


def _computed(sheet: Sheet, step: Step, x: Flow, places: Flow) -> Flow:
    """At places that are computed, within each sample."""
    axis = x.axis(int(step.get("axis", 0)))
    if x.batch != places.batch or axis == x.batch:
        raise Mixed
    x, places = sheet.natural(x), sheet.natural(class_numbers(sheet, places, x.shape[axis]))
    place = x.place(axis) - len(x.order)
    (name,) = sheet.put("gather_elements", (x.name, places.name), {} if place == -1 else {"axis": place})
    return Flow(name, places.shape, places.order, x.batch, x.dtype)


def _gathered(data: Array, indices: Array, batch: int) -> Array:
    if batch:
        return np.stack([_gathered(d, i, batch - 1) for d, i in zip(data, indices, strict=True)])
    return np.asarray(data[tuple(np.moveaxis(indices, -1, 0))])


def picked_from(sheet: Sheet, x: Flow, places: Array) -> Flow:
    """The numbers of a whole sample at these places, counted in ONNX's row order."""
    row = sheet.reshaped(sheet.natural(x), (prod(x.shape),))
    flat = chosen(sheet, row, 0, [int(p) for p in places.ravel()])
    return sheet.reshaped(flat, places.shape)


@reads("ScatterElements", "ScatterND")
def read_scatter(sheet: Sheet, step: Step) -> Value:
    """Numbers put, or added, at places that are known now: what is replaced becomes 0, and a matrix puts the others."""
    x, updates = sheet.plain(sheet.flow(0)), sheet.plain(sheet.flow(2))
    reduction = step.get("reduction", "none")
    if reduction not in ("none", "add"):
        raise sheet.refused(f"it takes the {reduction} of what meets, and only sums are products with matrices")
    if x.batch != NONE:
        raise Mixed
    indices = sheet.fixed(1, "the places").astype(np.int64)
    sheet.demand_small(prod(x.shape) * max(prod(updates.shape), 1), "its matrix")
    places = _places(step, x, indices)
    matrix = np.zeros((places.size, prod(x.shape)), np.float32)
    for number, place in enumerate(places.ravel()):
        if reduction == "none":
            matrix[:, place] = 0
        matrix[number, place] = 1
    row = sheet.reshaped(sheet.natural(updates), (prod(updates.shape),))
    put = sheet.reshaped(along_axis(sheet, row, 0, matrix), x.shape)
    if reduction == "none":
        x = per_element(sheet, x, 1 - matrix.max(axis=0).reshape(x.shape))
    a, b = together(sheet, x, put)
    return Flow(sheet.put("+", (a.name, b.name))[0], a.shape, a.order, a.batch, x.dtype)


def _places(step: Step, x: Flow, indices: Array) -> Array:
    """For each number that is put: where, counted in row order."""
    every = np.arange(prod(x.shape)).reshape(x.shape)
    if step.op == "ScatterND":
        return np.asarray(every[tuple(np.moveaxis(indices, -1, 0))])
    axis = x.axis(int(step.get("axis", 0)))
    whole: list[Array] = list(np.indices(indices.shape))
    whole[axis] = np.where(indices < 0, indices + x.shape[axis], indices)
    return np.asarray(every[tuple(whole)])
