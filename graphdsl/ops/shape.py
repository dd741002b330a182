"""The same numbers in other shapes and orders.

The language never writes the batch axis, so its axes are counted without it: axis 0 of `float[time, features]` is time,
axis -1 is always the features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Annotated, Any, ClassVar

import numpy as np

from graphdsl.ir import (
    PLAIN,
    Array,
    BadSample,
    Builder,
    Cotangents,
    Dim,
    Either,
    Fusion,
    Many,
    Moving,
    Operator,
    Sample,
    SizeDomain,
    Stepper,
    Streamed,
    Symbolic,
    TensorType,
    TypeRuleError,
    Value,
    Whole,
    layer,
    operator,
)
from graphdsl.report import dataclass


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
        return x.reshape(self.shape)

    def simplify(self, b: Builder, inputs: tuple[Value, ...]) -> Value | None:
        (x,) = inputs
        if x.type.shape == self.shape:
            return x
        inner = b.operation(x)
        return reshape(b, b.operands(x)[0], self.shape) if isinstance(inner, Reshape) else None

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        (x,) = operands
        axis = s.moved(x, self.shape)
        return s.apart(Reshape(s.single(s.whole[0], axis)), x, axis=axis)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [Sample(cls((4, 6)), (np.arange(24.0).reshape(2, 3, 4),), torch=lambda torch, x: x.reshape(4, 6))]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls((5,)), (TensorType((2, 3)),))]


def reshape(b: Builder, x: Value, shape: tuple[Dim, ...]) -> Value:
    """x under another shape; x itself when it has it already."""
    return x if x.type.shape == shape else b.emit(Reshape(shape), x)


@operator("transpose")
@dataclass(frozen=True)
class Transpose(Operator):
    """The axes in another order: axis i of the result is axis axes[i] of x. Counted from 0, the batch axis."""

    axes: tuple[int, ...]

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        if sorted(self.axes) != list(range(x.rank)):
            raise TypeRuleError(f"axes {self.axes} are not those of a tensor with {x.rank}", operand=0)
        stays = x.kind.name == "indices" or self.axes[-1:] == (x.rank - 1,)
        return TensorType(tuple(x.shape[a] for a in self.axes), x.dtype, x.kind if stays else PLAIN)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,) = d
        return (transposed(b, dy, tuple(int(a) for a in np.argsort(self.axes))) if dy else None,)

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        return x.transpose(self.axes)

    def simplify(self, b: Builder, inputs: tuple[Value, ...]) -> Value | None:
        (x,) = inputs
        inner = b.operation(x)
        if isinstance(inner, Transpose):
            return transposed(b, b.operands(x)[0], tuple(inner.axes[a] for a in self.axes))
        return x if self.axes == tuple(range(x.type.rank)) else None

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        (x,) = operands
        assert x.axis is not None
        return s.apart(self, x, axis=self.axes.index(x.axis))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.arange(24.0).reshape(2, 3, 4)
        thin = x[..., None]
        return [
            *(Sample(cls(a), (x,), torch=_torch_permute(a)) for a in ((0, 2, 1), (2, 0, 1), (0, 1, 2))),
            *(Sample(cls(a), (thin,), torch=_torch_permute(a)) for a in ((0, 2, 1, 3), (3, 1, 0, 2))),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls((0, 2)), (TensorType((2, 3)),))]


def _torch_permute(axes: tuple[int, ...]) -> Callable[..., Any]:
    return lambda torch, x: x.permute(axes)


def transposed(b: Builder, x: Value, axes: tuple[int, ...]) -> Value:
    """x with its axes in another order; x itself when the order is the same."""
    return x if axes == tuple(range(x.type.rank)) else b.emit(Transpose(axes), x)


def written_axis(x: TensorType, axis: int, attribute: str = "axis") -> int:
    """The place, among all axes of x, of one counted as the language does. Raises TypeRuleError E0305."""
    first = 1 if x.batched else 0
    written = x.rank - first
    if not -written <= axis < written:
        raise TypeRuleError(
            f"{x.describe()} has no axis {axis}",
            code="E0305",
            attribute=attribute,
            help=f"its axes are 0 to {written - 1}; -1 is the last"
            if written
            else "a single number has no axes; write `float[1]`",
        )
    return first + axis % written


# --- layers ----------------------------------------------------------------------------------------------------------

Shape = Annotated[tuple[int, ...], Either((SizeDomain(1, 2**31 - 1), Many(Whole(1))))]
"""`reshape(7x7x128)` or `reshape([7, 7, 128])`"""


@layer()
def flatten(b: Builder, x: Value) -> Value:
    """All features of a sample on one axis, in row order.

    x        any shape: [height, width, c]
    returns  [height * width * c]; a single number becomes [1]
    """
    sizes = x.type.shape[1:] if x.type.batched else x.type.shape
    count: Dim = 1
    for size in sizes:
        count = count * size
    return reshape(b, x, (*x.type.shape[: x.type.rank - len(sizes)], count))


@layer("reshape")
def reshape_layer(b: Builder, x: Value, shape: Shape) -> Value:
    """The same numbers, in row order, under another shape: `reshape(7x7x128)`.

    x        any shape; free dimensions in front stay: `float[T, 28, 28] -> reshape(784)` is `float[T, 784]`
    shape    of as many numbers
    """
    sizes = shape if isinstance(shape, tuple) else (shape,)
    kept = 0
    while kept < x.type.rank and isinstance(x.type.shape[kept], Symbolic):
        kept += 1
    whole = (*x.type.shape[:kept], *sizes)
    if prod(sizes) != TensorType(x.type.shape[kept:]).count:
        made = TensorType(whole, x.type.dtype, x.type.kind)
        raise TypeRuleError(
            f"reshape keeps the count of numbers: {x.type.describe()} has {_count(x.type, kept)}, "
            f"{made.describe()} would have {prod(sizes)}",
            code="E0305",
            attribute="shape",
        )
    return reshape(b, x, whole)


def _count(x: TensorType, kept: int) -> Dim:
    return TensorType(x.shape[kept:]).count


@layer()
def transpose(b: Builder, x: Value, axes: tuple[int, ...] = (1, 0)) -> Value:
    """The axes in another order: axis i of the result is axis axes[i] of x, counted without the batch axis.

    x        [time, features], or any other shape with all its axes named: `transpose([2, 0, 1])`
    returns  [features, time]
    """
    first = 1 if x.type.batched else 0
    order = tuple(written_axis(x.type, a, "axes") for a in axes)
    if sorted(order) != list(range(first, x.type.rank)):
        raise TypeRuleError(
            f"transpose needs each of the {x.type.rank - first} axes of {x.type.describe()} once",
            code="E0305",
            attribute="axes",
        )
    return transposed(b, x, (*range(first), *order))
