"""Resize and Upsample.

Along each axis a resize is a product with a matrix. Where `upsample` has the same, that is what is written; where it
only chooses places, they are chosen; otherwise the matrix is a weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import Any

import numpy as np

from graphdsl.interop.onnx.along import along_axis, chosen
from graphdsl.interop.onnx.elementwise import last
from graphdsl.interop.onnx.flow import NONE, Flow, Value
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.sheet import Mixed, Sheet
from graphdsl.interop.onnx.windows import picture, short
from graphdsl.ir import Array
from graphdsl.report import dataclass


@dataclass(frozen=True)
class Kind:
    """How a resize reads between the places."""

    mode: str
    place: str
    nearest: str
    cubic: float
    antialias: bool
    outside: bool


@reads("Resize", "Upsample")
def read_resize(sheet: Sheet, step: Step) -> Value:
    """Each axis by itself, from its factor or its new size."""
    x = sheet.plain(sheet.flow(0))
    old = step.op == "Upsample" or sheet.model.opset < 11
    axes = [x.axis(a) for a in step.get("axes") or range(x.rank)]
    scales, sizes = _wanted(sheet, step, x, axes, old)
    kind = Kind(
        step.get("mode", "nearest"),
        step.get("coordinate_transformation_mode", "asymmetric" if old else "half_pixel"),
        step.get("nearest_mode", "floor" if old else "round_prefer_floor"),
        float(step.get("cubic_coeff_a", -0.75)),
        bool(step.get("antialias", 0)),
        bool(step.get("exclude_outside", 0)),
    )
    roi = sheet.optional(1, "the region") if not old and kind.place == "tf_crop_and_resize" else None
    matrices = {}
    for index, axis in enumerate(axes):
        region = (0.0, 1.0) if roi is None or not roi.size else (float(roi[index]), float(roi[index + len(axes)]))
        sheet.demand_small(x.shape[axis] * sizes[index], "the matrix of a resize")
        matrix = shares(x.shape[axis], sizes[index], scales[index], kind, region)
        if matrix.shape[0] != matrix.shape[1] or not np.array_equal(matrix, np.eye(len(matrix))):
            matrices[axis] = matrix
    if x.batch in matrices:
        raise Mixed
    spatial = last(x)[:-1]
    plain = x.batch in (0, NONE) and 2 < x.rank < 6 and set(matrices) <= set(spatial)
    if plain and matrices and (x.batch == 0 or x.shape[0] == 1):
        x = sheet.arranged(x, last(x))
        wanted = {a: (sizes[axes.index(a)], scales[axes.index(a)]) if a in axes else (x.shape[a], 1.0) for a in spatial}
        return _upsampled(sheet, x, matrices) or _said(sheet, x, wanted, kind) or _by_matrices(sheet, x, matrices)
    return _by_matrices(sheet, x, matrices)


def _wanted(sheet: Sheet, step: Step, x: Flow, axes: Sequence[int], old: bool) -> tuple[list[float], list[int]]:
    """Factor and new size of each axis."""
    given = (
        np.asarray(step.get("scales"), np.float32)
        if step.get("scales")
        else sheet.optional(1 if old else 2, "the scales")
    )
    old_sizes = [x.shape[a] for a in axes]
    if given is not None and given.size:
        factors = [float(s) for s in given]
        return factors, [floor(n * s + 1e-9) for n, s in zip(old_sizes, factors, strict=True)]
    sizes = [int(s) for s in sheet.fixed(3, "the sizes")]
    factors = [s / n for s, n in zip(sizes, old_sizes, strict=True)]
    policy = step.get("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        factor = min(factors) if policy == "not_larger" else max(factors)
        return [factor] * len(axes), [int(n * factor + 0.5) for n in old_sizes]
    return factors, sizes


ALIGNS = {"align_corners": "corners", **{n: n for n in ("half_pixel", "asymmetric", "pytorch_half_pixel")}}
ROUNDINGS = {"round_prefer_floor": "prefer_floor", "round_prefer_ceil": "prefer_ceil", "floor": "floor", "ceil": "ceil"}


def _said(sheet: Sheet, x: Flow, wanted: dict[int, tuple[int, float]], kind: Kind) -> Flow | None:
    """Our resize; None where it has no such rule."""
    if kind.place not in ALIGNS and kind.place != "half_pixel_symmetric":
        return None
    sizes, scales = [s for s, _ in wanted.values()], [f for _, f in wanted.values()]
    plain = all(s == x.shape[a] * f for a, (s, f) in wanted.items())
    if kind.place == "align_corners" and not plain:
        return None
    given: dict[str, Any] = {"size": short(sizes)} if plain else {"scale": scales}
    given |= {"mode": kind.mode} if kind.mode != "nearest" else {}
    align = ALIGNS.get(kind.place, kind.place)
    given |= {"align": align} if align != "half_pixel" else {}
    if kind.mode == "nearest" and kind.nearest != "round_prefer_floor":
        given["nearest"] = ROUNDINGS[kind.nearest]
    given |= {"cubic": kind.cubic} if kind.mode == "cubic" and kind.cubic != -0.75 else {}
    given |= ({"antialias": True} if kind.antialias else {}) | ({"exclude_outside": True} if kind.outside else {})
    shape = tuple(wanted[a][0] if a in wanted else s for a, s in enumerate(x.shape))
    return Flow(sheet.then(x, "resize", None, **given), shape, x.order, x.batch, x.dtype)


def _upsampled(sheet: Sheet, x: Flow, matrices: dict[int, Array]) -> Flow | None:
    """Our upsample, where it has these matrices."""
    spatial = last(x)[:-1]
    methods = (("nearest", _repeat), ("bilinear", _linear))
    found = [m for m, made in methods if all(_equal(a, made(len(a), a.shape[1])) for a in matrices.values())]
    if not found:
        return None
    factors = [matrices[a].shape[1] // x.shape[a] if a in matrices else 1 for a in spatial]
    more = {} if found[0] == "nearest" else {"method": "bilinear"}
    shape = tuple(s * factors[spatial.index(a)] if a in spatial else s for a, s in enumerate(x.shape))
    return Flow(sheet.then(x, "upsample", None, factor=short(factors), **more), shape, x.order, x.batch, x.dtype)


def _by_matrices(sheet: Sheet, x: Flow, matrices: dict[int, Array]) -> Flow:
    """Axis by axis: places that are chosen, or weighted sums."""
    for axis, matrix in matrices.items():
        x = x if axis in x.order else sheet.natural(x)
        picks = matrix.argmax(axis=0)
        if np.array_equal(matrix, np.eye(len(matrix), dtype=matrix.dtype)[:, picks]):
            x = chosen(sheet, x, axis, [int(p) for p in picks])
        else:
            x = along_axis(sheet, x, axis, matrix.astype(np.float32))
    return x


@reads("GridSample")
def read_grid_sample(sheet: Sheet, step: Step) -> Value:
    """A picture read at computed places."""
    grid = sheet.plain(sheet.flow(1))
    x = picture(sheet, sheet.flow(0))
    if grid.batch != x.batch or grid.batch not in (0, NONE) or (grid.batch == NONE and grid.shape[0] != 1):
        raise Mixed
    grid = sheet.arranged(grid, tuple(range(1, grid.rank)))
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(step.get("mode", "linear"), step.get("mode", "linear"))
    given: dict[str, Any] = {"mode": mode} if mode != "linear" else {}
    given |= {"outside": step.get("padding_mode")} if step.get("padding_mode", "zeros") != "zeros" else {}
    given |= {"corners": True} if step.get("align_corners", 0) else {}
    (name,) = sheet.put("grid_sample", (x.name, grid.name), given)
    return Flow(name, (*x.shape[:2], *grid.shape[1:-1]), x.order, x.batch)


@reads("RoiAlign")
def read_roi_align(sheet: Sheet, step: Step) -> Value:
    """Boxes of one picture, each brought to one size."""
    x = picture(sheet, sheet.flow(0))
    boxes = sheet.plain(sheet.flow(1))
    if x.batch != NONE or boxes.batch != NONE:
        raise Mixed
    if sheet.fixed(2, "which picture each box is in").any():
        raise sheet.refused("its boxes are in several pictures, and a spec reads one at a time")
    samples = int(step.get("sampling_ratio", 0))
    if step.get("mode", "avg") != "avg" or samples < 1:
        raise sheet.refused(
            "it takes the largest number, or as many places as a box has; ours the mean of so many places"
        )
    size = int(step.get("output_height", 1)), int(step.get("output_width", 1))
    given: dict[str, Any] = {"size": short(size), "samples": samples}
    scale = float(step.get("spatial_scale", 1.0))
    given |= {"scale": scale} if scale != 1 else {}
    usual = "half_pixel" if sheet.model.opset >= 16 else "output_half_pixel"
    given |= {} if step.get("coordinate_transformation_mode", usual) == "half_pixel" else {"half_pixel": False}
    (name,) = sheet.put("roi_align", (x.name, sheet.natural(boxes).name), given)
    return Flow(name, (boxes.shape[0], x.shape[1], *size), (0, 2, 3, 1), NONE)


def _equal(one: Array, other: Array | None) -> bool:
    return other is not None and one.shape == other.shape and bool(np.allclose(one, other, atol=1e-6))


def _repeat(size: int, out: int) -> Array | None:
    return None if out % size else np.repeat(np.eye(size), out // size, axis=1)


def _linear(size: int, out: int) -> Array | None:
    plain = Kind("linear", "half_pixel", "", 0, False, False)
    return None if out % size else shares(size, out, out / size, plain, (0.0, 1.0))


def shares(size: int, out: int, scale: float, kind: Kind, region: tuple[float, float]) -> Array:
    """[size, out]: how much of each old number is in each new one."""
    matrix = np.zeros((size, out))
    if out < 1:
        raise ValueError(f"a resize to {out} places")
    for column in range(out):
        at = _place(column, size, out, scale, kind.place, region)
        if kind.place == "tf_crop_and_resize" and not 0 <= at <= size - 1:
            continue
        places, parts = _neighbours(at, scale, kind)
        if kind.outside:
            parts = np.where((places >= 0) & (places < size), parts, 0.0)
            parts = parts / parts.sum()
        np.add.at(matrix[:, column], np.clip(places, 0, size - 1), parts)
    return matrix


def _place(column: int, size: int, out: int, scale: float, rule: str, region: tuple[float, float]) -> float:
    """Where a new number is read, counted in old places."""
    length = scale * size
    match rule:
        case "align_corners":
            return 0.0 if length == 1 else column * (size - 1) / (length - 1)
        case "asymmetric":
            return column / scale
        case "tf_crop_and_resize":
            start, width = region[0] * (size - 1), (region[1] - region[0]) * (size - 1)
            return start + (width / 2 if length == 1 else column * width / (length - 1))
        case "pytorch_half_pixel" if length == 1:
            return -0.5
        case "half_pixel_symmetric":
            return size / 2 * (1 - out / length) + (column + 0.5) / scale - 0.5
        case "half_pixel" | "pytorch_half_pixel":
            return (column + 0.5) / scale - 0.5
    raise ValueError(f"coordinate_transformation_mode {rule}")


def _neighbours(at: float, scale: float, kind: Kind) -> tuple[Array, Array]:
    """The old places that a new number is made of, and their shares."""
    left = floor(at)
    rest = at - left
    if kind.mode == "nearest":
        up = {"round_prefer_floor": rest > 0.5, "round_prefer_ceil": rest >= 0.5, "floor": False, "ceil": rest > 0}
        return np.array([left + int(up[kind.nearest])]), np.ones(1)
    shrink = min(scale, 1.0) if kind.antialias else 1.0
    reach = (1 if kind.mode == "linear" else 2) / shrink
    places = np.arange(floor(at - reach), floor(at + reach) + 2)
    distance = np.abs(places - at) * shrink
    parts = np.maximum(1 - distance, 0) if kind.mode == "linear" else _cubic(distance, kind.cubic)
    return places, parts / parts.sum()


def _cubic(x: Array, a: float) -> Array:
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
