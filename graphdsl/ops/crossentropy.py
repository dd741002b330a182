"""Cross-entropies of probabilities, and the stable forms that they become where the scores are at hand.

    scores -> softmax -> p ─┐                          scores ─┐
                            ├─> crossentropy    =>             ├─> softmax_crossentropy
                       t ───┘                             t ───┘

Taken apart, a probability that rounds to 0 has no logarithm; taken together nothing can overflow and the gradient is
p - t. The graph as written keeps them apart, so that pictures show what the spec says; `simplify` joins them. It must
run before gradients are taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphdsl.ir import (
    PROBABILITIES,
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
)
from graphdsl.ir import operator as registered
from graphdsl.ops import expression as e
from graphdsl.ops.elementwise import Elementwise, formula
from graphdsl.ops.expression import Operand
from graphdsl.ops.reduce import sum_over
from graphdsl.ops.shape import reshape
from graphdsl.ops.softmax import Softmax
from graphdsl.report import dataclass

SMALLEST = 1e-7
"""What a probability is at least before its logarithm is taken."""
TINY = 1e-37
"""The same for a probability just computed from its scores: the smallest that float32 holds in full."""


@registered("categorical_crossentropy")
@dataclass(frozen=True)
class CategoricalCrossentropy(Operator):
    """- sum t log p over the last axis.

    p        [..., classes], probabilities; those below 1e-7 count as 1e-7 and get no gradient
    t        the same shape: the truth
    returns  [...]
    """

    def type(self, p: TensorType, t: TensorType) -> TensorType:  # type: ignore[override]
        return _rows(self.name, p, t)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (p, t), (dy,) = inputs, d
        if dy is None:
            return None, None
        rows = reshape(b, dy, (*dy.type.shape, 1))
        title = "crossentropy_gradient"
        dp = formula(b, lambda p, t, g: e.where(p > SMALLEST, -t / p * g, 0), p, t, rows, title=title)
        return dp, formula(b, lambda p, g: -e.log(e.maximum(p, SMALLEST)) * g, p, rows, title=title)

    def reference(self, p: Array, t: Array) -> Array:  # type: ignore[override]
        return np.asarray(-(t * np.log(np.maximum(p, p.dtype.type(SMALLEST)))).sum(axis=-1))

    def simplify(self, b: Builder, inputs: tuple[Value, ...]) -> Value | None:
        p, t = inputs
        return b.emit(SoftmaxCrossentropy(), *b.operands(p), t) if isinstance(b.operation(p), Softmax) else None

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[0].count * 3

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        p = Softmax().reference(np.sin(np.arange(12.0) * 5).reshape(2, 2, 3))
        t = Softmax().reference(np.cos(np.arange(12.0) * 3).reshape(2, 2, 3))
        return [
            Sample(cls(), (p, t), torch=lambda torch, p, t: -(t * p.log()).sum(-1)),
            Sample(cls(), (np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])), smooth=(1,)),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls(), (TensorType((2, 3)), TensorType((2, 4))))]


@registered("softmax_crossentropy")
@dataclass(frozen=True)
class SoftmaxCrossentropy(Operator):
    """- sum t log softmax(x) over the last axis, from the scores x. No overflow.

    x        [..., classes], scores
    t        the same shape: the truth
    returns  [...]
    """

    def type(self, x: TensorType, t: TensorType) -> TensorType:  # type: ignore[override]
        return _rows(self.name, x, t)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (x, t), (dy,) = inputs, d
        if dy is None:
            return None, None
        rows = reshape(b, dy, (*dy.type.shape, 1))
        p = b.emit(Softmax(), x)
        title = "crossentropy_gradient"
        if t.type.kind == PROBABILITIES:
            dx = formula(b, lambda p, t, g: (p - t) * g, p, t, rows, title=title)
        else:
            total = sum_over(b, t, (t.type.rank - 1,), keep=True)
            dx = formula(b, lambda p, t, s, g: (p * s - t) * g, p, t, total, rows, title=title)
        return dx, formula(b, lambda p, g: -e.log(e.maximum(p, TINY)) * g, p, rows, title=title)

    def reference(self, x: Array, t: Array) -> Array:  # type: ignore[override]
        shifted = x - x.max(axis=-1, keepdims=True)
        total = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return np.asarray((t * (total - shifted)).sum(axis=-1))

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[0].count * 7

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.sin(np.arange(12.0) * 5).reshape(2, 2, 3) * 3
        t = np.cos(np.arange(12.0) * 3).reshape(2, 2, 3) ** 2
        certain = np.array([[200.0, -200.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])
        return [
            Sample(cls(), (x, t), torch=lambda torch, x, t: -(t * torch.log_softmax(x, -1)).sum(-1)),
            Sample(cls(), certain, smooth=(0,)),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls(), (TensorType((2, 3)), TensorType((2, 4))))]


@registered("binary_crossentropy")
@dataclass(frozen=True)
class BinaryCrossentropy(Operator):
    """- t log p - (1 - t) log(1 - p), element by element.

    p        any shape, probabilities; they count as between 1e-7 and 1 - 1e-7
    t        the same shape: the truth
    returns  the same shape

    Always simplifies to a formula: of the scores where p comes from a sigmoid, of p elsewhere.
    """

    @property
    def as_formula(self) -> Elementwise:
        """The same, of probabilities."""
        return Elementwise(_BINARY, 2, title=self.name)

    def type(self, p: TensorType, t: TensorType) -> TensorType:  # type: ignore[override]
        if p.shape != t.shape:
            raise TypeRuleError(f"{self.name} needs equal shapes, got {p} and {t}", operand=1)
        return TensorType(p.shape, p.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,) = d
        return self.as_formula.gradient(b, inputs, outputs, (dy,))

    def reference(self, p: Array, t: Array) -> Array:  # type: ignore[override]
        cut = np.clip(p, SMALLEST, 1 - SMALLEST)
        return np.asarray(-t * np.log(cut) - (1 - t) * np.log(1 - cut)).astype(p.dtype)

    def simplify(self, b: Builder, inputs: tuple[Value, ...]) -> Value | None:
        p, t = inputs
        op = b.operation(p)
        if isinstance(op, Elementwise) and op.tree == e.logistic(Operand(0)):
            (x,) = b.operands(p)
            return formula(b, lambda x, t: e.softplus(x) - t * x, x, t, title=self.name)
        return b.emit(self.as_formula, p, t)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[0].count * 7

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        p, t = np.linspace(0.02, 0.98, 12).reshape(3, 4), np.cos(np.arange(12.0)).reshape(3, 4) ** 2
        return [
            Sample(
                cls(),
                (p, t),
                torch=lambda torch, p, t: torch.nn.functional.binary_cross_entropy(p, t, reduction="none"),
            ),
            Sample(cls(), (np.array([0.0, 1.0]), np.array([1.0, 1.0])), smooth=()),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls(), (TensorType((2, 1)), TensorType((2,))))]


def _binary(p: e.Expression, t: e.Expression) -> e.Expression:
    cut = e.minimum(e.maximum(p, SMALLEST), 1 - SMALLEST)
    return -t * e.log(cut) - (1 - t) * e.log(1 - cut)


_BINARY = _binary(Operand(0), Operand(1))


def _rows(title: str, p: TensorType, t: TensorType) -> TensorType:
    if p.rank < 1 or p.shape != t.shape:
        raise TypeRuleError(f"{title} needs equal shapes, got {p} and {t}", operand=1)
    return TensorType(p.shape[:-1], p.dtype)
