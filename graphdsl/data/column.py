"""One named thing that every row of a dataset has, in the five forms data comes in.

A column hands out rows as arrays with the batch axis first and changes nothing: what a value must become to enter the
network is decided once, when columns are bound (`conform.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphdsl.report import dataclass

Array = NDArray[Any]
Rows = NDArray[np.int64]
Shape = tuple[int | None, ...]


class Column(ABC):
    """Values of equal standing, one for each row."""

    @abstractmethod
    def __len__(self) -> int:
        """How many rows there are."""

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """The shape of one row's value; None where rows differ."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """The element type that `take` gives."""

    @abstractmethod
    def take(self, rows: Rows, length: int = 0) -> Array:
        """The values of these rows, [len(rows), ...]. A free first axis is padded with zeros up to length."""

    @property
    def ragged(self) -> bool:
        """Whether the first axis differs from row to row."""
        return False

    def lengths(self, rows: Rows) -> Array:
        """int32 [len(rows)]: how long the first axis of each row is. Only for values that have an axis."""
        return np.full(len(rows), self.shape[0], np.int32)

    def longest(self) -> int:
        """The greatest length of the first axis over all rows."""
        return self.shape[0] or 0

    def only(self, rows: Rows) -> Column:
        """These rows as a column of their own."""
        return Dense(self.take(rows))

    def describe(self) -> str:
        """`float64[28, 28, 1]`, with `*` where rows differ."""
        sizes = ", ".join("*" if size is None else str(size) for size in self.shape)
        return f"{self.dtype}[{sizes}]" if self.shape else str(self.dtype)


@dataclass(frozen=True, eq=False)
class Dense(Column):
    """Numbers in one array, [rows, ...]; it may be memory-mapped."""

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
        found = np.asarray(self.values[rows])
        missing = length - found.shape[1] if length else 0
        if missing <= 0:
            return found
        return np.pad(found, ((0, 0), (0, missing)) + ((0, 0),) * (found.ndim - 2))


@dataclass(frozen=True, eq=False)
class Labels(Column):
    """Class numbers, [rows]; `classes` names them and is empty where the source gives no names."""

    values: Array
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> Shape:
        return ()

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    def take(self, rows: Rows, length: int = 0) -> Array:
        return np.asarray(self.values[rows])

    def only(self, rows: Rows) -> Labels:
        return Labels(self.values[rows], self.classes)

    def describe(self) -> str:
        """`class names (3)` or `class numbers`"""
        return f"class names ({len(self.classes)})" if self.classes else "class numbers"


@dataclass(frozen=True, eq=False)
class Numerals(Dense):
    """Whole numbers that were written in digits, [rows], with the texts that they were: `0042` may be either."""

    texts: tuple[str, ...] = ()

    def only(self, rows: Rows) -> Numerals:
        return Numerals(self.values[rows], tuple(self.texts[row] for row in rows))


@dataclass(frozen=True, eq=False)
class Ragged(Column):
    """Sequences of different lengths: all elements one after the other, and where each row starts.

    values   [all elements, ...]
    starts   [rows + 1]; row i is values[starts[i]:starts[i + 1]]
    """

    values: Array
    starts: Rows

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def shape(self) -> Shape:
        return (None, *self.values.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    @property
    def ragged(self) -> bool:
        return True

    def lengths(self, rows: Rows) -> Array:
        return np.asarray(self.starts[rows + 1] - self.starts[rows], np.int32)

    def longest(self) -> int:
        return int(np.diff(self.starts).max(initial=0))

    def take(self, rows: Rows, length: int = 0) -> Array:
        sizes = self.lengths(rows)
        out = np.zeros((len(rows), max(length, int(sizes.max(initial=0))), *self.values.shape[1:]), self.dtype)
        for i, (start, size) in enumerate(zip(self.starts[rows], sizes, strict=True)):
            out[i, :size] = self.values[start : start + size]
        return out

    def only(self, rows: Rows) -> Ragged:
        return Ragged.of([self.values[self.starts[row] : self.starts[row + 1]] for row in rows])

    def dense(self) -> Dense | None:
        """The same as one array where all rows are equally long, else None."""
        sizes = np.diff(self.starts)
        if not len(sizes) or (sizes != sizes[0]).any():
            return None
        return Dense(self.values.reshape(len(sizes), int(sizes[0]), *self.values.shape[1:]))

    def row_of(self, element: int) -> int:
        """The row that owns this element of `values`."""
        return int(np.searchsorted(self.starts, element, side="right")) - 1

    def with_values(self, values: Array) -> Ragged:
        """The same lengths over other elements."""
        return replace(self, values=values)

    @staticmethod
    def of(sequences: Sequence[Array]) -> Ragged:
        """One row for each array; they agree in all axes but the first."""
        sizes = np.array([len(s) for s in sequences], np.int64)
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        return Ragged(np.concatenate(sequences) if len(sequences) else np.zeros(0), starts)


@dataclass(frozen=True, eq=False)
class Texts(Column):
    """Texts that no number stands for yet: a step of `preprocess` makes numbers of them."""

    values: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> Shape:
        return (None,)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(str)

    def take(self, rows: Rows, length: int = 0) -> Array:
        return np.array([self.values[r] for r in rows])

    def only(self, rows: Rows) -> Texts:
        return Texts(tuple(self.values[row] for row in rows))

    def describe(self) -> str:
        """`text`"""
        return "text"
