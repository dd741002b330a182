"""Convolutions. ONNX's kernels are [filters, channels, window...], ours [window..., channels, filters]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from graphdsl.interop.onnx.flow import NONE, Flow, Value
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.sheet import Mixed, Sheet
from graphdsl.interop.onnx.windows import Pads, Slide, padded, padding, picture, settings, short, slide_of
from graphdsl.ir import Array


def _row(bias: Array | None) -> Array | None:
    return None if bias is None else bias.reshape(-1)


def _kernel_size(step: Step, kernel: Array) -> tuple[int, ...]:
    return tuple(int(k) for k in kernel.shape[2:])


@reads("Conv")
def read_conv(sheet: Sheet, step: Step) -> Value:
    """W is [filters, channels / groups, window...]; ours has the window first."""
    kernel = sheet.fixed(1, "its kernel").astype(np.float32)
    bias = _row(sheet.optional(2, "its bias"))
    x = picture(sheet, sheet.flow(0))
    slide = slide_of(step, x, _kernel_size(step, kernel))
    groups, filters = int(step.get("group", 1)), kernel.shape[0]
    _demand_channels(sheet, x, kernel.shape[1] * groups)
    pad = padding(sheet, x, slide)
    shape = (x.shape[0], filters, *slide.out(x.shape[2:]))
    weights = {"kernel": kernel.transpose((*range(2, kernel.ndim), 1, 0)), **({} if bias is None else {"bias": bias})}
    given: dict[str, Any] = settings(slide) | ({} if pad == "valid" else {"pad": pad})
    if bias is None:
        given["bias"] = False
    if groups == x.shape[1] > 1:
        more = {"multiplier": filters // groups} if filters != groups else {}
        name = sheet.then(x, "depthwise_conv", weights, size=short(slide.size), **given, **more)
    else:
        given |= {"groups": groups} if groups > 1 else {}
        name = sheet.then(x, "conv", weights, filters=filters, size=short(slide.size), **given)
    return Flow(name, shape, x.order, x.batch)


def _demand_channels(sheet: Sheet, x: Flow, channels: int) -> None:
    if x.shape[1] != channels:
        raise ValueError(f"its kernel reads {channels} channels, and there are {x.shape[1]}")


@reads("ConvTranspose")
def read_conv_transpose(sheet: Sheet, step: Step) -> Value:
    """W is [channels, filters / groups, window...]."""
    kernel = sheet.fixed(1, "its kernel").astype(np.float32)
    bias = _row(sheet.optional(2, "its bias"))
    x = picture(sheet, sheet.flow(0))
    _demand_channels(sheet, x, kernel.shape[0])
    size, groups = _kernel_size(step, kernel), int(step.get("group", 1))
    axes = len(size)
    stride = tuple(step.get("strides", [1] * axes))
    dilation = tuple(step.get("dilations", [1] * axes))
    pads, extra = _transposed(step, x, size, stride, dilation)
    filters = kernel.shape[1] * groups
    weights = {"kernel": kernel.transpose((*range(2, kernel.ndim), 1, 0)), **({} if bias is None else {"bias": bias})}
    given = settings(Slide(size, stride, dilation, ((0, 0),) * axes, (0,) * axes))
    given |= ({"groups": groups} if groups > 1 else {}) | ({"bias": False} if bias is None else {})
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    full = [(n - 1) * s + r for n, s, r in zip(x.shape[2:], stride, reach, strict=True)]
    border = step.get("border", [0] * 2 * axes)
    parts = zip(pads, extra, border[:axes], border[axes:], strict=True)
    cut = [(lo + before, hi - e + behind) for (lo, hi), e, before, behind in parts]
    told = _cut_settings(cut, stride)
    name = sheet.then(x, "conv_transpose", weights, filters=filters, size=short(size), **given, **(told or {}))
    shape = (x.shape[0], filters, *(f - lo - hi for f, (lo, hi) in zip(full, cut, strict=True)))
    made = Flow(name, (*shape[:2], *(shape[2:] if told is not None else full)), x.order, x.batch)
    return made if told is not None else _cropped(sheet, made, cut)


def _transposed(
    step: Step, x: Flow, size: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[Pads, tuple[int, ...]]:
    """What is cut off on both sides, and what is put behind the end. output_shape decides about the cut."""
    axes = len(size)
    extra = tuple(step.get("output_padding", [0] * axes))
    wanted, auto = step.get("output_shape"), step.get("auto_pad", "NOTSET")
    if wanted is None and auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [n * s for n, s in zip(x.shape[2:], stride, strict=True)]
    if wanted is None:
        given = list(step.get("pads", [0] * 2 * axes))
        return tuple(zip(given[:axes], given[axes:], strict=True)), extra
    wanted = list(wanted)[-axes:]
    parts = zip(x.shape[2:], size, stride, dilation, extra, wanted, strict=True)
    totals = [s * (n - 1) + e + (k - 1) * d + 1 - w for n, k, s, d, e, w in parts]
    small = [t // 2 for t in totals]
    if auto == "SAME_UPPER":
        return tuple((t, total - t) for t, total in zip(small, totals, strict=True)), extra
    return tuple((total - t, t) for t, total in zip(small, totals, strict=True)), extra


def _cut_settings(cut: Sequence[tuple[int, int]], stride: Sequence[int]) -> dict[str, Any] | None:
    """pad and output_pad of ours; None where they cannot say it and a slice or a pad must follow."""
    more = [lo - hi for lo, hi in cut]
    if all(lo >= 0 and 0 <= m < s for (lo, _), m, s in zip(cut, more, stride, strict=True)):
        pad: dict[str, Any] = {"pad": short([lo for lo, _ in cut])} if any(lo for lo, _ in cut) else {}
        return pad | ({"output_pad": short(more)} if any(more) else {})
    if all(lo >= 0 and hi >= 0 for lo, hi in cut):
        return {"pad": [*(lo for lo, _ in cut), *(hi for _, hi in cut)]}
    return None


def _cropped(sheet: Sheet, x: Flow, cut: Sequence[tuple[int, int]]) -> Flow:
    """x without so many places at both ends of each axis of space; with zeros more where the number is below 0."""
    start = tuple(max(-lo, 0) for lo, _ in cut)
    end = tuple(max(-hi, 0) for _, hi in cut)
    if any(start) or any(end):
        slide = Slide(start, start, start, tuple(zip(start, end, strict=True)), (0,) * len(start))
        x, _ = padded(sheet, x, slide)
    around = [max(lo, 0) for lo, _ in cut], [max(hi, 0) for _, hi in cut]
    if not any(map(any, around)):
        return x
    told: Any = short(around[0]) if around[0] == around[1] else [*around[0], *around[1]]
    sizes = (n - lo - hi for n, lo, hi in zip(x.shape[2:], *around, strict=True))
    return replace(x, name=sheet.then(x, "crop", None, start=told), shape=(*x.shape[:2], *sizes), port="")


@reads("Col2Im")
def read_col2im(sheet: Sheet, step: Step) -> Value:
    """Columns painted back into a picture, where they overlap added up: a transposed convolution with ones."""
    image, block = ([int(n) for n in sheet.fixed(k, what)] for k, what in ((1, "the picture"), (2, "the block")))
    x, axes = sheet.plain(sheet.flow(0)), len(image)
    if x.batch not in (0, NONE) or (x.batch == NONE and x.shape[0] != 1):
        raise Mixed
    stride, dilation = tuple(step.get("strides", [1] * axes)), tuple(step.get("dilations", [1] * axes))
    pads = list(step.get("pads", [0] * 2 * axes))
    cut = list(zip(pads[:axes], pads[axes:], strict=True))
    parts = zip(image, block, stride, dilation, cut, strict=True)
    rows = [(n + lo + hi - (k - 1) * d - 1) // s + 1 for n, k, s, d, (lo, hi) in parts]
    size, channels = prod(block), x.shape[1] // prod(block)
    x = sheet.arranged(x, (2, 1))
    name = sheet.viewed(x.name, x.written, (*rows, channels * size))
    kernel = np.tile(np.eye(size, dtype=np.float32), (1, channels)).reshape(*block, 1, channels * size)
    given = settings(Slide(tuple(block), stride, dilation, ((0, 0),) * axes, (0,) * axes))
    given |= ({"groups": channels} if channels > 1 else {}) | {"bias": False} | (_cut_settings(cut, stride) or {})
    (name,) = sheet.put(
        "conv_transpose", (name,), {"filters": channels, "size": short(block), **given}, {"kernel": kernel}
    )
    return Flow(name, (x.shape[0], channels, *image), (*range(2, 2 + axes), 1), x.batch)


@reads("Crop")
def read_crop(sheet: Sheet, step: Step) -> Value:
    """An operator of early exporters: border is left, top, right, bottom."""
    x = picture(sheet, sheet.flow(0))
    left, top, right, bottom = step.get("border", [0, 0, 0, 0])
    if scale := step.get("scale"):
        bottom, right = x.shape[2] - top - scale[0], x.shape[3] - left - scale[1]
    return _cropped(sheet, x, [(top, bottom), (left, right)])
