"""Scores become probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from graphdsl.ir import (
    PROBABILITIES,
    Array,
    BadSample,
    Builder,
    Cotangents,
    Dim,
    DType,
    Moving,
    Operator,
    Positive,
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
from graphdsl.ops.aggregate import LOWEST, Max
from graphdsl.ops.elementwise import formula
from graphdsl.ops.mask import mask_steps
from graphdsl.ops.reduce import sum_over
from graphdsl.ops.shape import transposed, written_axis
from graphdsl.ops.window import demand_float
from graphdsl.report import dataclass


@operator("softmax")
@dataclass(frozen=True)
class Softmax(Operator):
    """exp(x), divided by its sum over the last axis. No overflow: the largest is subtracted first."""

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        demand_float("softmax", x)
        if x.rank < 1:
            raise TypeRuleError("softmax needs features, got a single number", operand=0)
        return x.with_kind(PROBABILITIES)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,), (y,) = d, outputs
        if dy is None:
            return (None,)
        product = formula(b, lambda p, g: p * g, y, dy, title="softmax_gradient")
        total = sum_over(b, product, (y.type.rank - 1,), keep=True)
        return (formula(b, lambda p, g, s: p * (g - s), y, dy, total, title="softmax_gradient"),)

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        powers = np.exp(x - x.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        (x,) = operands
        s.demand_apart(x, [x.whole.rank - 1], "softmax compares")
        return s.apart(self, x, axis=x.axis)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[0].count * 5

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.sin(np.arange(24.0) * 5).reshape(2, 3, 4) * 3
        return [
            Sample(cls(), (x,), torch=lambda torch, x: torch.softmax(x, -1)),
            Sample(cls(), (x[0],), torch=lambda torch, x: torch.softmax(x, -1)),
            Sample(cls(), (x[0] * 100,), smooth=()),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls(), (TensorType(()),)), BadSample(cls(), (TensorType((2, 3), DType.INT32),))]


@layer()
def softmax(b: Builder, x: Value, *, temperature: Positive = 1.0, axis: int = -1) -> Value:
    """Scores become probabilities: exp(x / temperature), divided by its sum over the features.

    x            [features], or [..., features]
    temperature  above 1 evens the probabilities out, below 1 sharpens them
    axis         what is summed over, counted without the batch axis; -1: the features
    returns      the same shape; the features sum to 1

    Features behind the end of a sequence (`float[T] -> softmax`) get 0. With `categorical_crossentropy` after it, both
    are computed together, from the scores.
    """
    place = _place("softmax", x, axis)
    scores = x if temperature == 1 else formula(b, lambda v: v / temperature, x, title="temperature")
    return _over_last(b, mask_steps(b, scores, LOWEST, (place,)), place, lambda v: b.emit(Softmax(), v))


@layer()
def log_softmax(b: Builder, x: Value, *, axis: int = -1) -> Value:
    """The logarithm of the softmax, x - log(sum exp(x)), exact where probabilities are close to 0.

    x        [features], or [..., features]
    axis     what is summed over, counted without the batch axis; -1: the features
    returns  the same shape

    Features behind the end of a sequence do not count and get 0.
    """
    place = _place("log_softmax", x, axis)
    scores = mask_steps(b, x, LOWEST, (place,))
    less = formula(b, lambda v, m: v - m, scores, b.emit(Max((place,)), scores), title="below_the_largest")
    total = sum_over(b, formula(b, e.exp, less, title="exp"), (place,), keep=True)
    return mask_steps(b, formula(b, lambda v, s: v - e.log(s), less, total, title="log_softmax"), 0.0, (place,))


def _place(title: str, x: Value, axis: int) -> int:
    demand_float(title, x.type)
    if x.type.rank < 2:
        raise TypeRuleError(f"{title} needs features, got {x.type.describe()}", operand=0)
    return written_axis(x.type, axis)


def _over_last(b: Builder, x: Value, place: int, make: Callable[[Value], Value]) -> Value:
    """What make gives of x with this axis as the last one, in the order of x."""
    order = list(range(x.type.rank))
    order[place], order[-1] = order[-1], order[place]
    return transposed(b, make(transposed(b, x, tuple(order))), tuple(order))
