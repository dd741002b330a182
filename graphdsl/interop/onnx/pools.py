"""Pools. What ours cannot say in one word is a pool along one axis after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from graphdsl.interop.onnx.along import along_axis, chosen, rows_of
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
    if step.output(1):
        raise sheet.refused("it also gives the places of the largest numbers, and max_pool gives only these numbers")
    x = picture(sheet, sheet.flow(0))
    slide = slide_of(step, x, step.attributes["kernel_shape"])
    if len(slide.size) > 2 or set(slide.dilation) != {1}:
        return _by_axes(sheet, x, slide, _largest)
    return _pooled(sheet, x, slide, "max_pool", LOWEST)


def _pooled(sheet: Sheet, x: Flow, slide: Slide, word: str, fill: float, **more: Any) -> Flow:
    """One pool of ours; a padding that it has no word for is a layer before it."""
    shape = (*x.shape[:2], *slide.out(x.shape[2:]))
    pad = padding(sheet, x, slide)
    within = pad == "same" or (pad is not None and _below(pad, slide.size))
    if not within:
        x, slide = padded(sheet, x, slide, fill)
        pad = "valid"
    given = settings(slide, pool=True) | ({} if pad == "valid" else {"pad": pad})
    return Flow(sheet.then(x, word, size=short(slide.size), **given, **more), shape, x.order, x.batch)


def _below(pad: Any, size: Sequence[int]) -> bool:
    numbers = (0,) * len(size) if pad == "valid" else pad if isinstance(pad, tuple) else (pad,) * len(size)
    return all(p < s for p, s in zip(numbers, size, strict=True))


@reads("AveragePool")
def read_average_pool(sheet: Sheet, step: Step) -> Value:
    """Padding counts or not; what rounding up adds never does."""
    x = picture(sheet, sheet.flow(0))
    slide = slide_of(step, x, step.attributes["kernel_shape"])
    counts = bool(step.get("count_include_pad", 0))
    simple = len(slide.size) <= 2 and set(slide.dilation) == {1} and not any(slide.more)
    if simple and padding(sheet, x, slide) is not None:
        padless = not any(map(any, slide.pads))
        return _pooled(sheet, x, slide, "avg_pool", 0.0, **({"count_padding": True} if counts and not padless else {}))
    return _by_axes(sheet, x, slide, lambda s, v, axis, one: _averaged(s, v, axis, one, counts))


def _by_axes(sheet: Sheet, x: Flow, slide: Slide, along: Any) -> Flow:
    """A pool over a box is a pool along each of its axes."""
    for axis in range(len(slide.size)):
        one = Slide(
            (slide.size[axis],),
            (slide.stride[axis],),
            (slide.dilation[axis],),
            (slide.pads[axis],),
            (slide.more[axis],),
        )
        if one.size != (1,) or one.stride != (1,) or any(one.pads[0]):
            x = along(sheet, x, axis + 2, one)
    return x


def _largest(sheet: Sheet, x: Flow, axis: int, slide: Slide) -> Flow:
    """The largest along one axis: of shifted copies where there is a dilation, else a max_pool over [steps, rest]."""
    made, size = x, x.shape[axis]
    if set(slide.dilation) != {1} or any(slide.more) or any(slide.pads[0]):
        at = offsets(slide, size)
        taken = [chosen(sheet, x, axis, [min(max(row[k], 0), size - 1) for row in at]) for k in range(slide.size[0])]
        name = sheet.put("maximum", [t.name for t in taken])[0] if len(taken) > 1 else taken[0].name
        return replace(taken[0], name=name)
    rows, back = rows_of(sheet, made, axis)
    pooled = sheet.put("max_pool", (rows,), {"size": slide.size, **settings(slide, pool=True)})[0]
    return back(pooled, slide.out([size])[0])


def offsets(slide: Slide, size: int) -> list[list[int]]:
    """For each place of the window, which steps it reads; below 0 or above the size is padding."""
    lo = slide.pads[0][0]
    return [
        [at * slide.stride[0] - lo + k * slide.dilation[0] for k in range(slide.size[0])]
        for at in range(slide.out([size])[0])
    ]


def _averaged(sheet: Sheet, x: Flow, axis: int, slide: Slide, counts: bool) -> Flow:
    """The mean along one axis, as a product with a matrix of shares."""
    size = x.shape[axis]
    hi = slide.pads[0][1]
    matrix = np.zeros((size, slide.out([size])[0]), np.float32)
    for column, row in enumerate(offsets(slide, size)):
        real = [r for r in row if 0 <= r < size]
        whole = len([r for r in row if r < size + hi]) if counts else len(real)
        for r in real:
            matrix[r, column] += 1 / whole
    return along_axis(sheet, x, axis, matrix)


@reads("GlobalAveragePool", "GlobalMaxPool")
def read_global_pool(sheet: Sheet, step: Step) -> Value:
    """Over all of space."""
    x = picture(sheet, sheet.flow(0))
    word = "global_avg_pool" if step.op == "GlobalAveragePool" else "global_max_pool"
    if x.rank > 4:
        x = replace(x, name=sheet.put("reshape", (x.name,), {"shape": [prod(x.shape[2:]), x.shape[1]]})[0])
    return Flow(sheet.then(x, word), (*x.shape[:2], *(1,) * (x.rank - 2)), (1,), x.batch)


@reads("LpPool")
def read_lp_pool(sheet: Sheet, step: Step) -> Value:
    """The p-th root of the sum of p-th powers: a mean of powers, times the size of the window."""
    x = picture(sheet, sheet.flow(0))
    p = float(step.get("p", 2))
    slide = slide_of(step, x, step.attributes["kernel_shape"])
    powers = sheet.unary("square", x) if p == 2 else sheet.unary("power", sheet.unary("abs", x), exponent=p)
    if (
        len(slide.size) <= 2
        and set(slide.dilation) == {1}
        and not any(slide.more)
        and padding(sheet, x, slide) is not None
    ):
        mean = _pooled(
            sheet, powers, slide, "avg_pool", 0.0, **({"count_padding": True} if any(map(any, slide.pads)) else {})
        )
    else:
        mean = _by_axes(sheet, powers, slide, lambda s, v, axis, one: _averaged(s, v, axis, one, True))
    total = sheet.scaled(mean, "*", float(prod(slide.size)))
    return sheet.unary("sqrt", total) if p == 2 else sheet.unary("power", total, exponent=float(str(np.float32(1 / p))))
