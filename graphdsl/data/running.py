"""Running text, and the windows that are cut out of it."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Any

import numpy as np

from graphdsl.data.column import Array, Column, Rows, Shape
from graphdsl.data.vocabulary import Unit, Vocabulary
from graphdsl.report import dataclass, fail


@dataclass(frozen=True, eq=False)
class Running(Column):
    """One long text, of which every window of `length` pieces is a row. What a piece is the first step of `preprocess`
    says; `cut` then makes rows of it.

    stride   pieces from the start of one window to that of the next
    shift    how many pieces later than its row each window begins: 1 for what comes next
    tail     pieces that every window leaves behind it, so that columns of different shift have equally many rows
    """

    text: str
    length: int
    stride: int
    shift: int = 0
    tail: int = 1
    pieces: tuple[str, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        """Windows; before the text is cut nobody knows how many, and any text counts as one."""
        if not self.pieces:
            return min(1, len(self.text))
        return max(0, (len(self.pieces) - self.length - self.tail) // self.stride + 1)

    @property
    def shape(self) -> Shape:
        return (self.length,)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(str)

    def describe(self) -> str:
        """`running text`"""
        return "running text"

    def take(self, rows: Rows, length: int = 0) -> Array:
        return np.array([self.text[start : start + self.length] for start in self._starts(rows)])

    def cut(self, unit: Unit) -> Running:
        """In pieces. Raises E0508 where they do not fill one window."""
        found = replace(self, pieces=tuple(unit.cut(self.text)))
        if not len(found):
            message = f"the text has {len(found.pieces)} pieces, and one window takes {self.length + self.tail}"
            raise fail("E0508", message, help="give more text, or a smaller `length`")
        return found

    def only(self, rows: Rows) -> Running:
        """What these rows, which follow each other from the first on, see of the text."""
        end = int(rows.max(initial=-1)) * self.stride + self.length + self.shift
        return replace(self, pieces=self.pieces[:end])

    def numbered(self, vocabulary: Vocabulary) -> Windows:
        """The same windows of numbers. Raises E0517."""
        try:
            return Windows(vocabulary.numbers(self.pieces), self.length, self.stride, self.shift, len(self))
        except KeyError as error:
            message = f"`{error.args[0]}` in the text is no character of the alphabet"
            help = "add it to `characters`; without an alphabet it is learned from the data"
            raise fail("E0517", message, help=help) from error

    def _starts(self, rows: Rows) -> Rows:
        return np.asarray(rows, np.int64) * self.stride + self.shift


@dataclass(frozen=True, eq=False)
class Windows(Column):
    """Overlapping rows of one array: row i is values[i * stride + shift : … + length]."""

    values: Array
    length: int
    stride: int
    shift: int
    count: int

    def __len__(self) -> int:
        return self.count

    @property
    def shape(self) -> Shape:
        return (self.length,)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    def take(self, rows: Rows, length: int = 0) -> Array:
        starts = np.asarray(rows, np.int64) * self.stride + self.shift
        found = np.asarray(self.values[starts[:, None] + np.arange(self.length)])
        return np.pad(found, ((0, 0), (0, max(0, length - self.length))))
