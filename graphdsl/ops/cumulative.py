"""Running sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Cotangents,
    Dim,
    Flag,
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
from graphdsl.ops.elementwise import formula
from graphdsl.ops.mask import mask_steps
from graphdsl.ops.shape import written_axis
from graphdsl.ops.window import demand_float
from graphdsl.report import dataclass


@operator("cumulative_sum")
@dataclass(frozen=True)
class CumulativeSum(Operator):
    """The sum of all elements up to each one, along an axis counted from 0, the batch axis.

    x          any shape
    reverse    from the end
    exclusive  without the element itself
    returns    the same shape
    """

    axis: int
    reverse: bool = False
    exclusive: bool = False

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        if not 0 <= self.axis < x.rank or not x.dtype.is_float:
            raise TypeRuleError(f"a running sum along axis {self.axis} of {x}", operand=0)
        return TensorType(x.shape, x.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,) = d
        return (b.emit(CumulativeSum(self.axis, not self.reverse, self.exclusive), dy) if dy else None,)

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        along = np.moveaxis(np.flip(x, self.axis) if self.reverse else x, self.axis, 0)
        y = np.cumsum(along, axis=0, dtype=x.dtype)
        if self.exclusive:
            y = np.concatenate([np.zeros_like(y[:1]), y[:-1]])
        y = np.moveaxis(y, 0, self.axis)
        return np.ascontiguousarray(np.flip(y, self.axis) if self.reverse else y)

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        (x,) = operands
        if x.axis != self.axis:
            return s.apart(self, x, axis=x.axis)
        if self.reverse:
            raise TypeRuleError("a sum from the end begins with the last step", operand=0)
        before = s.state("sum", x.value.type.shape, x.value.type.dtype)
        total = formula(s.b, lambda a, c: a + c, before, x.value, title="running_sum")
        s.carry(before, total)
        return ((before if self.exclusive else total, x.axis),)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[0].count

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.sin(np.arange(24.0) * 5).reshape(2, 3, 4)
        ops = [cls(1), cls(2, reverse=True), cls(1, exclusive=True), cls(1, True, True)]
        return [Sample(op, (x,), torch=_torch(op)) for op in ops]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls(2), (TensorType((2, 3)),))]


def _torch(op: CumulativeSum) -> Callable[..., Any]:
    def run(torch: Any, x: Any) -> Any:
        read = x.flip(op.axis) if op.reverse else x
        y = read.cumsum(op.axis) - (read if op.exclusive else 0)
        return y.flip(op.axis) if op.reverse else y

    return run


@layer()
def cumsum(b: Builder, x: Value, axis: int = 0, *, reverse: Flag = False, exclusive: Flag = False) -> Value:
    """The sum of all numbers up to each one: 1 2 3 becomes 1 3 6.

    x          any shape; of a sequence only the real steps count, and the others become 0
    axis       counted without the batch axis
    reverse    from the end: 6 5 3
    exclusive  without the number itself: 0 1 3
    returns    the same shape
    """
    demand_float("cumsum", x.type)
    place = written_axis(x.type, axis)
    total = b.emit(CumulativeSum(place, reverse, exclusive), mask_steps(b, x, 0.0, (place,)), name="cumsum")
    return mask_steps(b, total, 0.0, (place,))
