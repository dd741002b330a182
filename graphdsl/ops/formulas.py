"""Several formulas of the same tensors, computed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import ClassVar

import numpy as np

from graphdsl.ir import Array, BadSample, Dim, DType, Fusion, Operator, Sample, TensorType, TypeRuleError, operator
from graphdsl.ops import expression as e
from graphdsl.ops.elementwise import broadcast
from graphdsl.ops.expression import Expression, Operand
from graphdsl.report import dataclass


@operator("formulas")
@dataclass(frozen=True)
class Formulas(Operator):
    """Formulas over the same operands, which are read once; parts that several share are computed once.

    operands  any shapes that broadcast as NumPy's do, one of them float at least
    returns   for each tree a tensor of the common shape, of the widest float among the operands

    A result may lie where an operand of its shape lay: all results of an element are computed before one is written.

    title  what people call it
    """

    trees: tuple[Expression, ...]
    arity: int
    title: str = field(default="formulas", compare=False)
    fusion: ClassVar[Fusion] = Fusion.ELEMENTWISE

    def type(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        if len(inputs) != self.arity:
            raise TypeRuleError(f"{self.title} takes {self.arity} tensors, got {len(inputs)}")
        floats = [t.dtype for t in inputs if t.dtype.is_float]
        if not floats or any(e.gives_truth(tree) for tree in self.trees):
            raise TypeRuleError("formulas that are computed together give floats")
        made = TensorType(broadcast(self.title, [t.shape for t in inputs]), max(floats, key=lambda d: d.size))
        return (made,) * len(self.trees)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        types = [DType(a.dtype.name) for a in arrays]
        dtype = max((t for t in types if t.is_float), key=lambda d: d.size).numpy
        return tuple(np.broadcast_to(e.compute(tree, arrays), shape).astype(dtype) for tree in self.trees)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return outputs[0].count * e.work_of_all(self.trees)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        w, g = np.sin(1.7 * np.arange(12.0)).reshape(3, 4), np.cos(2.3 * np.arange(12.0)).reshape(3, 4)
        m, rate, sound = g * w, np.array(0.1), np.array(True)
        a, c, d, r, ok = (Operand(i) for i in range(5))
        mean = 0.9 * d + 0.1 * e.where(ok, c, 0)
        return [
            Sample(cls((mean, a - r * mean), 5, "momentum"), (w, g, m, rate, sound)),
            Sample(cls((a + c, a - c, e.exp(a)), 2), (w, g[:, :1])),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        x, both = TensorType((2, 3)), (Operand(0) + Operand(1), Operand(0) - Operand(1))
        return [
            BadSample(cls(both, 2), (x,)),
            BadSample(cls(both, 2), (x, TensorType((2, 4)))),
            BadSample(cls((Operand(0) > Operand(1),), 2), (x, x)),
        ]
