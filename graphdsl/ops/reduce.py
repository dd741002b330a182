"""Sums over axes, and their reverse: stretching along axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Cotangents,
    Count,
    Dim,
    DType,
    Fusion,
    Moving,
    Operator,
    Sample,
    Stepper,
    Streamed,
    TensorType,
    TypeRuleError,
    Value,
    layer,
    operator,
)
from graphdsl.ops.shape import reshape
from graphdsl.report import dataclass


@operator("sum")
@dataclass(frozen=True)
class Sum(Operator):
    """The sum over axes, which stay with size 1. Counted from 0, the batch axis.

    x        any shape
    returns  the same with 1 in place of each summed axis; an empty axis sums to 0
    """

    axes: tuple[int, ...]
    fusion: ClassVar[Fusion] = Fusion.REDUCTION

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        if any(not 0 <= a < x.rank for a in self.axes):
            raise TypeRuleError(f"sum over axes {self.axes} of a tensor with {x.rank}", operand=0)
        return TensorType(tuple(1 if a in self.axes else s for a, s in enumerate(x.shape)), x.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,) = d
        return (broadcast_to(b, dy, inputs[0].type.shape) if dy else None,)

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        return np.asarray(x.sum(axis=self.axes, keepdims=True, dtype=x.dtype))

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        (x,) = operands
        s.demand_apart(x, self.axes, "a sum is over")
        return s.apart(self, x, axis=x.axis)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[0].count

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.arange(24.0).reshape(2, 3, 4) % 7 - 3
        return [Sample(cls(axes), (x,), torch=_torch_sum(axes)) for axes in ((0,), (1, 2), (0, 1, 2))]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls((2,)), (TensorType((2, 3)),))]


def _torch_sum(axes: tuple[int, ...]) -> Callable[..., Any]:
    return lambda torch, x: x.sum(axes, keepdim=True)


@operator("broadcast")
@dataclass(frozen=True)
class Broadcast(Operator):
    """x repeated along the axes where it has size 1, and along new axes in front, until it has this shape."""

    shape: tuple[Dim, ...]

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        tail = self.shape[len(self.shape) - x.rank :]
        if x.rank > len(self.shape) or any(s not in (1, t) for s, t in zip(x.shape, tail, strict=True)):
            raise TypeRuleError(f"{x.describe()} does not stretch to {TensorType(self.shape).describe()}", operand=0)
        return TensorType(self.shape, x.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,) = d
        return (sum_to(b, dy, inputs[0].type.shape) if dy else None,)

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        return np.broadcast_to(x, self.shape)  # type: ignore[arg-type]

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        (x,) = operands
        axis = self.shape.index(s.length) if x.axis is None else x.axis + len(self.shape) - x.whole.rank
        return s.apart(Broadcast(s.single(s.whole[0], axis)), x, axis=axis)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.arange(6.0).reshape(2, 1, 3)
        return [Sample(cls((2, 4, 3)), (x,), torch=lambda torch, x: x.expand(2, 4, 3))]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls((4, 3)), (TensorType((2, 3)),))]


@operator("dim_number")
@dataclass(frozen=True)
class DimNumber(Operator):
    """A size, as a number to calculate with: how many samples there are, how many steps.

    returns  a scalar
    """

    size: Dim
    dtype: DType = DType.FLOAT32
    fusion: ClassVar[Fusion] = Fusion.SOURCE

    def type(self, *inputs: TensorType) -> TensorType:
        return TensorType((), self.dtype)

    def reference(self, *arrays: Array) -> Array:
        return np.asarray(self.size, self.dtype.numpy)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [Sample(cls(12), ())]


def sum_over(b: Builder, x: Value, axes: tuple[int, ...], *, keep: bool = False) -> Value:
    """The sum over axes; without keep they vanish."""
    if not axes:
        return x
    total = b.emit(Sum(axes), x)
    return total if keep else reshape(b, total, tuple(s for a, s in enumerate(x.type.shape) if a not in axes))


def sum_to(b: Builder, x: Value, shape: tuple[Dim, ...]) -> Value:
    """Sums x down to shape, which x was broadcast from: the gradient of broadcasting."""
    extra = x.type.rank - len(shape)
    axes = tuple(a for a, s in enumerate(x.type.shape) if s != 1 and (a < extra or shape[a - extra] == 1))
    return reshape(b, sum_over(b, x, axes, keep=True), shape)


def broadcast_to(b: Builder, x: Value, shape: tuple[Dim, ...]) -> Value:
    """x stretched to shape; x itself when it has it already."""
    return x if x.type.shape == shape else b.emit(Broadcast(shape), x)


@layer()
def repeat(b: Builder, x: Value, times: Count) -> Value:
    """The same features at every one of `times` steps: what a decoder reads. (Keras: RepeatVector.)

    x        [features]
    returns  [times, features]
    """
    first = 1 if x.type.batched else 0
    rest = x.type.shape[first:]
    single = reshape(b, x, (*x.type.shape[:first], 1, *rest))
    return b.emit(Broadcast((*x.type.shape[:first], times, *rest)), single, name="repeat")
