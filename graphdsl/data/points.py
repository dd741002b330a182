"""Points in pictures, in an order that is always the same: as a batch takes them, and as the network sees the picture.

A point is x and y as fractions of the picture, counted from its left upper corner; NaN stands for one that is unknown.
What `preprocess` does to pictures is done to points too. Points beyond the border stay points, below 0 or above 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from graphdsl.data.boxes import WHOLE, Part
from graphdsl.data.column import Array, Column, Dense, Rows, Shape
from graphdsl.ir import Domain, SettingError, Whole
from graphdsl.report import dataclass, fail

SIDES = 2
MOST = 10_000
"""Points of a picture."""

Pair = tuple[int, int]
ORDERS: dict[str, tuple[Pair, ...]] = {
    "ibug68": (
        *((i, 16 - i) for i in range(8)),
        *((17 + i, 26 - i) for i in range(5)),
        *((31, 35), (32, 34)),
        *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),
        *((48, 54), (49, 53), (50, 52), (55, 59), (56, 58)),
        *((60, 64), (61, 63), (65, 67)),
    )
}
"""Which points change places in a mirror, of orders that have a name: the 68 points of iBUG's 300-W, counted from 0."""


@dataclass(frozen=True)
class PairsDomain(Domain):
    """`[[36, 45], [37, 44]]`, or the name of an order of points."""

    def describe(self) -> str:
        return f"pairs of points, `[[36, 45], [37, 44]]`, or {' or '.join(f'`{name}`' for name in ORDERS)}"

    def accept(self, value: Any) -> tuple[Pair, ...]:
        pairs = ORDERS.get(value, ()) if isinstance(value, str) else value
        fine = isinstance(pairs, tuple) and all(isinstance(p, tuple) and len(p) == SIDES for p in pairs)
        if not fine or (isinstance(value, str) and value not in ORDERS):
            raise SettingError(f"needs {self.describe()}, got {value}")
        made = tuple((Whole().accept(a), Whole().accept(b)) for a, b in pairs)
        named = [number for pair in made for number in pair]
        if len(set(named)) != len(named):
            raise SettingError("names a point twice: each changes places with one other")
        return made

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(ORDERS)


Pairs = Annotated[tuple[Any, ...], PairsDomain()]


@dataclass(frozen=True, eq=False)
class Points(Column):
    """For each picture its points, float [rows, n, 2]."""

    values: Array

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> Shape:
        return self.values.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    def take(self, rows: Rows, length: int = 0) -> Array:
        return np.asarray(self.values[rows])

    def only(self, rows: Rows) -> Points:
        return Points(self.values[rows])

    def describe(self) -> str:
        """`68 points`"""
        return f"{self.shape[0]} points"

    def seen(self, parts: Sequence[Part]) -> Points:
        """The points in what is seen of each picture; where that is all of it they stay as they are."""
        pairs = zip(self.values, parts, strict=True)
        return Points(np.stack([points if part == WHOLE else moved(points, part) for points, part in pairs]))


def as_points(column: Column) -> Column:
    """An array [rows, n, 2] as Points; others as they are."""
    fits = isinstance(column, Dense) and len(column.shape) == SIDES and column.shape[1] == SIDES
    return Points(np.asarray(column.values, np.float64)) if fits and isinstance(column, Dense) else column


def moved(points: Array, part: Part) -> Array:
    """[..., 2] as fractions of a part of the picture."""
    left, top, width, height = part
    return np.asarray((points - (left, top)) / (width, height))


def mirrored(points: Array, axis: int, pairs: Sequence[Pair]) -> Array:
    """[n, 2] in a mirror, those of each pair in each other's place."""
    turned = points.copy()
    turned[:, axis] = 1 - turned[:, axis]
    for one, other in pairs:
        turned[[one, other]] = turned[[other, one]]
    return turned


def demand_pairs(pairs: Sequence[Pair] | None, count: int) -> None:
    """Raises E0518 where nothing says which points change places in a mirror, or where there are no such points."""
    if pairs is None:
        message = "in a mirror the left eye becomes the right one, and nothing says which points change places"
        help = "write `flip(pairs=ibug68)` for 68 points of a face, `flip(pairs=[[0, 1]])`, `flip(pairs=[])` for none"
        raise fail("E0518", message, help=help)
    most = max((number for pair in pairs for number in pair), default=-1)
    if most >= count:
        raise fail("E0518", f"`pairs` names point {most}, and there are {count}, counted from 0")
