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


@operator("broadcast")
@dataclass(frozen=True)
class Broadcast(Operator):
    """x repeated along the axes where it has size 1, and along new axes in front, until it has this shape."""

    shape: tuple[Dim, ...]

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        tail = self.shape[len(self.shape) - x.rank :]
        if x.rank > len(self.shape) or any(s not in (1, t) for s, t in zip(x.shape, tail, strict=True)):
            raise TypeRuleError(f"{x.describe()} does not stretch to {TensorType(self.shape).describe()}", operand=0)
        return TensorType(self.shape, x.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        from graphdsl.ops.reduce import sum_to

        (dy,) = d
        return (sum_to(b, dy, inputs[0].type.shape) if dy else None,)

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        return np.broadcast_to(x, self.shape)  # type: ignore[arg-type]

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.arange(6.0).reshape(2, 1, 3)
        return [Sample(cls((2, 4, 3)), (x,), torch=lambda torch, x: x.expand(2, 4, 3))]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls((4, 3)), (TensorType((2, 3)),))]


def reshape(b: Builder, x: Value, shape: tuple[Dim, ...]) -> Value:
    """x under another shape; x itself when it has it already."""
    return x if x.type.shape == shape else b.emit(Reshape(shape), x)


def broadcast_to(b: Builder, x: Value, shape: tuple[Dim, ...]) -> Value:
    """x stretched to shape; x itself when it has it already."""
    return x if x.type.shape == shape else b.emit(Broadcast(shape), x)
