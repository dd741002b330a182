"""Pools. Over more than two axes of space a pool is one along each of them."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from graphdsl.interop.onnx.along import rows_of
from graphdsl.interop.onnx.flow import Flow, Value
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.sheet import Sheet
from graphdsl.interop.onnx.windows import Slide, padded, padding, picture, settings, short, slide_of

LOWEST = -3.0e38
"""What never wins in a max_pool."""


@reads("MaxPool")
def read_max_pool(sheet: Sheet, step: Step) -> Value:
    """Padding never wins."""
    if sheet.wants(1):
        raise sheet.refused("it also gives the places of the largest numbers, and max_pool gives only these numbers")
    x = picture(sheet, sheet.flow(0))
    return pooled(sheet, x, slide_of(step, x, step.attributes["kernel_shape"]), "max_pool", LOWEST)


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
    if len(slide.size) < 3:
        return pooled(sheet, x, slide, "lp_pool", 0.0, **({} if p == 2 else {"p": p}))
    powers = sheet.unary("power", sheet.unary("abs", x), exponent=p)
    mean = pooled(
        sheet, powers, slide, "avg_pool", 0.0, **({"count_padding": True} if any(map(any, slide.pads)) else {})
    )
    total = sheet.scaled(mean, "*", float(prod(slide.size)))
    return sheet.unary("power", total, exponent=float(str(np.float32(1 / p))))


def pooled(sheet: Sheet, x: Flow, slide: Slide, word: str, fill: float, **more: Any) -> Flow:
    """One pool of ours, or one along each axis; a padding that it cannot have is a layer before it."""
    if not _below(slide):
        x, slide = padded(sheet, x, slide, fill)
    shape = (*x.shape[:2], *slide.out(x.shape[2:]))
    if len(slide.size) < 3:
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
