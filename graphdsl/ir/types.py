"""What flows along an edge: an array's shape, its numbers, and what the numbers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from math import prod

import numpy as np

from graphdsl.ir.dim import BATCH, Dim, evaluate
from graphdsl.report import dataclass


class DType(StrEnum):
    """The number types of tensors."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"
    INT32 = "int32"
    INT64 = "int64"
    BOOL = "bool"

    @property
    def numpy(self) -> np.dtype[np.generic]:
        return np.dtype(str(self))

    @property
    def size(self) -> int:
        """Bytes of one number."""
        return self.numpy.itemsize

    @property
    def is_float(self) -> bool:
        return self in (DType.FLOAT32, DType.FLOAT64)


@dataclass(frozen=True, slots=True)
class Kind:
    """What the numbers mean. classes: how many there are, for indices and boxes."""

    name: str
    classes: int = 0

    def __str__(self) -> str:
        return self.name


PLAIN = Kind("plain")
PROBABILITIES = Kind("probabilities")
"""The last axis sums to one, as after softmax."""
PROBABILITY = Kind("probability")
"""Each number for itself lies between 0 and 1, as after sigmoid."""
IMAGE = Kind("image")
PARTIAL = Kind("partial")
"""Numbers of which some may be unknown: NaN stands for them."""
POINTS = Kind("points")
"""[n, 2]: x and y as fractions of a picture, from its left and its top; of a target some may be unknown."""


def indices(classes: int) -> Kind:
    """Whole numbers from 0 to classes - 1."""
    return Kind("indices", classes)


def boxes(classes: int) -> Kind:
    """Boxes of that many classes."""
    return Kind("boxes", classes)


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape (batch axis first where there is one, features last), dtype and kind."""

    shape: tuple[Dim, ...]
    dtype: DType = DType.FLOAT32
    kind: Kind = PLAIN

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def channels(self) -> Dim:
        """The last axis. Only where rank >= 1."""
        return self.shape[-1]

    @property
    def spatial(self) -> tuple[Dim, ...]:
        """The axes between batch and channels."""
        return self.shape[1:-1]

    @property
    def batched(self) -> bool:
        return self.rank > 0 and self.shape[0] == BATCH

    @property
    def count(self) -> Dim:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def partial(self) -> bool:
        """Whether entries of such a target may be unknown."""
        return self.kind in (PARTIAL, POINTS)

    def with_shape(self, shape: tuple[Dim, ...]) -> TensorType:
        return replace(self, shape=shape)

    def with_kind(self, kind: Kind) -> TensorType:
        return replace(self, kind=kind)

    def with_dtype(self, dtype: DType) -> TensorType:
        return replace(self, dtype=dtype)

    def bind(self, binding: Mapping[str, int]) -> tuple[int, ...]:
        """The shape in plain numbers."""
        return tuple(int(evaluate(d, binding)) for d in self.shape)

    def describe(self) -> str:
        """As people write it, without the batch axis: `float[28, 28, 1]`, `int(10)`."""
        shape = self.shape[1:] if self.batched else self.shape
        if self.kind == POINTS:
            return f"point[{', '.join(map(str, shape[:-1]))}]"
        dims = f"[{', '.join(map(str, shape))}]" if shape else ""
        if self.kind.name == "boxes":
            return f"box({self.kind.classes}){dims}"
        if self.kind == PARTIAL:
            return f"float?{dims}"
        classes = f"({self.kind.classes})" if self.kind.name == "indices" else ""
        return f"{_WORDS[self.dtype]}{classes}{dims}"

    def __str__(self) -> str:
        """Whole, for printed graphs: `float32[batch, 28, 28, 1]:image`."""
        kind = (
            "" if self.kind == PLAIN else f":{self.kind.name}" + (f"({self.kind.classes})" if self.kind.classes else "")
        )
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]{kind}"


_WORDS = {
    DType.FLOAT32: "float",
    DType.FLOAT64: "float",
    DType.INT32: "int",
    DType.INT64: "int",
    DType.BOOL: "bool",
}
