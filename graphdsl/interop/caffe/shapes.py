"""Layers that put tensors together, take them apart and give them other shapes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import prod

from graphdsl.interop.caffe.call import Blobs, Call, translates
from graphdsl.interop.caffe.convolutions import LARGEST, one_or_all
from graphdsl.interop.caffe.plan import Blob, features_last

MOST_TILES = 64


def axis_of(call: Call, name: str, default: int, rank: int) -> int:
    """An axis, counted in the file from the batch on, as an axis of Blob.shape."""
    given = call.param.count(name, default)
    axis = given - 1 if given >= 0 else rank + given
    if given == 0 or axis < 0:
        raise call.refused("it works along the batch, and samples are independent here")
    if axis >= rank:
        raise call.refused(f"there is no axis {given}")
    return axis


def alike(call: Call) -> Blobs:
    """The inputs with their axes in the order of the first."""
    orders = {(x.was.shape, x.was.axes) if x.was else None for x in call.inputs}
    xs = call.inputs if len(orders) == 1 else tuple(call.plan.in_order(x) for x in call.inputs)
    return (xs[0], *(x if x.axes == xs[0].axes else call.plan.arranged(x, xs[0].axes) for x in xs[1:]))


@translates("Eltwise", param="eltwise_param", fields="operation coeff stable_prod_grad")
def eltwise(call: Call) -> Blobs:
    """A sum (whose terms may have factors), a product or the largest."""
    xs, p = alike(call), call.param
    operation = p.text("operation", "SUM")
    if len(xs) < 2 or any(x.shape != xs[0].shape for x in xs):
        raise call.refused(f"it brings together {', '.join(str(x.shape) for x in xs)}")
    if operation in ("SUM", "1"):
        return (_weighted_sum(call, xs),)
    word = {"PROD": "multiply", "0": "multiply", "MAX": "maximum", "2": "maximum"}.get(operation)
    if word is None:
        raise call.refused(f"there is no operation `{operation}`")
    if p.numbers("coeff"):
        raise call.refused("`coeff` is for sums")
    word = "*" if word == "multiply" and len(xs) == 2 else word
    return (xs[0].with_tensor(call.emit(word, xs)),)


def _weighted_sum(call: Call, xs: Blobs) -> Blob:
    factors = call.param.numbers("coeff") or [1.0] * len(xs)
    if len(factors) != len(xs):
        raise call.refused(f"{len(factors)} factors for {len(xs)} tensors")
    if factors == [1, -1]:
        return xs[0].with_tensor(call.emit("-", xs))
    terms = [
        x if f == 1 else x.with_tensor(call.emit("*", [x], {"right": float(f)}, aside=f"term_{i}"))
        for i, (x, f) in enumerate(zip(xs, factors, strict=True), 1)
    ]
    return xs[0].with_tensor(call.emit("+" if len(terms) == 2 else "add", terms))


@translates("Concat", param="concat_param", fields="axis concat_dim")
def concat(call: Call) -> Blobs:
    """concat along the axis of ours that is Caffe's."""
    name = "concat_dim" if "concat_dim" in call.param else "axis"
    rank = len(call.blob.shape)
    axis = axis_of(call, name, 1, rank)
    if len(call.inputs) == 1:
        return (call.blob,)
    xs = tuple(call.plan.in_order(x) for x in call.inputs)
    joined = [(*x.shape[:axis], 0, *x.shape[axis + 1 :]) for x in xs]
    if any(len(x.shape) != rank for x in xs) or any(shape != joined[0] for shape in joined):
        raise call.refused(f"it joins {', '.join(str(x.shape) for x in xs)}")
    usual = xs[0].axes if axis in xs[0].axes else xs[0].whole_axes
    xs = tuple(call.plan.arranged(x, usual) for x in xs)
    settings = _along(xs[0], axis)
    shape = (*joined[0][:axis], sum(x.shape[axis] for x in xs), *joined[0][axis + 1 :])
    return (Blob(call.emit("concat", xs, settings), shape, xs[0].axes),)


def _along(x: Blob, axis: int) -> dict[str, int]:
    """The setting that names an axis; the last one is meant anyway."""
    place = x.axes.index(axis)
    return {} if place == len(x.axes) - 1 else {"axis": place}


@translates("Slice", param="slice_param", fields="axis slice_dim slice_point")
def slice_points(call: Call) -> Blobs:
    """split, at the points given or into equal parts."""
    call.demand_inputs(1)
    x, tops = call.plan.in_order(call.blob), call.step.tops
    axis = axis_of(call, "slice_dim" if "slice_dim" in call.param else "axis", 1, len(x.shape))
    size, points = x.shape[axis], call.param.counts("slice_point")
    if not points and size % len(tops):
        raise call.refused(f"{size} are not {len(tops)} equal parts")
    points = points or [size // len(tops) * i for i in range(1, len(tops))]
    parts = [b - a for a, b in pairwise([0, *points, size])]
    if len(parts) != len(tops) or any(n < 1 for n in parts):
        raise call.refused(f"{size} cut at {points} are not {len(tops)} parts")
    if len(tops) == 1:
        return (x,)
    x = x if axis in x.axes else call.plan.arranged(x, x.whole_axes)
    settings = {"parts": len(parts) if len(set(parts)) == 1 else parts, **_along(x, axis)}
    made = call.plan.emit(call.step.name, "split", [x.tensor], settings, results=len(parts))
    shapes = [(*x.shape[:axis], n, *x.shape[axis + 1 :]) for n in parts]
    return tuple(Blob(t, shape, x.axes) for t, shape in zip(made, shapes, strict=True))


@translates("Flatten", param="flatten_param", fields="axis end_axis")
def flatten(call: Call) -> Blobs:
    """flatten; where our order of numbers is another than Caffe's, what follows sees to it."""
    call.demand_inputs(1)
    x, rank = call.blob, len(call.blob.shape)
    start, end = axis_of(call, "axis", 1, rank), axis_of(call, "end_axis", -1, rank)
    if (start, end) == (0, rank - 1):
        return (call.plan.flat(x),)
    if start >= end:
        return (x,)
    return (_with_shape(call, x, (*x.shape[:start], prod(x.shape[start : end + 1]), *x.shape[end + 1 :])),)


@translates("Reshape", param="reshape_param", fields="shape axis num_axes")
def reshape(call: Call) -> Blobs:
    """reshape of the numbers in Caffe's order. 0 keeps a size, one -1 takes what is left."""
    call.demand_inputs(1)
    x, p = call.blob, call.param
    dims = p.message("shape").counts("dim")
    whole = (1, *x.shape)
    first = p.count("axis", 0)
    first = first if first >= 0 else len(whole) + first + 1
    count = p.count("num_axes", -1)
    last = len(whole) if count == -1 else first + count
    if not 0 <= first <= last <= len(whole):
        raise call.refused(f"there are no axes {first} to {last}")
    shape = list(_filled(call, (*whole[:first], *_kept(call, dims, whole, first), *whole[last:]), prod(whole), first))
    if shape[:1] != [1]:
        raise call.refused(f"it makes {shape} of {list(whole)}: the batch must stay")
    return (_with_shape(call, x, tuple(shape[1:])),)


def _kept(call: Call, dims: list[int], whole: tuple[int, ...], first: int) -> list[int]:
    if any(d == 0 and first + i >= len(whole) for i, d in enumerate(dims)):
        raise call.refused(f"`dim: 0` keeps a size that is not there in {dims}")
    return [whole[first + i] if d == 0 else d for i, d in enumerate(dims)]


def _filled(call: Call, dims: tuple[int, ...], count: int, first: int) -> tuple[int, ...]:
    """dims with a number in place of -1. The batch is 1 here, so a -1 or another number for it stays a 1."""
    dims = (1, *dims[1:]) if dims and first == 0 and (dims[0] > 1 or dims[0] == -1) else dims
    known = prod(d for d in dims if d != -1)
    if dims.count(-1) > 1 or any(d < -1 for d in dims) or not known or count % known:
        raise call.refused(f"{count} numbers have no shape {list(dims)}")
    filled = tuple(count // known if d == -1 else d for d in dims)
    if prod(filled) != count:
        raise call.refused(f"{count} numbers have no shape {list(filled)}")
    return filled


def _with_shape(call: Call, x: Blob, shape: tuple[int, ...]) -> Blob:
    if shape == x.shape:
        return x
    if len(shape) == 1:
        return call.plan.flat(x)
    if [n for n in shape if n > 1] == [n for n in x.shape if n > 1] and x.was is None and len(x.axes) == 1:
        places = [i for i, n in enumerate(shape) if n > 1] or [0]
        return Blob(x.tensor, shape, tuple(places))
    x = call.plan.arranged(x, tuple(range(len(x.shape))))
    tensor = call.emit("reshape", [x], {"shape": shape})
    return Blob(tensor, shape, tuple(range(len(shape))))


@translates("Permute", param="permute_param", fields="order")
def permute(call: Call) -> Blobs:
    """Caffe's axes in another order, which is another way to look at ours."""
    call.demand_inputs(1)
    x, order = call.plan.in_order(call.blob), call.param.counts("order")
    order += [a for a in range(len(x.shape) + 1) if a not in order]
    if sorted(order) != list(range(len(x.shape) + 1)) or order[0] != 0:
        raise call.refused(f"there is no order {order} of {len(x.shape) + 1} axes that leaves the batch first")
    places = [a - 1 for a in order[1:]]
    return (Blob(x.tensor, tuple(x.shape[a] for a in places), tuple(places.index(a) for a in x.axes)),)


@translates("Crop", param="crop_param", fields="axis offset")
def crop(call: Call) -> Blobs:
    """slice along each axis, to the size of the second input."""
    call.demand_inputs(2)
    x, to = call.plan.in_order(call.blob), call.inputs[1]
    rank, offsets = len(x.shape), call.param.counts("offset")
    first = axis_of(call, "axis", 2, rank)
    if len(to.shape) != rank or len(offsets) not in (0, 1, rank - first):
        raise call.refused(f"{len(offsets)} offsets to cut {x.shape} to {to.shape}")
    offsets = (offsets or [0]) * (rank - first) if len(offsets) < 2 else offsets
    for axis, start in zip(range(first, rank), offsets, strict=True):
        end = start + to.shape[axis]
        if not 0 <= start < end <= x.shape[axis]:
            raise call.refused(f"{start} to {end} of {x.shape[axis]}, along axis {axis + 1}")
        if end - start < x.shape[axis]:
            settings = {"start": start, "end": end, "axis": x.axes.index(axis)}
            tensor = call.emit("slice", [x], settings, aside="" if axis == rank - 1 else f"axis_{axis + 1}")
            x = replace(x, tensor=tensor, shape=(*x.shape[:axis], end - start, *x.shape[axis + 1 :]))
    return (x,)


@translates("Interp", param="interp_param", fields="height width zoom_factor shrink_factor pad_beg pad_end")
def interpolate(call: Call) -> Blobs:
    """resize on straight lines, corners on corners: the layer of DeepLab's and PSPNet's own Caffe."""
    call.demand_inputs(1)
    p, x = call.param, call.plan.arranged(call.blob, features_last(len(call.blob.shape)))
    if len(x.shape) != 3 or p.count("pad_beg", 0) or p.count("pad_end", 0):
        raise call.refused("it cuts off a margin, or its input is no picture")
    sizes = list(x.shape[1:])
    shrink, zoom = p.count("shrink_factor", 1), p.count("zoom_factor", 1)
    if shrink < 1 or zoom < 1:
        raise call.refused(f"its factors are {shrink} and {zoom}")
    sizes = [(n - 1) // shrink + 1 for n in sizes]
    sizes = [n + (n - 1) * (zoom - 1) for n in sizes]
    sizes = [p.count(name, n) for name, n in zip(("height", "width"), sizes, strict=True)]
    if any(not 1 <= n <= LARGEST for n in sizes):
        raise call.refused(f"its size is {sizes}")
    settings = {"size": one_or_all(tuple(sizes)), "mode": "linear", "align": "corners"}
    return (Blob(call.emit("resize", [x], settings), (x.shape[0], *sizes), x.axes),)


@translates("Reduction", param="reduction_param", fields="operation axis coeff")
def reduction(call: Call) -> Blobs:
    """A sum or a mean over all axes from one on."""
    call.demand_inputs(1)
    p, x = call.param, call.plan.in_order(call.blob)
    first = axis_of(call, "axis", 0, len(x.shape))
    operation = p.text("operation", "SUM")
    if operation == "ASUM" or operation == "2":
        x = x.with_tensor(call.emit("abs", [x], aside="abs"))
    elif operation == "SUMSQ" or operation == "3":
        x = x.with_tensor(call.emit("square", [x], aside="squares"))
    word = "reduce_mean" if operation in ("MEAN", "4") else "reduce_sum"
    axes = [i for i, a in enumerate(x.axes) if a >= first]
    factor = p.number("coeff", 1)
    tensor = call.emit(word, [x], {"axes": axes}, aside="" if factor == 1 else "whole") if axes else x.tensor
    if factor != 1:
        tensor = call.emit("*", [tensor], {"right": float(factor)})
    return (Blob(tensor, x.shape[:first], tuple(a for a in x.axes if a < first)),)


@translates("Tile", param="tile_param", fields="axis tiles")
def tile(call: Call) -> Blobs:
    """A tensor several times along an axis."""
    call.demand_inputs(1)
    x, tiles = call.plan.in_order(call.blob), call.param.count("tiles", 0)
    axis = axis_of(call, "axis", 1, len(x.shape))
    if not 1 <= tiles <= MOST_TILES:
        raise call.refused(f"{tiles} times the same; at most {MOST_TILES} are written")
    if tiles == 1:
        return (x,)
    x = x if axis in x.axes else call.plan.arranged(x, x.whole_axes)
    tensor = call.emit("concat", [x] * tiles, _along(x, axis))
    return (Blob(tensor, (*x.shape[:axis], x.shape[axis] * tiles, *x.shape[axis + 1 :]), x.axes),)
