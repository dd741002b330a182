"""Boxes around things in pictures: as files have them, as a network sees the picture, as a batch takes them.

A box is centre x, centre y, width, height and class; the four are fractions of the picture. What `preprocess` does to
pictures is done to boxes too: a part that is cut out takes its boxes along. Boxes whose centre is cut off are gone, the
others end where the picture does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphdsl.data.column import Array, Column, Dense, Rows, Shape
from graphdsl.data.wanted import Wanted
from graphdsl.report import dataclass, did_you_mean, fail

NUMBERS = 5
Part = tuple[float, float, float, float]
"""Left, top, width and height of what is seen of a picture, as fractions of it; beyond it where a border was added."""

WHOLE: Part = (0.0, 0.0, 1.0, 1.0)
KEPT = 0.2
"""How much of a box must be left of it where a picture is cut at random."""


@dataclass(frozen=True, eq=False)
class Boxes(Column):
    """For each picture its boxes, float [k, 5]; `classes` names the last number, and is empty where nothing does."""

    rows: tuple[Array, ...]
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> Shape:
        return (None, NUMBERS)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    @property
    def ragged(self) -> bool:
        return True

    def lengths(self, rows: Rows) -> Array:
        return np.array([len(self.rows[r]) for r in rows], np.int32)

    def longest(self) -> int:
        return max(map(len, self.rows), default=0)

    def take(self, rows: Rows, length: int = 0) -> Array:
        found = [self.rows[r] for r in rows]
        most = max([length, *map(len, found)])
        return np.stack([np.pad(row, ((0, most - len(row)), (0, 0))) for row in found]).astype(np.float32)

    def only(self, rows: Rows) -> Boxes:
        return Boxes(tuple(self.rows[r] for r in rows), self.classes)

    def describe(self) -> str:
        """`boxes of 3 classes`"""
        return f"boxes of {len(self.classes)} classes" if self.classes else "boxes"

    def seen(self, parts: Sequence[Part]) -> Boxes:
        """The boxes in what is seen of each picture; where that is all of it they stay as they are."""
        pairs = zip(self.rows, parts, strict=True)
        moved = [row if part == WHOLE else cut(within(row, part)) for row, part in pairs]
        return Boxes(tuple(moved), self.classes)


def as_boxes(column: Column) -> Column:
    """Arrays of boxes, [rows, m, 5], or of different lengths, as Boxes; others as they are."""
    if isinstance(column, Boxes) or len(column.shape) != 2 or column.shape[1] != NUMBERS:
        return column
    rows = [column.take(np.array([row]))[0] for row in range(len(column))]
    return Boxes(tuple(row[(row[:, 2:4] > 0).all(axis=1)] for row in rows))


def within(boxes: Array, part: Part) -> Array:
    """[..., 5] as fractions of a part of the picture."""
    left, top, width, height = part
    moved = np.array(boxes, np.float64)
    moved[..., :4] = (moved[..., :4] - (left, top, 0, 0)) / (width, height, width, height)
    return moved


def cut(boxes: Array, least: float = 0.0) -> Array:
    """[k, 5], ending at the picture's border; those whose centre was outside are gone, and those of which less than
    least is left."""
    inside = (boxes[:, :2] >= 0).all(axis=1) & (boxes[:, :2] <= 1).all(axis=1)
    low, high = (np.clip(boxes[:, :2] + sign * boxes[:, 2:4] / 2, 0, 1) for sign in (-1, 1))
    made = np.concatenate([(low + high) / 2, high - low, boxes[:, 4:]], axis=1)
    left = made[:, 2:4].prod(axis=1) > least * boxes[:, 2:4].prod(axis=1)
    return np.asarray(made[inside & left & (made[:, 2:4] > 0).all(axis=1)])


def packed(rows: Sequence[Array], most: int) -> Array:
    """float32 [rows, most, 5], padded with rows of 0; of too many the largest stay."""
    out = np.zeros((len(rows), most, NUMBERS), np.float32)
    for made, row in zip(out, rows, strict=True):
        kept = row[np.sort(np.argsort(-row[:, 2:4].prod(axis=1), kind="stable")[:most])]
        made[: len(kept)] = kept
    return out


def conformed(
    name: str, column: Boxes, wanted: Wanted, names: tuple[str, ...], place: Callable[[int], str]
) -> tuple[Dense, tuple[str, ...]]:
    """The boxes as `box(n)[m]` takes them, and the names of their classes.

    names  known from training; empty: the column's own
    Raises E0513 (more boxes in a picture than m), E0515 (more classes than n), E0516 (no finite number), E0517 (a class
    not trained on).
    """
    count, most = wanted.type.kind.classes, int(wanted.shape[0])
    if column.longest() > most:
        row = int(np.argmax([len(boxes) for boxes in column.rows]))
        message = f"{place(row)} has {column.longest()} boxes in `{name}`; {wanted.title} takes up to {most}"
        raise fail("E0513", message, wanted.span, help=f"declare it `box({count})[{column.longest()}]`")
    known = names or column.classes
    if len(known) > count:
        listed = ", ".join(known[:20])
        message = f"`{name}` has {len(known)} classes ({listed}); {wanted.title} has {count}"
        raise fail("E0515", message, wanted.span, help=f"declare it `box({len(known)})[{most}]`")
    table = _numbers(column, known, wanted, place)
    rows = [np.column_stack([row[:, :4], table[row[:, 4].astype(int)]]) if len(row) else row for row in column.rows]
    return Dense(packed(rows, most)), known


def _numbers(column: Boxes, known: tuple[str, ...], wanted: Wanted, place: Callable[[int], str]) -> Array:
    """The number of each class of the column among those that are known."""
    if not column.classes:
        _demand_numbers(column, wanted, place)
        return np.arange(wanted.type.kind.classes)
    strange = [i for i, given in enumerate(column.classes) if given not in known]
    found = [(row, int(n)) for row, boxes in enumerate(column.rows) for n in boxes[:, 4] if int(n) in strange]
    if found:
        row, number = found[0]
        given = column.classes[number]
        help = did_you_mean(given, known) or f"known classes: {', '.join(known[:20])}"
        message = f"{place(row)}: `{given}` is no class that {wanted.title} was trained on"
        raise fail("E0517", message, wanted.span, help=help)
    return np.array([known.index(given) if given in known else 0 for given in column.classes])


def _demand_numbers(column: Boxes, wanted: Wanted, place: Callable[[int], str]) -> None:
    """Boxes of a program: their classes are the numbers of classes that there are."""
    count = wanted.type.kind.classes
    for row, boxes in enumerate(column.rows):
        numbers = boxes[:, 4]
        if not np.isfinite(boxes).all():
            raise fail("E0516", f"{place(row)}: a box has a number that is not finite", wanted.span)
        if ((numbers < 0) | (numbers >= count) | (numbers % 1 != 0)).any():
            told = ", ".join(f"{number:g}" for number in numbers[:20])
            message = f"{place(row)} has boxes of the classes {told}; {wanted.title} has those from 0 to {count - 1}"
            raise fail("E0515", message, wanted.span, help="classes are whole numbers that begin at 0")
