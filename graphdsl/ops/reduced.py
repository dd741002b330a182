"""Sums of formulas: what is summed is computed on the way and never written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from graphdsl.ir import Array, BadSample, Dim, DType, Fusion, Operator, Sample, TensorType, TypeRuleError, operator
from graphdsl.ops import expression as e
from graphdsl.ops.elementwise import broadcast
from graphdsl.ops.expression import Expression, Operand
from graphdsl.report import dataclass


@operator("reduced")
@dataclass(frozen=True)
class Reduced(Operator):
    """Sums over axes of formulas of the same operands, read once. The axes stay with size 1.

    operands  any shapes that broadcast as NumPy's do, one of them float at least; every formula is over their common
              shape
    returns   for each formula the common shape with 1 in place of each axis; an empty axis sums to 0

        x ─┐                                        x ─┐             Σ g
        m ─┼─ product (x - m) * g ── sum     =>     m ─┼─ reduced ──┤
        g ─┴─ sum                                   g ─┘             Σ (x - m) * g

    formulas  over the operands by number; parts that several share are computed once
    arity     how many operands there are
    """

    axes: tuple[int, ...]
    formulas: tuple[Expression, ...]
    arity: int
    fusion: ClassVar[Fusion] = Fusion.REDUCTION

    def type(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        if len(inputs) != self.arity or not inputs:
            raise TypeRuleError(f"{self.name} takes {self.arity} tensors, got {len(inputs)}")
        shape = broadcast(self.name, [t.shape for t in inputs])
        if any(not 0 <= a < len(shape) for a in self.axes):
            raise TypeRuleError(f"sums over axes {self.axes} of a tensor with {len(shape)}")
        floats = [t.dtype for t in inputs if t.dtype.is_float]
        if not floats:
            raise TypeRuleError("sums of formulas give floats: one operand is of floats at least")
        dtype = max(floats, key=lambda d: d.size)
        kept = TensorType(tuple(1 if a in self.axes else s for a, s in enumerate(shape)), dtype)
        return (kept,) * len(self.formulas)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        types = [DType(a.dtype.name) for a in arrays]
        dtype = max((t for t in types if t.is_float), key=lambda d: d.size).numpy
        each = (np.broadcast_to(e.compute(tree, arrays), shape).astype(dtype) for tree in self.formulas)
        return tuple(np.asarray(a.sum(axis=self.axes, keepdims=True, dtype=dtype)) for a in each)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        count: Dim = 1
        for size in broadcast(self.name, [t.shape for t in inputs]):
            count = count * size
        return count * (len(self.formulas) + e.work_of_all(self.formulas))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x, g = np.sin(1.7 * np.arange(60.0)).reshape(3, 5, 4), np.cos(2.3 * np.arange(60.0)).reshape(3, 5, 4)
        mean, row = np.linspace(-0.5, 0.5, 4).reshape(1, 1, 4), np.linspace(-1, 1, 12).reshape(3, 1, 4)
        a, c, d = (Operand(i) for i in range(3))
        norm = (c, (a - d) * c)
        return [
            Sample(cls((0, 1), norm, 3), (x, g, mean)),
            Sample(cls((0, 1), (e.where(a > 0, c, 0), e.where(a > 0, c, 0) * (a - d)), 3), (x, row, mean)),
            Sample(cls((1,), (e.exp(a), a), 1), (x,)),
            Sample(cls((2,), (a * c,), 2), (x, g)),
            Sample(cls((0, 1, 2), ((a - c) * (a - c), abs(a)), 2), (x, g)),
            Sample(cls((0, 1, 2), (e.where(c, a * a, 0),), 2), (x, np.array(True))),
            Sample(cls((0,), (a,), 1), (np.zeros((0, 4)),)),
            Sample(cls((1,), (e.where(e.equal(a, c), 1, 0),), 2), (np.array([[2], [0]], np.int32), np.arange(3.0))),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        x, product = TensorType((2, 3)), (Operand(0) * Operand(1),)
        return [
            BadSample(cls((2,), product, 2), (x, x)),
            BadSample(cls((0,), product, 2), (x,)),
            BadSample(cls((0,), product, 2), (x, TensorType((2, 4)))),
            BadSample(cls((0,), product, 2), (x.with_dtype(DType.BOOL), x.with_dtype(DType.INT32))),
        ]
