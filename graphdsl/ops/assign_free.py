"""Which cell is to show which true box where there are no anchors: those around its middle.

    . . . . . .        x   the cell that the middle of the box lies in
    . o o o . .        o   cells whose own middles are near it, and in the box
    . o x o . .
    . o o o . .        of several heads the size of the box says which

Source: Tian et al. 2019, "FCOS" (cells by size, near the middle, the smallest box first); Ge et al. 2021, "YOLOX" (a
square of cells is to show the object).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Cotangents,
    Operator,
    Sample,
    TensorType,
    TypeRuleError,
    Value,
    boxes,
    operator,
)
from graphdsl.ops.assign import FOUND, real_boxes, show, silent
from graphdsl.report import dataclass


@operator("assign_cells")
@dataclass(frozen=True)
class AssignCells(Operator):
    """What the candidate of every cell is to say.

    found    [batch, n, 5 + classes]: candidates of all heads, one head after the other, one for each cell, row by row
    true     [batch, m, 5]: centre x, centre y, width, height, class; rows without area are none
    returns  goal [batch, n, 5 + classes] and asked [batch, n, 2], as `assign_boxes`

    near    a cell shows a box that its own middle is in, and whose middle is less than this many cells from that, down
            and across; the cell that the middle of the box lies in shows it in any case
    span    the head with the most cells shows boxes of which the longer side is at most so many cells, the next one of
            the others those for which that is true there, and so on; the last one shows the rest
    ignore  a candidate whose box overlaps a true one by more than this need not say that there is nothing

    A candidate shows one box. Of boxes that want the same one the smallest gets it, of equal ones the first; so a box
    whose cells all went to smaller ones is shown by none. There is no gradient.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    near: float
    span: float
    ignore: float

    @property
    def counts(self) -> list[int]:
        return [rows * columns for rows, columns in zip(self.rows, self.columns, strict=True)]

    @property
    def finest_first(self) -> list[int]:
        """The heads, those with many cells first."""
        return sorted(range(len(self.rows)), key=lambda head: -self.counts[head])

    def type(self, found: TensorType, true: TensorType) -> tuple[TensorType, ...]:  # type: ignore[override]
        count = sum(self.counts)
        if found.rank != 3 or found.shape[1] != count or true.rank != 3 or true.channels != FOUND:
            raise TypeRuleError(f"{count} candidates and rows of {FOUND}, got {found} and {true}", operand=0)
        return TensorType(found.shape, found.dtype), TensorType((*found.shape[:2], 2), found.dtype)

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
        for box in true[np.argsort(true[:, 2] * true[:, 3], kind="stable")]:
            wanted = self._cells(box)
            show(box, wanted[asked[wanted, 0] == 0], goal, asked)

    def _cells(self, box: Array) -> Array:
        """The candidates that are to show a box, if no smaller one has them."""
        head = self._head(box)
        rows, columns, start = self.rows[head], self.columns[head], sum(self.counts[:head])
        across = np.abs(np.arange(columns) + 0.5 - box[0] * columns)
        down = np.abs(np.arange(rows) + 0.5 - box[1] * rows)
        wide, high = (min(self.near, size / 2) for size in (box[2] * columns, box[3] * rows))
        there = (down < high)[:, None] & (across < wide)[None]
        there[_index(box[1] * rows, rows), _index(box[0] * columns, columns)] = True
        return start + np.flatnonzero(there)

    def _head(self, box: Array) -> int:
        fits = (h for h in self.finest_first if max(box[2] * self.columns[h], box[3] * self.rows[h]) <= self.span)
        return next(fits, self.finest_first[-1])

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        found = np.linspace(0.05, 0.9, 2 * 20 * 7).reshape(2, 20, 7)
        true = np.array([[[0.31, 0.22, 0.9, 0.6, 1], [0.34, 0.21, 0.33, 0.43, 0], [0, 0, 0, 0, 0]]] * 2, float)
        true[1, :2] = [[0.91, 1.2, 0.1, 0.1, 0], [0.5, 0.5, 0, 0.2, 1]]
        return [
            Sample(cls(rows, columns, 1.5, 2.0, 0.6), (found, true), smooth=())
            for rows, columns in (((2, 4), (2, 4)), ((4, 2), (4, 2)), ((5,), (4,)))
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        op = cls((2,), (2,), 1.5, 8.0, 0.5)
        return [
            BadSample(op, (TensorType((1, 5, 7)), TensorType((1, 2, 5), kind=boxes(2)))),
            BadSample(op, (TensorType((1, 4, 7)), TensorType((1, 2, 4)))),
        ]


def _index(place: float, count: int) -> int:
    """Which of so many cells in a row a place lies in; the first or last one where it lies in none."""
    return int(np.clip(np.floor(place), 0, count - 1))
