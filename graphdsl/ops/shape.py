"""The same numbers in other shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from graphdsl.ir import (
    PLAIN,
    Array,
    BadSample,
    Builder,
    Cotangents,
    Dim,
    Fusion,
    Operator,
    Sample,
    TensorType,
    TypeRuleError,
    Value,
    operator,
)


@operator("reshape")
@dataclass(frozen=True)
class Reshape(Operator):
    """The same numbers, in row order, under another shape. Nothing moves in memory.

    x        any shape
    returns  shape, of as many numbers; the kind stays where the last axis stays
    """

    shape: tuple[Dim, ...]
    fusion: ClassVar[Fusion] = Fusion.VIEW

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        made = TensorType(self.shape, x.dtype)
        if made.count != x.count:
            raise TypeRuleError(
                f"reshape keeps the count of numbers: {x.describe()} has {x.count}, {made.describe()} has {made.count}",
                operand=0,
            )
        same = bool(x.shape and self.shape) and x.shape[-1] == self.shape[-1]
        return made.with_kind(x.kind if same or x.kind.name == "indices" else PLAIN)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,) = d
        return (reshape(b, dy, inputs[0].type.shape) if dy else None,)

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        return x.reshape(self.shape)  # type: ignore[arg-type]

    def simplify(self, b: Builder, inputs: tuple[Value, ...]) -> Value | None:
        (x,) = inputs
        if x.type.shape == self.shape:
            return x
        inner = b.operation(x)
        return reshape(b, b.operands(x)[0], self.shape) if isinstance(inner, Reshape) else None

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [Sample(cls((4, 6)), (np.arange(24.0).reshape(2, 3, 4),), torch=lambda torch, x: x.reshape(4, 6))]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls((5,)), (TensorType((2, 3)),))]


def reshape(b: Builder, x: Value, shape: tuple[Dim, ...]) -> Value:
    """x under another shape; x itself when it has it already."""
    return x if x.type.shape == shape else b.emit(Reshape(shape), x)
