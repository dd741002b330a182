"""Whole axes become one number: the largest, and the layers reduce_sum, reduce_mean, reduce_max.

Steps behind a sequence's end count for nothing: not in a sum, not in a mean's divisor, never as the largest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, ClassVar

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Cotangents,
    Dim,
    Flag,
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
from graphdsl.ops import expression as e
from graphdsl.ops.elementwise import formula
from graphdsl.ops.mask import mask_steps
from graphdsl.ops.reduce import DimNumber, sum_over
from graphdsl.ops.shape import reshape, written_axis
from graphdsl.ops.window import demand_float
from graphdsl.report import dataclass

LOWEST = -3.0e38
"""Below every float32 that a network holds; infinity would turn into NaN where it meets a 0."""


@operator("max")
@dataclass(frozen=True)
class Max(Operator):
    """The largest over axes, which stay with size 1. Counted from 0, the batch axis.

    x        any shape
    returns  the same with 1 in place of each axis

    Several that are equally large share the gradient equally. NaN wins.
    """

    axes: tuple[int, ...]
    fusion: ClassVar[Fusion] = Fusion.REDUCTION

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        if any(not 0 <= a < x.rank for a in self.axes):
            raise TypeRuleError(f"max over axes {self.axes} of a tensor with {x.rank}", operand=0)
        return TensorType(tuple(1 if a in self.axes else s for a, s in enumerate(x.shape)), x.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,), (x,), (y,) = d, inputs, outputs
        if dy is None:
            return (None,)
        winner = formula(b, lambda v, top: e.where(e.equal(v, top), 1, 0), x, y, title="winner")
        count = sum_over(b, winner, self.axes, keep=True)
        return (formula(b, lambda w, n, g: w / n * g, winner, count, dy, title="max_gradient"),)

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        return np.asarray(x.max(axis=self.axes, keepdims=True))

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        (x,) = operands
        s.demand_apart(x, self.axes, "the largest is sought among")
        return s.apart(self, x, axis=x.axis)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[0].count

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.sin(np.arange(24.0) * 5).reshape(2, 3, 4)
        return [Sample(cls(axes), (x,), torch=_torch_max(axes)) for axes in ((1,), (1, 2), (0, 1, 2))]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls((2,)), (TensorType((2, 3)),))]


def _torch_max(axes: tuple[int, ...]) -> Callable[..., Any]:
    return lambda torch, x: torch.amax(x, axes, keepdim=True)


def real_count(b: Builder, x: Value, axes: tuple[int, ...]) -> Value:
    """How many numbers there are along these axes of each sample: a scalar, or [batch, 1, …] where lengths differ."""
    total = _steps(b, x, axes)
    known = prod((x.type.shape[a] for a in axes if b.lengths(x.type.shape[a]) is None), start=1)
    size = b.emit(DimNumber(known, x.type.dtype), name="count")
    return size if total is None else formula(b, lambda n, s: n * s, total, size, title="count")


def _steps(b: Builder, x: Value, axes: tuple[int, ...]) -> Value | None:
    """How many steps of each sample are real along those of the axes that are free: int32 [batch, 1, …]."""
    total: Value | None = None
    for axis in axes:
        lengths = b.lengths(x.type.shape[axis])
        if lengths is not None:
            steps = reshape(b, lengths, (lengths.type.shape[0], *(1,) * (x.type.rank - 1)))
            total = steps if total is None else formula(b, lambda p, q: p * q, total, steps, title="count")
    return total


# --- layers ----------------------------------------------------------------------------------------------------------

Axes = tuple[int, ...] | None


@layer()
def reduce_sum(b: Builder, x: Value, axes: Axes = None, *, keep: Flag = False) -> Value:
    """The sum over axes: `reduce_sum(0)` over the first, `reduce_sum([0, 1])` over two.

    x        any shape; of a sequence only the real steps count
    axes     counted without the batch axis, -1 is the features; none: all of them
    keep     whether they stay with size 1 instead of vanishing
    returns  the other axes
    """
    places = places_of("reduce_sum", x, axes)
    return sum_over(b, mask_steps(b, x, 0.0, places), places, keep=keep)


@layer()
def reduce_mean(b: Builder, x: Value, axes: Axes = None, *, keep: Flag = False) -> Value:
    """The mean over axes: `reduce_mean(0)` over the first, `reduce_mean([0, 1])` over two.

    x        any shape; of a sequence only the real steps count, and one without any gives 0
    axes     counted without the batch axis, -1 is the features; none: all of them
    keep     whether they stay with size 1 instead of vanishing
    returns  the other axes
    """
    places = places_of("reduce_mean", x, axes)
    total = sum_over(b, mask_steps(b, x, 0.0, places), places, keep=True)
    count = real_count(b, x, places)
    mean = formula(b, lambda s, n: s / e.maximum(n, 1), total, count, title="mean")
    return mean if keep else without(b, mean, places)


@layer()
def reduce_max(b: Builder, x: Value, axes: Axes = None, *, keep: Flag = False) -> Value:
    """The largest over axes: `reduce_max(0)` over the first, `reduce_max([0, 1])` over two.

    x        any shape; of a sequence only the real steps count
    axes     counted without the batch axis, -1 is the features; none: all of them
    keep     whether they stay with size 1 instead of vanishing
    returns  the other axes

    A sequence without steps gives 0. Several that are equally large share the gradient equally.
    """
    places = places_of("reduce_max", x, axes)
    largest = b.emit(Max(places), mask_steps(b, x, LOWEST, places)) if places else x
    steps = _steps(b, x, places)
    if steps is not None:
        largest = formula(b, lambda v, n: e.where(n > 0, v, 0), largest, steps, title="no_steps")
    return largest if keep else without(b, largest, places)


def places_of(title: str, x: Value, axes: Axes) -> tuple[int, ...]:
    """The axes, counted with the batch axis. Raises TypeRuleError."""
    demand_float(title, x.type)
    if axes is None:
        return tuple(range(1 if x.type.batched else 0, x.type.rank))
    return tuple(sorted({written_axis(x.type, a, "axes") for a in axes}))


def without(b: Builder, x: Value, axes: tuple[int, ...]) -> Value:
    """x without these axes, which have size 1."""
    return reshape(b, x, tuple(s for a, s in enumerate(x.type.shape) if a not in axes))
