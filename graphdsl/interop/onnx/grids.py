"""GridSample: a picture read at computed places.

For every place and every row of the picture there is a weight, and for every column another one. Their products are a
matrix that the picture is multiplied with.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from graphdsl.interop.onnx.flow import NONE, Flow, Value
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.sheet import Mixed, Sheet
from graphdsl.interop.onnx.windows import picture

LARGEST = 1 << 24
"""Numbers of that matrix."""
CUBIC = -0.75


@reads("GridSample")
def read_grid_sample(sheet: Sheet, step: Step) -> Value:
    """Coordinates lie between -1 and 1, those along the last axis first."""
    grid = sheet.plain(sheet.flow(1))
    x = picture(sheet, sheet.flow(0))
    if grid.batch != x.batch or grid.batch not in (0, NONE) or (grid.batch == NONE and grid.shape[0] != 1):
        raise Mixed
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(step.get("mode", "linear"), step.get("mode", "linear"))
    border = step.get("padding_mode", "zeros")
    if mode == "cubic" and border != "zeros":
        raise sheet.refused(f"curves at a border of `{border}` have no words")
    spatial, places, channels = x.shape[2:], grid.shape[1:-1], x.shape[1]
    if prod(spatial) * prod(places) > LARGEST:
        raise sheet.refused(f"a matrix of {prod(places):,} x {prod(spatial):,} shares would be needed")
    row = sheet.arranged(grid, tuple(range(1, grid.rank)))
    rows = replace(row, name=sheet.viewed(row.name, row.written, (prod(places), len(spatial))), port="")
    aligned = bool(step.get("align_corners", 0))
    parts = [
        _shares(sheet, _coordinate(sheet, rows, len(spatial) - 1 - at, size, aligned, border), prod(places), size, mode)
        for at, size in enumerate(spatial)
    ]
    matrix = _product(sheet, parts, prod(places), spatial)
    flat = sheet.viewed(x.name, x.written, (prod(spatial), channels))
    (name,) = sheet.put("matmul", (matrix, flat))
    name = sheet.viewed(name, (prod(places), channels), (*places, channels))
    return Flow(name, (x.shape[0], channels, *places), x.order, x.batch)


def _coordinate(sheet: Sheet, rows: Flow, at: int, size: int, aligned: bool, border: str) -> Flow:
    """Where each place lies along an axis, counted in its steps: [places, 1]."""
    (name,) = sheet.put("slice", (rows.name,), {"start": at, "end": at + 1})
    x = replace(rows, name=name)
    half = (size - 1) / 2 if aligned else size / 2
    x = sheet.scaled(sheet.scaled(x, "*", half), "+", half if aligned else half - 0.5)
    if border == "border":
        return sheet.unary("clip", x, low=0.0, high=float(size - 1))
    return _reflected(sheet, x, size, aligned) if border == "reflection" else x


def _reflected(sheet: Sheet, x: Flow, size: int, aligned: bool) -> Flow:
    """Turned back at both ends, as often as it takes: span - | |x - low| mod 2 span - span |, from low on."""
    low, span = (0.0, float(size - 1)) if aligned else (-0.5, float(size))
    if not span:
        return sheet.scaled(x, "*", 0)
    far = sheet.unary("abs", sheet.scaled(x, "-", low))
    turns = sheet.scaled(sheet.unary("floor", sheet.scaled(far, "/", 2 * span)), "*", 2 * span)
    rest = replace(far, name=sheet.put("-", (far.name, turns.name))[0])
    back = sheet.unary("abs", sheet.scaled(rest, "-", span))
    return sheet.unary("clip", sheet.scaled(back, "-", low + span, left=True), low=0.0, high=float(size - 1))


def _shares(sheet: Sheet, x: Flow, places: int, size: int, mode: str) -> str:
    """How much of each step of an axis is in each place: [places, size]."""
    x = sheet.unary("round", x) if mode == "nearest" else x
    wide = replace(x, name=sheet.then(x, "stretch", None, shape=(places, size)))
    steps = {"beta": -np.arange(size, dtype=np.float32)}
    far = sheet.unary("abs", replace(wide, name=sheet.then(wide, "scale", steps, scale=False)))
    if mode != "cubic":
        return sheet.unary("relu", sheet.scaled(far, "-", 1, left=True)).name
    near = _polynomial(sheet, sheet.unary("clip", far, high=1.0), (CUBIC + 2, -(CUBIC + 3), 0.0, 1.0))
    behind = _polynomial(sheet, sheet.unary("clip", far, low=1.0, high=2.0), (CUBIC, -5 * CUBIC, 8 * CUBIC, -4 * CUBIC))
    return sheet.put("+", (near.name, behind.name))[0]


def _polynomial(sheet: Sheet, x: Flow, numbers: tuple[float, ...]) -> Flow:
    """Horner's scheme."""
    made = sheet.scaled(x, "*", numbers[0])
    for number in numbers[1:-1]:
        made = sheet.scaled(made, "+", number)
        made = replace(made, name=sheet.put("*", (made.name, x.name))[0])
    return sheet.scaled(made, "+", numbers[-1])


def _product(sheet: Sheet, parts: list[str], places: int, spatial: tuple[int, ...]) -> str:
    """[places, all steps of space]: a product of one share for each axis."""
    wide = []
    for at, (name, size) in enumerate(zip(parts, spatial, strict=True)):
        thin = tuple(size if k == at else 1 for k in range(len(spatial)))
        name = sheet.viewed(name, (places, size), (places, *thin))
        wide.append(sheet.put("stretch", (name,), {"shape": (places, *spatial)})[0] if thin != spatial else name)
    name = sheet.put("multiply", wide)[0] if len(wide) > 1 else wide[0]
    return sheet.viewed(name, (places, *spatial), (places, prod(spatial)))
