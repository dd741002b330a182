"""Work along one axis: parts of it, some of its places, weighted sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

from graphdsl.interop.onnx.flow import Flow
from graphdsl.interop.onnx.sheet import Sheet
from graphdsl.ir import Array


def sliced(sheet: Sheet, x: Flow, axis: int, start: int, end: int, step: int = 1) -> Flow:
    """The part of x from start to end along an ONNX axis, every step-th of it; x itself if that is all."""
    if (start, end, step) == (0, x.shape[axis], 1):
        return x
    place = x.place(axis) - len(x.order)
    given: dict[str, Any] = {"start": start} if start else {}
    given |= {} if end == x.shape[axis] else {"end": end}
    given |= ({} if place == -1 else {"axis": place}) | ({} if step == 1 else {"step": step})
    size = -(-(end - start) // step)
    name = sheet.then(x, "slice", None, **given)
    return replace(x, name=name, shape=tuple(size if a == axis else s for a, s in enumerate(x.shape)), port="")


def rows_of(sheet: Sheet, x: Flow, axis: int) -> tuple[str, Callable[[str, int], Flow]]:
    """x as [steps along an axis, all other numbers], and the function that makes x of such a tensor again."""
    order = (axis, *(a for a in x.order if a != axis))
    turned = sheet.arranged(replace(x, port=""), order)
    rest = [x.shape[a] for a in order[1:]]
    (rows,) = sheet.put("reshape", (turned.name,), {"shape": sheet.sizes([x.shape[axis], prod(rest)])})

    def back(name: str, size: int) -> Flow:
        shape = tuple(size if a == axis else s for a, s in enumerate(x.shape))
        (whole,) = sheet.put("reshape", (name,), {"shape": sheet.sizes([size, *rest])})
        return sheet.arranged(Flow(whole, shape, order, x.batch, x.dtype), x.order)

    return rows, back


def along_axis(sheet: Sheet, x: Flow, axis: int, matrix: Array) -> Flow:
    """Along an ONNX axis every new number is a weighted sum of the old: x times matrix [old, new]."""
    order = (*(a for a in x.order if a != axis), axis)
    turned = sheet.arranged(replace(x, port=""), order)
    rest = [x.shape[a] for a in order[:-1]]
    flat = turned.name
    if len(rest) > 1:
        (flat,) = sheet.put("reshape", (flat,), {"shape": sheet.sizes([prod(rest), x.shape[axis]])})
    (made,) = sheet.put("dense", (flat,), {"units": matrix.shape[1], "bias": False}, {"kernel": matrix})
    if len(rest) > 1:
        (made,) = sheet.put("reshape", (made,), {"shape": sheet.sizes([*rest, matrix.shape[1]])})
    shape = tuple(matrix.shape[1] if a == axis else s for a, s in enumerate(x.shape))
    return sheet.arranged(Flow(made, shape, order, x.batch, x.dtype), x.order)


def chosen(sheet: Sheet, x: Flow, axis: int, places: Sequence[int]) -> Flow:
    """x at these places along an ONNX axis, in this order."""
    sheet.demand_small(len(places) * 16, "its list of places")
    places = [int(p) for p in places]
    if places == list(range(places[0], places[0] + len(places))):
        return sliced(sheet, x, axis, places[0], places[-1] + 1)
    place = x.place(axis) - len(x.order)
    given: dict[str, Any] = {"places": places} | ({} if place == -1 else {"axis": place})
    name = sheet.then(x, "take", None, **given)
    return replace(x, name=name, shape=tuple(len(places) if a == axis else s for a, s in enumerate(x.shape)), port="")
