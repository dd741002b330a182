"""Sequences of different lengths in one batch: what stands behind a sequence's end must not reach any result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Cotangents,
    DType,
    Moving,
    Operator,
    Sample,
    Stepper,
    Streamed,
    TensorType,
    TypeRuleError,
    Value,
    operator,
)
from graphdsl.report import dataclass


@operator("step_mask")
@dataclass(frozen=True)
class StepMask(Operator):
    """x with the steps behind each sequence's end replaced by a number.

    x        [batch, ..., steps, ...], the steps on the given axis
    lengths  int32 [batch], how many steps are real
    returns  the shape and kind of x

    What is replaced does not matter at all, not even infinity or NaN: it is chosen away, not multiplied by 0.
    """

    axis: int = 1
    fill: float = 0.0

    def type(self, x: TensorType, lengths: TensorType) -> TensorType:  # type: ignore[override]
        if not 0 < self.axis < x.rank:
            raise TypeRuleError(f"axis {self.axis} cannot hold the steps of {x}", operand=0)
        if lengths.shape != x.shape[:1] or lengths.dtype.is_float:
            raise TypeRuleError(f"lengths are whole numbers, one a sample; got {lengths}", operand=1)
        return x

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,) = d
        return (b.emit(StepMask(self.axis), dy, inputs[1]) if dy else None, None)

    def reference(self, x: Array, lengths: Array) -> Array:  # type: ignore[override]
        real = np.arange(x.shape[self.axis]) < lengths[:, None]
        between, behind = (1,) * (self.axis - 1), (1,) * (x.ndim - self.axis - 1)
        return np.where(real.reshape(len(x), *between, -1, *behind), x, x.dtype.type(self.fill))

    def simplify(self, b: Builder, inputs: tuple[Value, ...]) -> Value | None:
        x, lengths = inputs
        masked = b.operation(x) == self and b.operands(x)[1] == lengths
        return x if masked else None

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        """Nothing: whoever goes step by step makes only steps that exist."""
        return ((operands[0].value, operands[0].axis),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        lengths = np.array([3, 0, 5, 1], np.int32)
        sequences = np.linspace(-2.0, 2.0, 4 * 5 * 2).reshape(4, 5, 2)
        pictures = np.linspace(-2.0, 2.0, 4 * 2 * 5).reshape(4, 2, 5, 1)
        return [
            Sample(cls(), (sequences, lengths)),
            Sample(cls(fill=-7.0), (sequences, lengths)),
            Sample(cls(axis=2), (pictures, lengths)),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        lengths = TensorType((4,), DType.INT32)
        return [BadSample(cls(), (TensorType((4,)), lengths)), BadSample(cls(), (TensorType((3, 5)), lengths))]


def mask_steps(b: Builder, x: Value, fill: float = 0.0, axes: tuple[int, ...] | None = None) -> Value:
    """x with fill in place of the steps behind each sequence's end; x itself where every size is known.

    axes  those that are masked where they are free; None: all between batch and features
    """
    for axis in range(1, x.type.rank - 1) if axes is None else axes:
        lengths = b.lengths(x.type.shape[axis])
        if lengths is not None:
            x = b.emit(StepMask(axis, fill), x, lengths, name="mask")
    return x
