"""Mean and variance: what batch normalisation asks of a tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Cotangents,
    Dim,
    Operator,
    Sample,
    TensorType,
    TypeRuleError,
    Value,
    operator,
)
from graphdsl.ops.elementwise import formula
from graphdsl.ops.reduce import DimNumber, broadcast_to
from graphdsl.report import dataclass


@operator("moments")
@dataclass(frozen=True)
class Moments(Operator):
    """Mean and biased variance over axes, which stay with size 1. Counted from 0, the batch axis.

    x        any shape
    returns  mean and variance, both the shape of x with 1 in place of each axis

    The variance is the mean of (x - mean)², never of x² - mean²: nothing cancels. Over nothing both are NaN.
    """

    axes: tuple[int, ...]

    def type(self, x: TensorType) -> tuple[TensorType, TensorType]:  # type: ignore[override]
        if not self.axes or any(not 0 <= a < x.rank for a in self.axes):
            raise TypeRuleError(f"statistics over axes {self.axes} of {x}", operand=0)
        kept = TensorType(tuple(1 if a in self.axes else s for a, s in enumerate(x.shape)), x.dtype)
        return kept, kept

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (x,), (mean, _), (dmean, dvariance) = inputs, outputs, d
        count = counted(b, x, self.axes)
        share = None if dmean is None else formula(b, lambda dm, n: dm / n, dmean, count, title="share")
        if dvariance is None:
            return (None if share is None else broadcast_to(b, share, x.type.shape),)
        slope = formula(b, lambda dv, n: 2 * dv / n, dvariance, count, title="slope")
        if share is None:
            return (formula(b, lambda v, m, s: (v - m) * s, x, mean, slope, title="moments_gradient"),)
        return (formula(b, lambda v, m, s, t: (v - m) * s + t, x, mean, slope, share, title="moments_gradient"),)

    def reference(self, x: Array) -> tuple[Array, Array]:  # type: ignore[override]
        with np.errstate(all="ignore"):
            count = x.dtype.type(prod(x.shape[a] for a in self.axes))
            mean = x.sum(self.axes, keepdims=True) / count
            centred = x - mean
            return mean, (centred * centred).sum(self.axes, keepdims=True) / count

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[0].count * 4

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.sin(1.7 * np.arange(60.0)).reshape(3, 5, 4)
        far = 1 + x.reshape(15, 4) / 8
        return [
            *(Sample(cls(axes), (x,), torch=_torch(axes)) for axes in ((0, 1), (0,), (2,))),
            Sample(cls((0,)), (far,), torch=_torch((0,))),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        x = TensorType((3, 5, 4))
        return [BadSample(cls(()), (x,)), BadSample(cls((3,)), (x,))]


def counted(b: Builder, x: Value, axes: tuple[int, ...]) -> Value:
    """Over how many numbers these axes go, as a number of the dtype of x."""
    return b.emit(DimNumber(prod((x.type.shape[a] for a in axes), start=1), x.type.dtype), name="count")


def _torch(axes: tuple[int, ...]) -> Callable[..., Any]:
    def run(torch: Any, x: Any) -> Any:
        variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
        return mean, variance

    return run
