"""Which candidate is to show which true box: the middle of the box says the cell, its shape says the anchor.

    true box ── its centre lies in one cell of every head
        └────── shape against all anchors of all heads: the best one, and all that are alike enough, take it

A candidate that takes a box is to show it. One that takes none is to say so, unless what it shows overlaps a true box
well: then nothing is asked of it.

Source: Redmon and Farhadi 2018, section 2.1; the boxes that several anchors take: Bochkovskiy et al. 2020, section 3.4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Cotangents,
    ModalOperator,
    Operator,
    Sample,
    TensorType,
    TypeRuleError,
    Value,
    boxes,
    operator,
)
from graphdsl.ops.elementwise import Elementwise
from graphdsl.ops.expression import Operand
from graphdsl.ops.overlap import overlaps
from graphdsl.report import dataclass

FOUND = 5
"""Columns of a candidate before its classes: x, y, width, height, object."""

Anchor = tuple[float, float]


@dataclass(frozen=True)
class Grid:
    """The cells of a head, and its anchors' widths and heights as fractions of the picture.

    free  each cell has one box that is measured by the cell; there are no anchors
    """

    rows: int
    columns: int
    anchors: tuple[Anchor, ...]
    free: bool = False

    @property
    def count(self) -> int:
        return self.rows * self.columns * (1 if self.free else len(self.anchors))


@operator("candidates")
@dataclass(frozen=True)
class Candidates(ModalOperator):
    """x itself, known to be candidates of these cells: what a loss has to know of a head.

    x  [batch, rows * columns * anchors, 5 + classes]
    """

    rows: int
    columns: int
    anchors: tuple[Anchor, ...]
    made: TensorType
    free: bool = False

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        if x.shape != self.made.shape:
            raise TypeRuleError(f"candidates of {self.made.describe()}, got {x.describe()}", operand=0)
        return self.made

    @property
    def grid(self) -> Grid:
        return Grid(self.rows, self.columns, self.anchors, self.free)

    def training(self, b: Builder, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        return (b.emit(Elementwise(Operand(0), 1, self.made.kind, "candidates"), *inputs),)

    def inference(self, b: Builder, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        return self.training(b, inputs)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.linspace(0, 1, 28).reshape(1, 4, 7)
        return [Sample(cls(2, 2, ((0.5, 0.5),), TensorType((1, 4, 7))), (x,))]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls(2, 2, ((0.5, 0.5),), TensorType((1, 4, 7))), (TensorType((1, 5, 7)),))]


def real_boxes(rows: Array) -> Array:
    """float64 [k, 5]: the rows that have an area."""
    return np.asarray(rows[(rows[:, 2:4] > 0).all(axis=1)], np.float64)


def silent(found: Array, true: Array, ignore: float) -> Array:
    """[n]: 1 for candidates that overlap no true box by more than ignore, and so are to say that there is nothing."""
    if not len(true):
        return np.ones(len(found))
    return np.asarray(~(overlaps(found, true).max(axis=1) > ignore), np.float64)


def show(box: Array, places: Sequence[int] | Array, goal: Array, asked: Array) -> None:
    """Has the candidates at these places show box."""
    for place in places:
        goal[place, : FOUND - 1] = box[:4]
        goal[place, [FOUND - 1, FOUND + int(box[4])]] = 1
        asked[place] = 1, 0


@operator("assign_boxes")
@dataclass(frozen=True)
class AssignBoxes(Operator):
    """What every candidate is to say.

    found    [batch, n, 5 + classes]: candidates of all grids, one grid after the other
    true     [batch, m, 5]: centre x, centre y, width, height, class; rows without area are none
    returns  goal [batch, n, 5 + classes]: the box, 1 for an object, 1 for its class; 0 where there is none
             asked [batch, n, 2]: 1 where an object is to be shown; 1 where nothing is to be

    alike   anchors whose shape overlaps the box's as much as this take it too; 1: only the best one
    ignore  a candidate whose box overlaps a true one by more than this need not say that there is nothing

    A candidate shows one box. Of boxes that want the same one the first gets it, and the others' next best anchor is
    theirs. A box whose centre lies outside of the picture counts to the cell at the edge. There is no gradient.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    anchors: tuple[tuple[Anchor, ...], ...]
    alike: float
    ignore: float

    @property
    def grids(self) -> list[Grid]:
        return [Grid(*grid) for grid in zip(self.rows, self.columns, self.anchors, strict=True)]

    def type(self, found: TensorType, true: TensorType) -> tuple[TensorType, ...]:  # type: ignore[override]
        count = sum(grid.count for grid in self.grids)
        if found.rank != 3 or found.shape[1] != count or true.rank != 3 or true.channels != FOUND:
            raise TypeRuleError(f"{count} candidates and rows of {FOUND}, got {found} and {true}", operand=0)
        plain = TensorType(found.shape, found.dtype)
        return plain, TensorType((*found.shape[:2], 2), found.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        """Nothing: who shows what is decided anew at every step, not learned."""
        return None, None

    def reference(self, found: Array, true: Array) -> tuple[Array, ...]:  # type: ignore[override]
        goal, asked = np.zeros_like(found), np.zeros((*found.shape[:2], 2), found.dtype)
        for one, rows, to_show, to_say in zip(found, true, goal, asked, strict=True):
            self._of_one(one, real_boxes(rows), to_show, to_say)
        return goal, asked

    def _of_one(self, found: Array, true: Array, goal: Array, asked: Array) -> None:
        asked[:, 1] = silent(found, true, self.ignore)
        for box, places, shapes in zip(true, *self._places(true), strict=True):
            order = np.argsort(-shapes, kind="stable")
            left = [a for a in order if not asked[places[a], 0]]
            taken = [places[a] for i, a in enumerate(left) if i == 0 or shapes[a] >= self.alike]
            show(box, taken, goal, asked)

    def _places(self, true: Array) -> tuple[Array, Array]:
        """For every box and anchor the candidate whose cell the box's centre lies in, and how alike their shapes are,
        both [boxes, anchors of all grids]."""
        places, start = [], 0
        for grid in self.grids:
            row = np.clip((true[:, 1] * grid.rows).astype(int), 0, grid.rows - 1)
            column = np.clip((true[:, 0] * grid.columns).astype(int), 0, grid.columns - 1)
            first = start + (row * grid.columns + column) * len(grid.anchors)
            places.append(first[:, None] + np.arange(len(grid.anchors)))
            start += grid.count
        shapes = np.array([anchor for grid in self.grids for anchor in grid.anchors])
        common = np.minimum(true[:, None, 2:4], shapes[None]).prod(-1)
        union = true[:, None, 2:4].prod(-1) + shapes[None].prod(-1) - common
        return np.concatenate(places, axis=1), common / union

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        found = np.linspace(0.05, 0.9, 2 * 20 * 7).reshape(2, 20, 7)
        true = np.array([[[0.3, 0.2, 0.4, 0.3, 1], [0.32, 0.22, 0.5, 0.3, 0], [0, 0, 0, 0, 0]]] * 2, float)
        true[1, :2] = [[0.9, 1.2, 0.1, 0.1, 0], [0.5, 0.5, 0, 0.2, 1]]
        anchors = (((0.1, 0.1), (0.4, 0.4)), ((0.5, 0.25), (0.3, 0.35), (0.2, 0.8)))
        return [Sample(cls((2, 2), (2, 2), anchors, alike, 0.6), (found, true), smooth=()) for alike in (1.0, 0.3)]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        op = cls((2,), (2,), (((0.5, 0.5),),), 1.0, 0.5)
        return [
            BadSample(op, (TensorType((1, 5, 7)), TensorType((1, 2, 5), kind=boxes(2)))),
            BadSample(op, (TensorType((1, 4, 7)), TensorType((1, 2, 4)))),
        ]
