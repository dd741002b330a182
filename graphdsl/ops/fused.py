"""Operators made of operators: a producer, and what is done to its result before that leaves the processor.

    conv ── y ── max(y + bias, 0)            fused          the formula rides on the producer: y is never written
    conv ── y ── mean, variance              fused_moments  statistics are taken while y is written
    conv ── y ── Σ y * (x - m)               fused_sums     so are sums of formulas of y and other tensors
    conv ── y ── max_pool                    fused_pool     only the pooled y is written

A producer is any operator with one result, of floats: Conv, ConvInputGradient, MatMul; for the other three also Fused.
Each means exactly what its parts mean one after another; a machine that has no kernel for the whole runs the parts.
Passes put them where a machine asks for them; nothing differentiates them, for that has happened before.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from graphdsl.ir import Array, BadSample, Dim, Operator, Sample, TensorType, TypeRuleError, operator
from graphdsl.ops import expression as e
from graphdsl.ops.conv import Conv, ConvInputGradient
from graphdsl.ops.elementwise import Elementwise
from graphdsl.ops.expression import Expression, Operand
from graphdsl.ops.linear import MatMul
from graphdsl.ops.max_pool import MaxPool
from graphdsl.ops.moments import Moments
from graphdsl.ops.reduced import Reduced
from graphdsl.report import dataclass

T = TypeVar("T")


@dataclass(frozen=True)
class Producing(Operator):
    """What they share: the producer, which reads the first operands."""

    producer: Operator

    @property
    @abstractmethod
    def others(self) -> int:
        """How many operands come after those of the producer."""

    def split(self, given: Sequence[Array]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """The operands of the producer, and the others."""
        middle = len(given) - self.others
        return tuple(given[:middle]), tuple(given[middle:])

    def made(self, inputs: Sequence[TensorType]) -> TensorType:
        """The type of the producer's result."""
        made = self.producer.type(*inputs[: len(inputs) - self.others])
        if isinstance(made, tuple) or not made.dtype.is_float:
            raise TypeRuleError(f"{self.producer.name} is no producer: it needs one result, of floats")
        return made

    def produced(self, arrays: Sequence[Array]) -> Array:
        made = self.producer.reference(*arrays)
        assert not isinstance(made, tuple), "type has seen to it"
        return made


@operator("fused")
@dataclass(frozen=True)
class Fused(Producing):
    """A formula over the result of a producer, element by element.

    operands  those of the producer, then those of the formula without operand number place, in their order
    returns   the formula's result; its shape is that of the producer's

    formula   operand number place is the producer's result; the others broadcast to it and do not stretch it
    """

    formula: Elementwise
    place: int

    @property
    def others(self) -> int:
        return self.formula.arity - 1

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.producer.name}+{self.formula.title}"

    def type(self, *inputs: TensorType) -> TensorType:
        if not 0 <= self.place < self.formula.arity or len(inputs) <= self.others:
            raise TypeRuleError(f"{self.title} got {len(inputs)} tensors")
        made = self.made(inputs)
        found = self.formula.type(*self.placed(made, inputs[len(inputs) - self.others :]))
        if found.shape != made.shape:
            raise TypeRuleError(f"the formula would stretch {made} to {found}", operand=0)
        return found

    def placed(self, made: T, others: Sequence[T]) -> tuple[T, ...]:
        """The operands of the formula."""
        return (*others[: self.place], made, *others[self.place :])

    def reference(self, *arrays: Array) -> Array:
        first, others = self.split(arrays)
        return self.formula.reference(*self.placed(self.produced(first), others))

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        first = inputs[: len(inputs) - self.others]
        return self.producer.flops(first, outputs) + self.formula.flops(inputs, outputs)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x, kernel, bias = _wave((2, 4, 5, 2), 1.7), _wave((3, 2, 2, 3), 2.3), np.array([0.5, -0.5, 0.1])
        y, skip = _wave((2, 2, 4, 3), 0.9), _wave((2, 2, 4, 3), 3.1)
        a, c, d = (Operand(i) for i in range(3))
        relu = Elementwise(e.maximum(a + c, 0), 2, title="add_bias+relu")
        residual = Elementwise(e.maximum(a * c + d, 0), 3, title="residual")
        mask = Elementwise(e.where(a > 0, c, 0), 2, title="relu_gradient")
        plain = Conv((1, 1), ((0, 0), (0, 0)), (1, 1), 1)
        back = ConvInputGradient(plain.stride, plain.pad, plain.dilation, plain.groups, (4, 5))
        left, right = _wave((3, 4), 1.1), _wave((4, 2), 2.1)
        return [
            Sample(cls(plain, relu, 0), (x, kernel, bias)),
            Sample(cls(plain, residual, 0), (x, kernel, bias, skip)),
            Sample(cls(plain, residual, 2), (x, kernel, y, bias)),
            Sample(cls(back, mask, 1), (y, kernel, x)),
            Sample(cls(MatMul(), relu, 0), (left, right, bias[:2])),
            Sample(cls(MatMul(True, True), relu, 1), (left.T, right.T, np.float64(0.3).reshape(1, 1))),
            Sample(cls(MatMul(), Elementwise(e.tanh(a), 1), 0), (left, right)),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        add = Elementwise(Operand(0) + Operand(1), 2, title="add")
        left, right = TensorType((3, 4)), TensorType((4, 2))
        return [
            BadSample(cls(MatMul(), add, 0), (left, right, TensorType((5, 3, 2)))),
            BadSample(cls(MatMul(), add, 2), (left, right, TensorType((2,)))),
            BadSample(cls(Moments((0,)), add, 0), (left, TensorType((4,)))),
        ]


@operator("fused_moments")
@dataclass(frozen=True)
class FusedMoments(Producing):
    """A producer, and mean and biased variance of its result over all axes but the last.

    operands  those of the producer
    returns   y, the producer's result; mean and variance, the shape of y with 1 in place of each axis but the last
    """

    @property
    def others(self) -> int:
        return 0

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{title(self.producer)}+moments"

    def type(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        made = self.made(inputs)
        return made, *_moments(made.rank).type(made)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        y = self.produced(arrays)
        return y, *_moments(y.ndim).reference(y)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return self.producer.flops(inputs, outputs[:1]) + outputs[0].count * 4

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [Sample(cls(s.operator), s.arrays) for s in _convolved()]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls(Moments((0,))), (TensorType((3, 4)),))]


@operator("fused_sums")
@dataclass(frozen=True)
class FusedSums(Producing):
    """A producer, and sums over all axes but the last of formulas of its result and other tensors.

    operands  those of the producer, then arity - 1 others, which broadcast to its result
    returns   y, the producer's result; for each formula its sum, the shape of y with 1 in place of each axis but the
              last

    formulas  operand 0 is y, the others follow in order
    arity     how many operands the formulas have, y among them
    """

    formulas: tuple[Expression, ...]
    arity: int

    @property
    def others(self) -> int:
        return self.arity - 1

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{title(self.producer)}+sums"

    def type(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        made = self.made(inputs)
        sums = self.sums(made.rank).type(made, *inputs[len(inputs) - self.others :])
        if sums[0].shape != _moments(made.rank).type(made)[0].shape:
            raise TypeRuleError(f"the formulas would stretch {made}", operand=0)
        return made, *sums

    def sums(self, rank: int) -> Reduced:
        """The sums as an operator of their own."""
        return Reduced(tuple(range(rank - 1)), self.formulas, self.arity)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        first, others = self.split(arrays)
        y = self.produced(first)
        return y, *self.sums(y.ndim).reference(y, *others)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        first, others = inputs[: len(inputs) - self.others], inputs[len(inputs) - self.others :]
        own = self.sums(outputs[0].rank).flops([outputs[0], *others], outputs[1:])
        return self.producer.flops(first, outputs[:1]) + own

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        y, x, mean = (Operand(i) for i in range(3))
        found = []
        for s in _convolved():
            made = s.operator.reference(*s.arrays)
            assert not isinstance(made, tuple)
            other = _wave(made.shape, 1.3)
            op = cls(s.operator, (y, y * (x - mean)), 3)
            found.append(Sample(op, (*s.arrays, other, other.mean(tuple(range(other.ndim - 1))))))
        return found

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        left, right = TensorType((3, 4)), TensorType((4, 2))
        return [BadSample(cls(MatMul(), (Operand(0) * Operand(1),), 2), (left, right, TensorType((5, 3, 2))))]


@operator("fused_pool")
@dataclass(frozen=True)
class FusedPool(Producing):
    """A producer, and the maxima of windows of its result.

    operands  those of the producer
    returns   y and winner, as max_pool gives them
    """

    pool: MaxPool

    @property
    def others(self) -> int:
        return 0

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{title(self.producer)}+max_pool"

    def type(self, *inputs: TensorType) -> tuple[TensorType, TensorType]:
        return self.pool.type(self.made(inputs))

    def reference(self, *arrays: Array) -> tuple[Array, Array]:
        return self.pool.reference(self.produced(arrays))

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        made = self.made(inputs)
        return self.producer.flops(inputs, [made]) + self.pool.flops([made], outputs)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        pool = MaxPool((2, 2), (2, 2), ((0, 0), (0, 0)))
        padded = MaxPool((3, 2), (1, 2), ((1, 1), (0, 0)))
        return [Sample(cls(s.operator, p), s.arrays) for s in _convolved()[:2] for p in (pool, padded)]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        pool = MaxPool((2,), (2,), ((0, 0),))
        return [BadSample(cls(Moments((0,)), pool), (TensorType((3, 4, 2)),))]


def title(op: Operator) -> str:
    """What people call an operator."""
    return str(getattr(op, "title", op.name))


def _moments(rank: int) -> Moments:
    """Those over all axes but the last."""
    return Moments(tuple(range(rank - 1)))


# --- samples ---------------------------------------------------------------------------------------------------------


def _convolved() -> list[Sample]:
    """A convolution with and without a formula, and a product of matrices."""
    x, kernel = _wave((2, 4, 5, 2), 1.7), _wave((3, 2, 2, 3), 2.3)
    plain = Conv((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    bias = Fused(plain, Elementwise(Operand(0) + Operand(1), 2, title="add_bias"), 0)
    return [
        Sample(plain, (x, kernel)),
        Sample(bias, (x, kernel, np.array([0.5, -0.5, 0.1]))),
        Sample(MatMul(), (_wave((5, 4), 1.1), _wave((4, 2), 2.1))),
    ]


def _wave(shape: tuple[int, ...], speed: float) -> Array:
    return np.asarray(np.sin(speed * np.arange(np.prod(shape)))).reshape(shape)
