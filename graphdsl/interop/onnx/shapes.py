"""Operators that move numbers about and calculate nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from graphdsl.interop.onnx.along import chosen, sliced
from graphdsl.interop.onnx.elementwise import last
from graphdsl.interop.onnx.flow import NONE, Flow, Value, moved, parted, thick
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.sheet import Mixed, Sheet, Turned
from graphdsl.interop.onnx.stretch import stretched, widened


@reads("Shape")
def read_shape(sheet: Sheet, step: Step) -> Value:
    shape = sheet.raw_flow(0).joined
    return np.asarray(shape[step.get("start", 0) : step.get("end")], np.int64)


@reads("Size")
def read_size(sheet: Sheet, step: Step) -> Value:
    return np.asarray(prod(sheet.flow(0).shape), np.int64)


@reads("Reshape")
def read_reshape(sheet: Sheet, step: Step) -> Value:
    """0 keeps a size, -1 is what is left."""
    x = sheet.raw_flow(0)
    have = x.joined
    shape = sheet.numbers("shape", 1) or []
    if not step.get("allowzero", 0):
        shape = [have[a] if s == 0 else s for a, s in enumerate(shape)]
    known = prod(s for s in shape if s != -1)
    return sheet.reshaped(parted(x)[0], [prod(have) // max(known, 1) if s == -1 else s for s in shape])


@reads("Flatten")
def read_flatten(sheet: Sheet, step: Step) -> Value:
    x = sheet.whole_flow(0)
    axis = step.get("axis", 1)
    axis = axis + x.rank if axis < 0 else axis
    return sheet.reshaped(x, (prod(x.shape[:axis]), prod(x.shape[axis:])))


@reads("Transpose")
def read_transpose(sheet: Sheet, step: Step) -> Value:
    x = sheet.plain(sheet.raw_flow(0))
    perm = step.get("perm", range(len(x.joined))[::-1])
    return replace(x, groups=tuple(x.groups[a] for a in perm)) if x.groups else moved(x, perm)


@reads("Squeeze")
def read_squeeze(sheet: Sheet, step: Step) -> Value:
    """Axes of size 1 vanish, most often at no cost."""
    x = sheet.plain(sheet.whole_flow(0))
    given = sheet.numbers("axes", 1)
    axes = (
        [a for a, s in enumerate(x.shape) if s == 1 and a != x.batch] if given is None else [x.axis(a) for a in given]
    )
    if any(x.shape[a] != 1 for a in axes):
        raise ValueError(f"axes {axes} of {x.shape} cannot be squeezed")
    return without(sheet, x, axes)


def without(sheet: Sheet, x: Flow, axes: Sequence[int]) -> Flow:
    """x without these ONNX axes of size 1."""
    if x.batch in axes:
        raise Mixed
    if any(a in x.order for a in axes):
        x = sheet.shown(x, tuple(a for a in x.order if a not in axes))
    kept = [a for a in range(x.rank) if a not in axes]
    new = {old: at for at, old in enumerate(kept)}
    shape = tuple(x.shape[a] for a in kept)
    return replace(x, shape=shape, order=tuple(new[a] for a in x.order), batch=new.get(x.batch, NONE), port="")


@reads("Unsqueeze")
def read_unsqueeze(sheet: Sheet, step: Step) -> Value:
    """Axes of size 1 appear, at no cost."""
    x = sheet.plain(sheet.whole_flow(0))
    given = sheet.numbers("axes", 1) or []
    rank = x.rank + len(given)
    axes = {a % rank for a in given}
    kept = [a for a in range(rank) if a not in axes]
    shape = list(x.shape)
    whole = tuple(1 if a in axes else shape.pop(0) for a in range(rank))
    batch = kept[x.batch] if x.batch != NONE else NONE
    return replace(x, shape=whole, order=tuple(kept[a] for a in x.order), batch=batch, port="")


@reads("Concat")
def read_concat(sheet: Sheet, step: Step) -> Value:
    """Along an axis of ours, wherever it stands."""
    flows = [sheet.plain(sheet.flow(i)) for i in range(len(step.inputs))]
    axis = flows[0].axis(int(step.get("axis", 1)))
    if axis == flows[0].batch or len({f.batch for f in flows}) > 1:
        raise Mixed
    if len(flows) == 1:
        return flows[0]
    order = _common(flows, axis)
    same = [sheet.arranged(f, order) for f in flows]
    place = order.index(axis) - len(order)
    name = sheet.put("concat", [f.name for f in same], {} if place == -1 else {"axis": place})[0]
    shape = tuple(sum(f.shape[a] for f in flows) if a == axis else s for a, s in enumerate(flows[0].shape))
    return Flow(name, shape, order, flows[0].batch, flows[0].dtype)


def _common(flows: Sequence[Flow], axis: int) -> tuple[int, ...]:
    """An order with all axes of size above 1, and this one: that of the tensor with most axes, rather of no input."""
    lead = max(flows, key=lambda f: (len(thick(f.shape, f.order)), axis in f.order, not f.port))
    if axis in lead.order and all(a in lead.order for f in flows for a in thick(f.shape, f.order)):
        return lead.order
    return flows[0].axes


@reads("Split")
def read_split(sheet: Sheet, step: Step) -> tuple[Value, ...]:
    """Into parts of given sizes, or of equal ones."""
    x = sheet.plain(sheet.flow(0))
    axis = x.axis(int(step.get("axis", 0)))
    if axis == x.batch:
        raise Mixed
    parts = len(step.outputs)
    sizes = sheet.numbers("split", 1)
    if sizes is None:
        each = -(-x.shape[axis] // parts)
        sizes = [min(each, x.shape[axis] - k * each) for k in range(parts)]
    if min(sizes) < 1 or sum(sizes) != x.shape[axis]:
        raise sheet.refused(f"{x.shape[axis]} is split into {sizes}, and no part may be empty")
    if len(sizes) == 1:
        return (x,)
    x = x if axis in x.order else sheet.natural(x)
    place = x.place(axis) - len(x.order)
    told = len(sizes) if len(set(sizes)) == 1 else list(sizes)
    given: dict[str, Any] = {"parts": told} | ({} if place == -1 else {"axis": place})
    names = sheet.put("split", (x.name,), given, outputs=len(sizes))
    return tuple(
        Flow(n, tuple(size if a == axis else s for a, s in enumerate(x.shape)), x.order, x.batch, x.dtype)
        for n, size in zip(names, sizes, strict=True)
    )


@reads("Slice")
def read_slice(sheet: Sheet, step: Step) -> Value:
    """A slice for each axis; with steps, the places that are kept."""
    x = sheet.plain(sheet.flow(0))
    starts, ends = sheet.numbers("starts", 1) or [], sheet.numbers("ends", 2) or []
    axes = sheet.numbers("axes", 3 if step.get("starts") is None else 0)
    steps = sheet.numbers("steps", 4 if step.get("starts") is None else 0)
    axes = list(range(len(starts))) if axes is None else axes
    for start, end, axis, stride in zip(starts, ends, axes, steps or [1] * len(starts), strict=True):
        x = _strided(sheet, x, x.axis(axis), slice(start, end, stride))
    return x


def _strided(sheet: Sheet, x: Flow, axis: int, part: slice) -> Flow:
    places = range(x.shape[axis])[part]
    if len(places) == x.shape[axis] and places.step == 1:
        return x
    if axis == x.batch:
        raise Mixed
    if not places:
        raise sheet.refused("nothing is left of it")
    x = x if axis in x.order else sheet.natural(x)
    if places.step > 0:
        return sliced(sheet, x, axis, places.start, min(places.stop, x.shape[axis]), places.step)
    return chosen(sheet, x, axis, places)


@reads("Gather")
def read_gather(sheet: Sheet, step: Step) -> Value:
    """Constant places are slices; places that flow in read an embedding."""
    data, places = sheet.raw(0), sheet.raw(1)
    assert data is not None and places is not None
    if isinstance(places, Flow):
        return _looked_up(sheet, step, data, sheet.plain(places))
    x = sheet.plain(sheet.flow(0))
    axis = x.axis(int(step.get("axis", 0)))
    if axis == x.batch:
        raise Mixed
    x = x if axis in x.order else sheet.natural(x)
    picked = chosen(sheet, x, axis, [int(p) % x.shape[axis] for p in places.ravel()])
    if places.ndim == 0:
        return without(sheet, picked, [axis])
    return sheet.reshaped(picked, (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


def _looked_up(sheet: Sheet, step: Step, data: Value, places: Flow) -> Flow:
    """Rows of a constant table are an embedding; of one sample, anything can be taken at computed places."""
    axis = int(step.get("axis", 0))
    if isinstance(data, np.ndarray) and data.ndim == 2 and axis % 2 == 0:
        places = class_numbers(sheet, places, len(data))
        rows = places.classes
        table = np.concatenate([data, np.zeros((max(rows - len(data), 0), data.shape[1]), data.dtype)])[:rows]
        name = sheet.then(places, "embedding", {"table": table}, features=int(data.shape[1]))
        return Flow(name, (*places.shape, data.shape[1]), (*places.order, places.rank), places.batch)
    x = sheet.plain(sheet.flow(0))
    if x.batch != NONE:
        raise Mixed
    axis = x.axis(axis)
    x, places = sheet.natural(x), sheet.natural(class_numbers(sheet, places, x.shape[axis]))
    (name,) = sheet.put("gather", (x.name, places.name), {"axis": axis})
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    return Flow(name, shape, tuple(range(len(shape))), NONE, x.dtype)


def class_numbers(sheet: Sheet, x: Flow, below: int) -> Flow:
    """x as whole numbers below this. An input becomes one that holds such; what is calculated is rounded."""
    if x.port and x.classes < below:
        raise Turned(x.port, classes=below)
    if x.classes:
        return x
    return replace(x, name=sheet.then(x, "to_int", None, classes=below), classes=below)


@reads("Expand")
def read_expand(sheet: Sheet, step: Step) -> Value:
    """Axes of size 1 grow."""
    x = sheet.plain(sheet.flow(0))
    wanted = [int(s) for s in sheet.fixed(1, "the shape")]
    wide = widened(x, max(x.rank, len(wanted)))
    target = (1,) * (wide.rank - len(wanted)) + tuple(wanted)
    shape = tuple(int(s) for s in np.broadcast_shapes(wide.shape, target))
    if shape == wide.shape:
        return wide
    if wide.batch != NONE and shape[wide.batch] != wide.shape[wide.batch]:
        raise Mixed
    return stretched(sheet, sheet.arranged(wide, wide.axes) if _hidden(wide, shape) else wide, shape)


def _hidden(x: Flow, shape: Sequence[int]) -> bool:
    """Whether an axis that grows is left out of our tensor."""
    return any(s != own and a not in x.order for a, (s, own) in enumerate(zip(shape, x.shape, strict=True)))


@reads("Tile")
def read_tile(sheet: Sheet, step: Step) -> Value:
    """Copies side by side, axis by axis."""
    x = sheet.plain(sheet.flow(0))
    repeats = [int(n) for n in sheet.fixed(1, "how often")]
    if min(repeats) < 1 or (x.batch != NONE and repeats[x.batch] != 1):
        raise Mixed
    if any(n > 1 and a not in x.order for a, n in enumerate(repeats)):
        x = sheet.natural(x)
    name = sheet.then(x, "tile", None, times=sheet.sizes([repeats[a] for a in x.order]))
    return replace(x, name=name, shape=tuple(s * n for s, n in zip(x.shape, repeats, strict=True)), port="")


@reads("DepthToSpace", "SpaceToDepth")
def read_depth(sheet: Sheet, step: Step) -> Value:
    """Channels become places, or the other way."""
    x = sheet.plain(sheet.flow(0))
    if x.batch not in (0, NONE) or (x.batch == NONE and x.shape[0] != 1):
        raise Mixed
    x = sheet.arranged(x, last(x))
    block = int(step.attributes["blocksize"])
    height, width, channels = x.shape[2], x.shape[3], x.shape[1]
    if step.op == "SpaceToDepth":
        name = sheet.then(x, "space_to_depth", None, size=block)
        return Flow(name, (x.shape[0], channels * block**2, height // block, width // block), x.order, x.batch, x.dtype)
    more = {} if step.get("mode", "DCR") == "DCR" else {"order": "channel"}
    name = sheet.then(x, "depth_to_space", None, size=block, **more)
    return Flow(name, (x.shape[0], channels // block**2, height * block, width * block), x.order, x.batch, x.dtype)


@reads("ChannelShuffle")
def read_channel_shuffle(sheet: Sheet, step: Step) -> Value:
    """What the pattern of a channel shuffle became. The groups are the outer axis in ONNX and in ours."""
    x = sheet.flow(0)
    if x.batch not in (0, NONE) or (x.batch == NONE and x.shape[0] != 1):
        raise Mixed
    x = sheet.arranged(x, last(x))
    return replace(x, name=sheet.then(x, "channel_shuffle", None, groups=int(step.attributes["groups"])), port="")


@reads("Pad")
def read_pad(sheet: Sheet, step: Step) -> Value:
    """Numbers below 0 cut off; then our pad."""
    x = sheet.plain(sheet.flow(0))
    pads = sheet.numbers("pads", 1) or sheet.numbers("paddings", 0) or []
    value = sheet.optional(2, "the value")
    fill = float(step.get("value", 0.0)) if value is None else float(np.ravel(value)[0])
    given = sheet.numbers("axes", 3)
    axes = range(x.rank) if given is None else [x.axis(a) for a in given]
    borders = {a: (lo, hi) for a, lo, hi in zip(axes, pads, pads[len(pads) // 2 :], strict=False) if (lo, hi) != (0, 0)}
    if x.batch in borders:
        raise Mixed
    if any(a not in x.order for a in borders):
        x = sheet.natural(x)
    for axis, (lo, hi) in borders.items():
        x = sliced(sheet, x, axis, max(-lo, 0), x.shape[axis] - max(-hi, 0))
    grown = {a: (max(lo, 0), max(hi, 0)) for a, (lo, hi) in borders.items() if lo > 0 or hi > 0}
    mode = step.get("mode", "constant")
    return _bordered(sheet, x, grown, mode, fill) if grown else x


def _bordered(sheet: Sheet, x: Flow, borders: dict[int, tuple[int, int]], mode: str, fill: float) -> Flow:
    """Our pad, which leaves the last axis alone; where that grows too, an axis of size 1 stands behind it meanwhile."""
    sizes = [borders.get(a, (0, 0)) for a in x.order]
    behind = len(sizes) == 1 or any(sizes[-1])
    name = x.name
    if behind:
        (name,) = sheet.put("reshape", (name,), {"shape": sheet.sizes([*x.written, 1])})
        sizes.append((0, 0))
    start, end = tuple(lo for lo, _ in sizes[:-1]), tuple(hi for _, hi in sizes[:-1])
    given: dict[str, Any] = {"start": _one(start)} | ({"end": _one(end)} if end != start else {})
    given |= {"mode": mode} if mode != "constant" else {}
    given |= {"value": fill} if fill else {}
    (name,) = sheet.put("pad", (name,), given)
    shape = tuple(s + sum(borders.get(a, (0, 0))) for a, s in enumerate(x.shape))
    made = replace(x, name=name, shape=shape, port="")
    if behind:
        (name,) = sheet.put("reshape", (name,), {"shape": sheet.sizes(made.written)})
    return replace(made, name=name)


def _one(sizes: tuple[int, ...]) -> Any:
    return sizes[0] if len(set(sizes)) == 1 else sizes
