"""Products of matrices, and the dense layer."""

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
    Count,
    Dim,
    Flag,
    Init,
    Moving,
    NonNegative,
    Operator,
    Sample,
    Stepper,
    Streamed,
    TensorType,
    TypeRuleError,
    Value,
    Zeros,
    layer,
    operator,
)
from graphdsl.ops.elementwise import formula
from graphdsl.ops.initializers import GlorotUniform
from graphdsl.ops.shape import reshape
from graphdsl.ops.window import demand_float
from graphdsl.report import dataclass

GLOROT = GlorotUniform()
ZEROS = Zeros()


@operator("matmul")
@dataclass(frozen=True)
class MatMul(Operator):
    """The product of two matrices, or of matrix after matrix along equal leading axes.

    a        [..., m, k], or [..., k, m] with transpose_a
    b        [..., k, n], or [..., n, k] with transpose_b
    returns  [..., m, n]; where k is 0, zeros
    """

    transpose_a: bool = False
    transpose_b: bool = False

    def type(self, a: TensorType, b: TensorType) -> TensorType:  # type: ignore[override]
        if a.rank < 2 or a.rank != b.rank or a.shape[:-2] != b.shape[:-2]:
            raise TypeRuleError(f"matmul needs matrices with equal leading axes, got {a} and {b}")
        m, inner = _turned(a.shape[-2:], self.transpose_a)
        other, n = _turned(b.shape[-2:], self.transpose_b)
        if inner != other:
            raise TypeRuleError(f"matmul of {m} by {inner} with {other} by {n}: the inner sizes differ", operand=1)
        return TensorType((*a.shape[:-2], m, n), a.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        x, y = inputs
        (dz,) = d
        if dz is None:
            return None, None
        dx = (
            b.emit(MatMul(self.transpose_b, True), y, dz)
            if self.transpose_a
            else b.emit(MatMul(False, not self.transpose_b), dz, y)
        )
        dy = (
            b.emit(MatMul(True, self.transpose_a), dz, x)
            if self.transpose_b
            else b.emit(MatMul(not self.transpose_a, False), x, dz)
        )
        return dx, dy

    def reference(self, a: Array, b: Array) -> Array:  # type: ignore[override]
        left = a.swapaxes(-1, -2) if self.transpose_a else a
        right = b.swapaxes(-1, -2) if self.transpose_b else b
        return np.asarray(left @ right)

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        a, c = operands
        rank = a.whole.rank
        s.demand_apart(a, [rank - 2 if self.transpose_a else rank - 1], "a product sums over")
        s.demand_apart(c, [rank - 1 if self.transpose_b else rank - 2], "a product sums over")
        pairs = [(a.axis, rank - 2), (c.axis, rank - 1)]
        axes = {axis if axis < rank - 2 else own for axis, own in pairs if axis is not None}
        if len(axes) > 1:
            raise TypeRuleError("a product of every step with every other needs them all")
        return s.apart(self, *operands, axis=axes.pop())

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return outputs[0].count * inputs[0].shape[-2 if self.transpose_a else -1] * 2

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        numbers = np.sin(np.arange(48.0))
        a, c = numbers[:12].reshape(3, 4), numbers[12:20].reshape(4, 2)
        many, others = numbers[:24].reshape(2, 3, 4), numbers[24:40].reshape(2, 4, 2)
        return [
            *(
                Sample(cls(s, t), (a.T if s else a, c.T if t else c), torch=_torch(s, t))
                for s in _FLAGS
                for t in _FLAGS
            ),
            Sample(cls(), (many, others), torch=_torch(False, False)),
            Sample(cls(True, True), (many.swapaxes(1, 2), others.swapaxes(1, 2)), torch=_torch(True, True)),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        a = TensorType((3, 4))
        return [
            BadSample(cls(), (a, a)),
            BadSample(cls(), (a, TensorType((4,)))),
            BadSample(cls(True), (a, a.with_shape((4, 3)))),
        ]


_FLAGS = (False, True)


def _turned(shape: tuple[Dim, ...], turn: bool) -> tuple[Dim, ...]:
    return shape[::-1] if turn else shape


def _torch(transpose_a: bool, transpose_b: bool) -> Callable[..., Any]:
    return lambda torch, a, b: (a.mT if transpose_a else a) @ (b.mT if transpose_b else b)


def batch_matmul(b: Builder, x: Value, y: Value, *, transpose_a: bool = False, transpose_b: bool = False) -> Value:
    """x [..., m, k] times y [..., k, n], sample by sample."""
    return b.emit(MatMul(transpose_a, transpose_b), x, y)


def project(b: Builder, x: Value, kernel: Value) -> Value:
    """The last axis of x [..., k] times kernel [k, n]: [..., n]. One product, however many axes there are."""
    rows = reshape(b, x, (prod(x.type.shape[:-1], start=1), x.type.channels))
    return reshape(b, b.emit(MatMul(), rows, kernel), (*x.type.shape[:-1], kernel.type.channels))


def add_bias(b: Builder, x: Value, init: Any = ZEROS) -> Value:
    """x plus a weight `bias`, one number a feature."""
    bias = b.weight("bias", (x.type.channels,), init)
    return formula(b, lambda x, c: x + c, x, bias, title="add_bias")


@layer()
def dense(
    b: Builder,
    x: Value,
    units: Count,
    *,
    bias: Flag = True,
    init: Init = GLOROT,
    bias_init: Init = ZEROS,
    l1: NonNegative = 0.0,
    l2: NonNegative = 0.0,
) -> Value:
    """Every result is a weighted sum of all features: x · kernel + bias.

    x        [features], or [time, features]: the same weights at every step
    returns  [units], or [time, units]

    units       how many results
    bias        whether there is a bias, one number a unit
    init        how the kernel begins; glorot_uniform unless given
    bias_init   how the bias begins; zeros unless given
    l1, l2      the loss grows by l1 * sum |kernel| + l2 * sum kernel²

    Weights: kernel [features, units], bias [units]; features * units + units parameters.

    E0301  x is a picture or has no features; put `flatten` or a global pool before, or write `conv(units, 1)`
    E0401  the number of features is known only at run time
    """
    _demand_features(x.type, units)
    kernel = b.weight("kernel", (x.type.channels, units), init, l1=l1, l2=l2)
    y = project(b, x, kernel)
    return add_bias(b, y, bias_init) if bias else y


def _demand_features(x: TensorType, units: int) -> None:
    demand_float("dense", x)
    if x.rank in (2, 3):
        return
    help = (
        f"put `flatten` or `global_avg_pool` before it, or write `conv({units}, 1)` to work on every pixel"
        if x.rank == 4
        else "give it float[features]; `reshape` can make that"
    )
    raise TypeRuleError(
        f"dense needs float[features] or float[time, features], got {x.describe()}", operand=0, help=help
    )
