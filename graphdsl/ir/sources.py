"""Operations that read nothing: what is fed, what is learned, what is fixed; and how weights begin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from graphdsl.ir.dim import BATCH, Dim, evaluate, symbol
from graphdsl.ir.operator import Array, Fusion, Operator, Sample, operator
from graphdsl.ir.types import DType, TensorType
from graphdsl.report import dataclass

INITIAL: dict[str, type[Initializer]] = {}
"""Every initialiser by class name."""


class Initializer(ABC):
    """How a weight begins. Concrete ones are frozen dataclasses; printed graphs know them by their class name."""

    def __init_subclass__(cls) -> None:
        INITIAL[cls.__name__] = cls

    @abstractmethod
    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        """An array of this shape, float64; the caller casts it."""


@dataclass(frozen=True)
class Zeros(Initializer):
    """All 0."""

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        return np.zeros(shape)


@operator("input")
@dataclass(frozen=True)
class Input(Operator):
    """A tensor that whoever runs the graph supplies, under the node's name.

    target  it was declared as the truth, which only training knows
    """

    made: TensorType
    target: bool = False
    fusion: ClassVar[Fusion] = Fusion.SOURCE
    pure: ClassVar[bool] = False

    def type(self, *inputs: TensorType) -> TensorType:
        return self.made

    def reference(self, *arrays: Array) -> Array:
        raise AssertionError("an input is fed, not computed")


@operator("weight")
@dataclass(frozen=True)
class Weight(Operator):
    """A tensor that lives from step to step, under the node's name.

    trainable  gradient steps change it
    state      it is no parameter of the model: a running average, the memory of an optimizer
    l1, l2     regularisation: the total loss grows by l1 * sum(|w|) + l2 * sum(w * w)
    """

    made: TensorType
    init: Initializer
    trainable: bool = True
    state: bool = False
    l1: float = 0.0
    l2: float = 0.0
    fusion: ClassVar[Fusion] = Fusion.SOURCE
    pure: ClassVar[bool] = False

    def type(self, *inputs: TensorType) -> TensorType:
        return self.made

    def reference(self, *arrays: Array) -> Array:
        raise AssertionError("a weight is stored, not computed")


@operator("constant")
@dataclass(frozen=True)
class Constant(Operator):
    """Numbers fixed when the graph was built. data: their bytes, in row order, little-endian."""

    made: TensorType
    data: bytes
    fusion: ClassVar[Fusion] = Fusion.SOURCE

    @staticmethod
    def scalar(number: float | int | bool, dtype: DType = DType.FLOAT32) -> Constant:
        return Constant(TensorType((), dtype), np.asarray(number, dtype.numpy).tobytes())

    @staticmethod
    def array(array: Array) -> Constant:
        dtype = DType(array.dtype.name)
        return Constant(TensorType(array.shape, dtype), np.ascontiguousarray(array).tobytes())

    @property
    def number(self) -> float | None:
        """The number it is when it is a scalar, else None."""
        return float(self.reference().item()) if self.made.rank == 0 else None

    def type(self, *inputs: TensorType) -> TensorType:
        return self.made

    def reference(self, *arrays: Array) -> Array:
        shape = tuple(evaluate(d, {}) for d in self.made.shape)
        return np.frombuffer(self.data, self.made.dtype.numpy).reshape(shape)


@operator("length_of")
@dataclass(frozen=True)
class LengthOf(Operator):
    """Real steps along an axis of size dim, from those of the free dimension it follows from; never below 0.

    lengths  int32 [batch], of the dimension called free
    returns  int32 [batch]
    """

    dim: Dim
    free: str
    made: ClassVar[TensorType] = TensorType((BATCH,), DType.INT32)

    def type(self, lengths: TensorType) -> TensorType:  # type: ignore[override]
        return lengths

    def bound(self, binding: Mapping[str, int]) -> LengthOf:
        """Itself: the size stands for one length after another, not for the axis."""
        return self

    def reference(self, lengths: Array) -> Array:  # type: ignore[override]
        found = np.maximum(evaluate(self.dim, {self.free: lengths.astype(np.int64)}), 0)
        return np.broadcast_to(found, lengths.shape).astype(np.int32)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(cls((symbol("T") - 4) // 5, "T"), (np.array([3, 9, 14], np.int32),)),)
