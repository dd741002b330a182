"""Pools. Over more than two axes of space a pool is one along each of them."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from graphdsl.interop.onnx.along import rows_of
from graphdsl.interop.onnx.elementwise import shortest
from graphdsl.interop.onnx.flow import NONE, Flow, Value
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.shapes import class_numbers
from graphdsl.interop.onnx.sheet import Mixed, Sheet
from graphdsl.interop.onnx.windows import Slide, padded, padding, picture, settings, short, slide_of

LOWEST = -3.0e38
"""What never wins in a max_pool."""


@reads("MaxPool")
def read_max_pool(sheet: Sheet, step: Step) -> Value | tuple[Value, ...]:
    """Padding never wins."""
    x = picture(sheet, sheet.flow(0))
    if sheet.wants(1):
        return _with_places(sheet, step, x)
    return pooled(sheet, x, slide_of(step, x, step.attributes["kernel_shape"]), "max_pool", LOWEST)


def _with_places(sheet: Sheet, step: Step, x: Flow) -> tuple[Value, ...]:
    """ONNX counts places through the whole batch, ours within a channel: right for who puts numbers back there."""
    if step.get("storage_order", 0):
        raise sheet.refused("it counts places by columns, and ours by rows")
    slide = slide_of(step, x, step.attributes["kernel_shape"])
    names = sheet.put("max_pool_places", (x.name,), {"size": short(slide.size), **_told(sheet, x, slide)}, outputs=2)
    y = Flow(names[0], (*x.shape[:2], *slide.out(x.shape[2:])), x.order, x.batch)
    count = prod(x.shape[2:])
    places = replace(y, name=names[1], dtype="int64", classes=count)
    if (
        all(s.op == "MaxUnpool" for s in sheet.model.steps if step.output(1) in s.inputs)
        and step.output(1) not in sheet.model.outputs
    ):
        return y, replace(places, local=True)
    if x.batch != NONE:
        raise Mixed
    floats = replace(places, name=sheet.put("to_float", (places.name,))[0], classes=0)
    return y, counted(sheet, floats, x.shape[1], count)


def counted(sheet: Sheet, places: Flow, channels: int, count: int) -> Flow:
    """Places within a channel as places within a sample; with a count below 0 the other way."""
    if channels == 1:
        return places
    steps = {"beta": np.arange(channels, dtype=np.float32) * count}
    return replace(places, name=sheet.then(places, "scale", steps, scale=False))


@reads("MaxUnpool")
def read_max_unpool(sheet: Sheet, step: Step) -> Value:
    """Numbers put back where a max_pool found them; what output_shape adds is behind the end."""
    x = picture(sheet, sheet.flow(0))
    slide = slide_of(step, x, step.attributes["kernel_shape"])
    parts = zip(x.shape[2:], slide.size, slide.stride, slide.pads, strict=True)
    sizes = tuple((n - 1) * s + k - lo - hi for n, k, s, (lo, hi) in parts)
    wanted = sheet.optional(2, "the shape")
    places = sheet.raw_flow(1)
    if not places.local:
        if places.batch != NONE:
            raise Mixed
        if x.shape[1] > 1:
            places = counted(sheet, sheet.arranged(sheet.flow(1), x.order), x.shape[1], -prod(sizes))
        places = class_numbers(sheet, places, prod(sizes))
    places = sheet.arranged(places, x.order)
    (name,) = sheet.put("max_unpool", (x.name, places.name), {"shape": sheet.sizes(sizes)})
    made = Flow(name, (*x.shape[:2], *sizes), x.order, x.batch)
    more = (
        (0,) * len(sizes)
        if wanted is None
        else tuple(int(w) - s for w, s in zip(wanted[-len(sizes) :], sizes, strict=True))
    )
    if not any(more):
        return made
    name = sheet.then(made, "pad", None, start=0, end=short(more))
    return replace(made, name=name, shape=(*x.shape[:2], *(s + m for s, m in zip(sizes, more, strict=True))))


@reads("AveragePool")
def read_average_pool(sheet: Sheet, step: Step) -> Value:
    """Padding counts or not; what rounding up adds never does."""
    x = picture(sheet, sheet.flow(0))
    slide = slide_of(step, x, step.attributes["kernel_shape"])
    counts = step.get("count_include_pad", 0) and any(map(any, slide.pads))
    more = {"count_padding": True} if counts else {}
    return pooled(sheet, x, slide, "avg_pool", 0.0, **more)


@reads("LpPool")
def read_lp_pool(sheet: Sheet, step: Step) -> Value:
    """The length of each window's numbers."""
    x = picture(sheet, sheet.flow(0))
    p = float(step.get("p", 2))
    slide = slide_of(step, x, step.attributes["kernel_shape"])
    if len(slide.size) < 4:
        return pooled(sheet, x, slide, "lp_pool", 0.0, **({} if p == 2 else {"p": p}))
    powers = sheet.unary("power", sheet.unary("abs", x), exponent=p)
    mean = pooled(
        sheet, powers, slide, "avg_pool", 0.0, **({"count_padding": True} if any(map(any, slide.pads)) else {})
    )
    total = sheet.scaled(mean, "*", float(prod(slide.size)))
    return sheet.unary("power", total, exponent=shortest(1 / p))


def pooled(sheet: Sheet, x: Flow, slide: Slide, word: str, fill: float, **more: Any) -> Flow:
    """One pool of ours, or one along each axis; a padding that it cannot have is a layer before it."""
    if not _below(slide):
        x, slide = padded(sheet, x, slide, fill)
    shape = (*x.shape[:2], *slide.out(x.shape[2:]))
    if len(slide.size) < 4:
        name = sheet.then(x, word, None, size=short(slide.size), **_told(sheet, x, slide), **more)
        return Flow(name, shape, x.order, x.batch)
    for axis in range(len(slide.size)):
        x = _along(sheet, x, axis + 2, slide.only(axis), word, more)
    return x


def _told(sheet: Sheet, x: Flow, slide: Slide) -> dict[str, Any]:
    pad = padding(sheet, x, slide)
    return (
        settings(slide, pool=True)
        | ({} if pad == "valid" else {"pad": pad})
        | ({"ceil": True} if any(slide.more) else {})
    )


def _below(slide: Slide) -> bool:
    return all(max(pad) < size for pad, size in zip(slide.pads, slide.size, strict=True))


def _along(sheet: Sheet, x: Flow, axis: int, slide: Slide, word: str, more: dict[str, Any]) -> Flow:
    """A pool over [steps, all other numbers]."""
    if slide.size == (1,) and slide.stride == (1,):
        return x
    rows, back = rows_of(sheet, x, axis)
    steps = Flow(rows, (1, 1, x.shape[axis]), (2, 1), x.batch)
    name = sheet.then(steps, word, None, size=slide.size[0], **_told(sheet, steps, slide), **more)
    return back(name, slide.out([x.shape[axis]])[0])


@reads("GlobalAveragePool", "GlobalMaxPool")
def read_global_pool(sheet: Sheet, step: Step) -> Value:
    """Over all of space."""
    x = picture(sheet, sheet.flow(0))
    word = "global_avg_pool" if step.op == "GlobalAveragePool" else "global_max_pool"
    if x.rank > 4:
        x = replace(x, name=sheet.put("reshape", (x.name,), {"shape": sheet.sizes([prod(x.shape[2:]), x.shape[1]])})[0])
    return Flow(sheet.then(x, word), (*x.shape[:2], *(1,) * (x.rank - 2)), (1,), x.batch)
