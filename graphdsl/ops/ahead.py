"""A formula and the operator that reads its result first, as one operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from graphdsl.ir import Array, BadSample, Dim, Operator, Sample, TensorType, TypeRuleError, operator
from graphdsl.ops import expression as e
from graphdsl.ops.conv import Conv, ConvInputGradient
from graphdsl.ops.elementwise import Elementwise
from graphdsl.ops.expression import Operand
from graphdsl.ops.fused import Fused, FusedMoments, FusedSums, title
from graphdsl.report import dataclass

T = TypeVar("T")


@operator("ahead")
@dataclass(frozen=True)
class Ahead(Operator):
    """A formula, and an operator that reads its result: worked out just before it is read, and kept for others.

        y ── max(y * a + b, 0) ── x ─┬─ conv            y, a, b ── ahead ─┬─ x
                                     └─ …         =>      kernel          └─ conv

    operands  those of the formula, then those of the consumer without number place
    returns   x, the formula's result; then the consumer's results

    place     which operand of the consumer x is

    Means exactly what the two mean one after another; a machine that has no kernel for both runs the parts.
    """

    formula: Elementwise
    consumer: Operator
    place: int

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.formula.title}+{title(self.consumer)}"

    def split(self, given: Sequence[T]) -> tuple[tuple[T, ...], tuple[T, ...]]:
        """The operands of the formula, and those of the consumer without x."""
        return tuple(given[: self.formula.arity]), tuple(given[self.formula.arity :])

    def placed(self, x: T, others: Sequence[T]) -> tuple[T, ...]:
        """The operands of the consumer."""
        return (*others[: self.place], x, *others[self.place :])

    def type(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        first, others = self.split(inputs)
        if not 0 <= self.place <= len(others):
            raise TypeRuleError(f"{self.title} got {len(inputs)} tensors")
        x = self.formula.type(*first)
        made = self.consumer.type(*self.placed(x, others))
        return x, *(made if isinstance(made, tuple) else (made,))

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        first, others = self.split(arrays)
        x = self.formula.reference(*first)
        made = self.consumer.reference(*self.placed(x, others))
        return x, *(made if isinstance(made, tuple) else (made,))

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        first, others = self.split(inputs)
        own = self.formula.flops(first, outputs[:1])
        return own + self.consumer.flops(self.placed(outputs[0], others), outputs[1:])

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        y, kernel, factor = _wave((2, 4, 5, 2), 1.7), _wave((3, 2, 2, 3), 2.3), np.array([0.5, -0.5])
        skip, mask = _wave((2, 4, 5, 3), 3.1), _wave((2, 4, 5, 2), 0.7)
        a, b, c = (Operand(i) for i in range(3))
        norm = Elementwise(e.maximum(a * b + 0.1, 0), 2, title="batch_norm+relu")
        share = Elementwise(a * b + c, 3, title="batch_norm_gradient")
        plain = Conv((1, 1), ((1, 1), (0, 1)), (1, 1), 1)
        wide = Conv((2, 2), ((1, 1), (0, 1)), (1, 1), 1)
        back = ConvInputGradient(plain.stride, plain.pad, plain.dilation, plain.groups, (4, 5))
        masked = Fused(back, Elementwise(e.where(b > 0, a, 0), 2, title="relu_gradient"), 0)
        return [
            Sample(cls(norm, plain, 0), (y, factor, kernel)),
            Sample(cls(norm, FusedMoments(wide), 0), (y, factor, kernel)),
            Sample(cls(norm, Fused(plain, Elementwise(a + b, 2, title="add"), 0), 0), (y, factor, kernel, skip)),
            Sample(cls(share, FusedSums(masked, (a, a * b), 2), 0), (skip, factor[:1], skip, kernel, mask, mask)),
            Sample(cls(Elementwise(a * b, 2), plain, 1), (kernel, np.array(0.3), y)),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        relu = Elementwise(e.maximum(Operand(0), 0), 1, title="relu")
        conv = Conv((1, 1), ((0, 0), (0, 0)), (1, 1), 1)
        x, kernel = TensorType((2, 4, 5, 2)), TensorType((3, 2, 2, 3))
        return [
            BadSample(cls(relu, conv, 0), (x, TensorType((3, 2, 4, 3)))),
            BadSample(cls(relu, conv, 3), (x, kernel)),
        ]


def _wave(shape: tuple[int, ...], speed: float) -> Array:
    return np.asarray(np.sin(speed * np.arange(np.prod(shape)))).reshape(shape)
