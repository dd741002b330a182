"""Heads of detectors: what a network says about every cell of a grid, as boxes.

A tensor of candidates is [n, 5 + classes]: centre x and y, width and height as fractions of the picture, whether there
is an object at all, and how probable each class is. Heads of several scales go into `nms` together.

    column    0   1   2      3       4       5 ...
              x   y   width  height  object  classes
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np

from graphdsl.ir import (
    PROBABILITY,
    Array,
    Builder,
    Choice,
    Constant,
    Count,
    Domain,
    Flag,
    Input,
    Kind,
    Many,
    NonNegative,
    Positive,
    SettingError,
    Size,
    SizeValue,
    TensorType,
    TypeRuleError,
    Value,
    layer,
)
from graphdsl.ops import expression as e
from graphdsl.ops.assign import Candidates, Grid
from graphdsl.ops.concat import Concat, pieces, sliced_axis
from graphdsl.ops.conv_layers import conv
from graphdsl.ops.elementwise import Elementwise, formula
from graphdsl.ops.expression import Operand
from graphdsl.ops.reduce import broadcast_to, sum_over
from graphdsl.ops.shape import reshape
from graphdsl.ops.softmax import Softmax
from graphdsl.ops.window import demand_spatial, per_axis
from graphdsl.report import dataclass

BOX = 5
"""Four numbers of a box and one for whether there is an object."""
SPREADS = 4
"""How sure each of the four numbers is, where a head says that."""


MOST_CELLS = 1 << 20


def candidates(classes: int) -> Kind:
    """The kind of [n, 5 + classes], what heads give and `nms` reads."""
    return Kind("candidates", classes)


@dataclass(frozen=True)
class AnchorDomain(Domain):
    """Width and height: `10x14`, or `[10.5, 14.25]`."""

    def describe(self) -> str:
        return "a width and a height above 0, `10x14` or `[10.5, 14.25]`"

    def accept(self, value: Any) -> tuple[float, float]:
        pair = value.values if isinstance(value, SizeValue) else value
        fine = isinstance(pair, tuple) and len(pair) == 2
        if not fine or not all(isinstance(v, int | float) and not isinstance(v, bool) and 0 < v < 1e9 for v in pair):
            raise SettingError(f"needs {self.describe()}, got {value}")
        return pair[0], pair[1]


Anchors = Annotated[tuple[Any, ...], Many(AnchorDomain(), 1)]
Form = Annotated[str, Choice(("exp", "square"))]


@layer()
def detect(
    b: Builder,
    x: Value,
    classes: Count,
    anchors: Anchors,
    *,
    sizes: Form = "exp",
    scale_xy: Positive = 1.0,
    softmax: Flag = False,
    picture: Size | None = None,
    l2: NonNegative = 0.0,
) -> Value:
    """The head of a detector: a 1x1 convolution that says something about every anchor in every cell, and its boxes.

    x        [height, width, channels], as many cells
    returns  [height * width * anchors, 5 + classes]: candidates, as `decode_boxes` gives them

    l2       the loss grows by l2 * sum kernel²
    The other settings are those of `decode_boxes`. How many filters there are follows: anchors * (5 + classes).

    Weights: kernel [1, 1, channels, filters], bias [filters].

    E0301, E0305, E0401  as `decode_boxes`

    Source: Redmon and Farhadi 2018.
    """
    raw = conv(b, x, len(anchors) * (BOX + classes), 1, l2=l2)
    return decode_boxes(b, raw, classes, anchors, sizes=sizes, scale_xy=scale_xy, softmax=softmax, picture=picture)


@layer()
def detect_free(b: Builder, x: Value, classes: Count, *, softmax: Flag = False, l2: NonNegative = 0.0) -> Value:
    """The head of a detector without anchors: a 1x1 convolution that says something about every cell, and its box.

    x        [height, width, channels], as many cells
    returns  [height * width, 5 + classes]: candidates, row by row. Columns: centre x, centre y, width, height, all as
             fractions of the picture; object; classes

    classes  how many kinds of objects there are
    softmax  classes exclude each other: softmax in place of sigmoid
    l2       the loss grows by l2 * sum kernel²

    centre = (column + 1/2 + tx) / columns, width = exp(tw) / columns: the box is measured by its cell, whose size in
    pixels nobody has to know, and its centre may lie in another one.

    Weights: kernel [1, 1, channels, 5 + classes], bias [5 + classes].

    E0301  x is no picture
    E0401  height or width is known only at run time
    E0405  more than 1,048,576 cells

    Source: Ge et al. 2021, "YOLOX"; the idea: Tian et al. 2019, "FCOS".
    """
    raw = conv(b, x, BOX + classes, 1, l2=l2)
    down, across = _demand_cells(raw.type, 1, BOX + classes)
    parts = reshape(b, raw, (x.type.shape[0], down, across, 1, BOX + classes))
    cells, counts = _cells(b, down, across)

    def place(t: e.Expression, cell: e.Expression, count: e.Expression) -> e.Expression:
        return (t + 0.5 + cell) / count

    centre = formula(b, place, sliced_axis(b, parts, 4, 0, 2), cells, counts, title="centre")
    size = formula(b, lambda t, n: e.exp(t) / n, sliced_axis(b, parts, 4, 2, 2), counts, title="size")
    there = formula(b, e.logistic, sliced_axis(b, parts, 4, 4, 1), title="sigmoid")
    kinds = sliced_axis(b, parts, 4, BOX, classes)
    kinds = b.emit(Softmax(), kinds) if softmax else formula(b, e.logistic, kinds, title="sigmoid")
    return _joined(b, (centre, size, there, kinds), Grid(down, across, (), free=True), 1, classes)


@layer()
def decode_boxes(
    b: Builder,
    x: Value,
    classes: Count,
    anchors: Anchors,
    *,
    sizes: Form = "exp",
    scale_xy: Positive = 1.0,
    softmax: Flag = False,
    gaussian: Flag = False,
    picture: Size | None = None,
) -> Value:
    """What a head's convolution says, as boxes: `detect` without its convolution.

    x        [height, width, anchors * (5 + classes)]: tx, ty, tw, th, object, classes of the first anchor, the next …
    returns  [height * width * anchors, 5 + classes]: candidates, row by row, place by place, anchor by anchor.
             Columns: centre x, centre y, width, height, all as fractions of the picture; object; classes

    classes   how many kinds of objects there are
    anchors   widths and heights that boxes are measured by, in pixels of the picture: `[10x14, 23x27]`, width first as
              in every published list, or `[[10.5, 14.25]]`
    sizes     `exp`: width = exp(tw) * anchor (YOLO v2 to v4). `square`: width = (2 * sigmoid(tw))² * anchor (scaled v4)
    scale_xy  centre = (sigmoid(tx) * scale - (scale - 1) / 2 + column) / columns; above 1 edges of cells are reached
    softmax   classes exclude each other: softmax in place of sigmoid (YOLO v2)
    gaussian  each of the four numbers is followed by how unsure it is, so there are 9 + classes for an anchor: object
              is multiplied by 1 - the mean of their sigmoids (Gaussian YOLO)
    picture   height and width of the picture, `416x608`; none: the input that x comes from

    What comes out of `sigmoid` is not put through it again; sizes must then be `square`.

    E0301  x is no picture, or its channels are not anchors * (5 + classes)
    E0305  the picture is not known, or x comes out of sigmoid and sizes is `exp`
    E0401  height or width is known only at run time
    E0405  more than 1,048,576 cells

    Source: Redmon and Farhadi 2016 and 2018; Bochkovskiy et al. 2020; Choi et al. 2019 (gaussian).
    """
    fields = BOX + classes + (SPREADS if gaussian else 0)
    down, across = _demand_cells(x.type, len(anchors), fields)
    done = x.type.kind == PROBABILITY
    _demand_form(done, sizes)
    high, wide = _picture(b, x, picture)
    parts = reshape(b, x, (x.type.shape[0], down, across, len(anchors), fields))
    four, sure = _spread_out(b, parts) if gaussian else (sliced_axis(b, parts, 4, 0, 4), None)
    scales = np.array([[w / wide, h / high] for w, h in anchors], np.float32)
    centre = _centres(b, sliced_axis(b, four, 4, 0, 2), scale_xy, done)
    size = _sizes(b, sliced_axis(b, four, 4, 2, 2), scales, sizes, done)
    there = _squashed(b, sliced_axis(b, parts, 4, fields - classes - 1, 1), done)
    if sure is not None:
        there = formula(b, lambda p, s: p * s, there, sure, title="object")
    kinds = sliced_axis(b, parts, 4, fields - classes, classes)
    kinds = b.emit(Softmax(), kinds) if softmax else _squashed(b, kinds, done)
    grid = Grid(down, across, tuple((float(w), float(h)) for w, h in scales))
    return _joined(b, (centre, size, there, kinds), grid, len(anchors), classes)


def _demand_form(done: bool, sizes: str) -> None:
    if done and sizes == "exp":
        raise TypeRuleError(
            "sizes=exp needs numbers as they are, not behind `sigmoid`",
            code="E0305",
            attribute="sizes",
            help="leave the `sigmoid` out, or write sizes=square",
        )


def _demand_cells(x: TensorType, anchors: int, fields: int) -> tuple[int, int]:
    demand_spatial("decode_boxes", x)
    if x.rank != 4:
        raise TypeRuleError(f"boxes stand in a picture, got {x.describe()}", operand=0)
    down, across = x.spatial
    if not isinstance(down, int) or not isinstance(across, int):
        raise TypeRuleError(
            f"how many cells {x.describe()} has is known only at run time",
            code="E0401",
            operand=0,
            help="give height and width numbers in the input's type",
        )
    if down * across > MOST_CELLS:
        message = f"{down}x{across} cells; at most {MOST_CELLS:,} have boxes"
        raise TypeRuleError(
            message, code="E0405", operand=0, help="a head stands behind strides: one cell for 8 to 32 pixels"
        )
    if x.channels != anchors * fields:
        raise TypeRuleError(
            f"{anchors} anchors with {fields} numbers each need {anchors * fields} channels, got {x.describe()}",
            operand=0,
            help="`detect` has the convolution with as many filters in it",
        )
    return down, across


def _picture(b: Builder, x: Value, given: int | tuple[int, ...] | None) -> tuple[int, int]:
    """Height and width of the picture: as given, or of the only input with height and width that x comes from."""
    if given is not None:
        high, wide = per_axis("picture", given, 2)
        return high, wide
    found = {v.type.spatial for v in _inputs(b, x) if v.type.rank == 4}
    known = [s for size in found for s in size if isinstance(s, int)]
    if len(known) != 2 or len(found) != 1:
        raise TypeRuleError(
            "anchors are in pixels, and the size of the picture does not follow from one input",
            code="E0305",
            attribute="anchors",
            help="write it: `picture=416x608`",
        )
    return known[0], known[1]


def _inputs(b: Builder, x: Value) -> Iterator[Value]:
    """The inputs that x comes from."""
    seen, left = {x.node}, [x]
    while left:
        value = left.pop()
        if isinstance(b.operation(value), Input):
            yield value
        new = [v for v in b.operands(value) if v.node not in seen]
        seen.update(v.node for v in new)
        left.extend(new)


def _constant(b: Builder, array: Array, name: str) -> Value:
    return b.emit(Constant.array(array.astype(np.float32)), name=name)


def _squashed(b: Builder, x: Value, done: bool) -> Value:
    return x if done else formula(b, e.logistic, x, title="sigmoid")


def _cells(b: Builder, down: int, across: int) -> tuple[Value, Value]:
    """Column and row of every cell, [1, down, across, 1, 2], and how many of both there are."""
    rows, columns = np.mgrid[:down, :across]
    cells = _constant(b, np.stack([columns, rows], -1)[None, :, :, None], "cells")
    return cells, _constant(b, np.array([across, down]), "counts")


def _centres(b: Builder, x: Value, scale: float, done: bool) -> Value:
    """[batch, down, across, anchors, 2] as fractions: the place within a cell, and the cell's."""
    down, across = x.type.shape[1:3]
    assert isinstance(down, int) and isinstance(across, int)
    cells, counts = _cells(b, down, across)

    def place(t: Any, cell: Any, count: Any) -> Any:
        within = t if done else e.logistic(t)
        return (within * scale - (scale - 1) / 2 + cell) / count

    return formula(b, place, x, cells, counts, title="centre")


def _sizes(b: Builder, x: Value, scales: Array, form: str, done: bool) -> Value:
    """[batch, down, across, anchors, 2] as fractions."""

    def size(t: Any, anchor: Any) -> Any:
        if form == "exp":
            return e.exp(t) * anchor
        part = t if done else e.logistic(t)
        return part * part * 4 * anchor

    return formula(b, size, x, _constant(b, scales, "anchors"), title="size")


def _spread_out(b: Builder, parts: Value) -> tuple[Value, Value]:
    """The four numbers of the boxes, and 1 - the mean of how unsure they are."""
    pairs = reshape(b, sliced_axis(b, parts, 4, 0, 2 * SPREADS), (*parts.type.shape[:4], SPREADS, 2))
    four, spread = (reshape(b, sliced_axis(b, pairs, 5, i, 1), (*parts.type.shape[:4], SPREADS)) for i in (0, 1))
    total = sum_over(b, formula(b, e.logistic, spread, title="sigmoid"), (4,), keep=True)
    return four, formula(b, lambda s: 1 - s / SPREADS, total, title="sure")


def _joined(b: Builder, parts: tuple[Value, ...], grid: Grid, boxes: int, classes: int) -> Value:
    """Columns side by side, boxes one after another; so many in each cell of the grid."""
    joined = b.emit(Concat(parts[0].type.rank - 1), *parts)
    rows = reshape(b, joined, (joined.type.shape[0], grid.rows * grid.columns * boxes, BOX + classes))
    made = rows.type.with_kind(candidates(classes))
    return b.emit(Candidates(grid.rows, grid.columns, grid.anchors, made, grid.free), rows, name="candidates")


@layer("candidates")
def as_candidates(b: Builder, x: Value) -> Value:
    """Numbers that are candidates already, made by layers of your own: `rows -> candidates -> nms`.

    x        [n, 5 + classes]: centre x, centre y, width and height as fractions of the picture, whether there is an
             object, and how probable each class is
    returns  the same

    E0301  another shape
    """
    if x.type.rank != 3 or not x.type.dtype.is_float or not isinstance(x.type.channels, int) or x.type.channels <= BOX:
        raise TypeRuleError(f"candidates are float[n, 5 + classes], got {x.type.describe()}", operand=0)
    return b.emit(Elementwise(Operand(0), 1, candidates(x.type.channels - BOX), "candidates"), x)


@layer()
def decode_grid(
    b: Builder, x: Value, classes: Count, boxes: Count, side: Count, *, softmax: Flag = False, root: Flag = False
) -> Value:
    """Boxes of the first YOLO, whose dense layer says everything about a grid in one vector.

    x        [side² * (classes + 5 * boxes)]: the class probabilities of every cell, then the confidences of its boxes,
             then x, y, width, height of these; x and y within the cell
    returns  [side² * boxes, 5 + classes]: candidates, as `decode_boxes` gives them

    classes  how many kinds of objects there are
    boxes    of every cell
    side     cells in a row, and rows
    softmax  classes are scores still
    root     widths and heights are square roots

    E0301  x is no vector, or another number of numbers

    Source: Redmon et al. 2015.
    """
    cells = side * side
    sizes = (cells * classes, cells * boxes, cells * boxes * 4)
    if x.type.rank != 2 or x.type.channels != sum(sizes):
        wanted = f"{side}x{side} cells of {boxes} boxes and {classes} classes need float[{sum(sizes)}]"
        raise TypeRuleError(f"{wanted}, got {x.type.describe()}", operand=0)
    batch = x.type.shape[0]
    kinds, sure, four = pieces(b, x, 1, sizes)
    kinds = reshape(b, kinds, (batch, cells, 1, classes))
    kinds = broadcast_to(b, b.emit(Softmax(), kinds) if softmax else kinds, (batch, cells, boxes, classes))
    sure = reshape(b, sure, (batch, cells, boxes, 1))
    four = reshape(b, four, (batch, side, side, boxes, 4))
    centre = _centres(b, sliced_axis(b, four, 4, 0, 2), 1.0, done=True)
    size = sliced_axis(b, four, 4, 2, 2)
    size = formula(b, lambda v: v * v, size, title="square") if root else size
    columns = (reshape(b, v, (batch, cells, boxes, 2)) for v in (centre, size))
    return _joined(b, (*columns, sure, kinds), Grid(side, side, ()), boxes, classes)
