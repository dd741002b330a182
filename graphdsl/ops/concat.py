"""Putting tensors together and taking them apart: concat, slice, pad.

The three need each other: the gradient of concat is slices, that of slice is pad, that of pad is slice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np

from graphdsl.ir import (
    PLAIN,
    Array,
    BadSample,
    Builder,
    Cotangents,
    Dim,
    Either,
    Many,
    Moving,
    Operator,
    Sample,
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
from graphdsl.ops.shape import written_axis
from graphdsl.report import dataclass


@operator("concat")
@dataclass(frozen=True)
class Concat(Operator):
    """Tensors one after another along an axis, counted from 0, the batch axis.

    operands  equal in every other axis and in dtype
    returns   the same with the sum of the sizes along axis
    """

    axis: int

    def type(self, *inputs: TensorType) -> TensorType:
        if not inputs or any(not self.axis < t.rank for t in inputs):
            raise TypeRuleError("concat needs tensors that have the axis it joins", operand=0)
        _demand_alike(inputs, self.axis)
        total: Dim = 0
        for t in inputs:
            total = total + t.shape[self.axis]
        first = inputs[0]
        kind = first.kind if all(t.kind == first.kind for t in inputs) and self.axis < first.rank - 1 else PLAIN
        return TensorType((*first.shape[: self.axis], total, *first.shape[self.axis + 1 :]), first.dtype, kind)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,) = d
        return (
            tuple(pieces(b, dy, self.axis, [v.type.shape[self.axis] for v in inputs])) if dy else (None,) * len(inputs)
        )

    def reference(self, *arrays: Array) -> Array:
        return np.concatenate(arrays, axis=self.axis)

    def simplify(self, b: Builder, inputs: tuple[Value, ...]) -> Value | None:
        return inputs[0] if len(inputs) == 1 else None

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        axes = {o.axis for o in operands if o.axis is not None}
        if len(axes) > 1 or self.axis in axes:
            raise TypeRuleError("steps are joined that are not the same")
        (axis,) = axes
        rows = (o.value if o.axis is not None else s.row(o, axis) for o in operands)
        return ((s.b.emit(self, *rows), axis),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.arange(24.0).reshape(2, 3, 4)
        return [
            Sample(cls(2), (x, -x[:, :, :1], x + 1), torch=lambda torch, *xs: torch.cat(xs, 2)),
            Sample(cls(1), (x[:, :2], x), torch=lambda torch, *xs: torch.cat(xs, 1)),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [
            BadSample(cls(2), (TensorType((2, 3, 4)), TensorType((2, 5, 4)))),
            BadSample(cls(1), (TensorType((2, 3, 4)), TensorType((2, 4)))),
            BadSample(cls(0), ()),
        ]


def _demand_alike(inputs: Sequence[TensorType], axis: int) -> None:
    """Raises TypeRuleError for the operand that differs from most; where no size is more common, from the first."""
    sides = [(t.shape[:axis], t.shape[axis + 1 :], t.dtype) for t in inputs]
    usual, times = Counter(sides).most_common(1)[0]
    if all(s == usual for s in sides):
        return
    odd = next(i for i, s in enumerate(sides) if s != usual)
    among = "the first is" if times == 1 else "most are"
    raise TypeRuleError(
        f"concat needs equal sizes on every axis but the one it joins: "
        f"branch {odd + 1} is {inputs[odd].describe()}, {among} {inputs[sides.index(usual)].describe()}",
        operand=odd,
        help="the strides and paddings of the branches must lead to one size: `pad=same` keeps ceil(size / stride)",
    )


@operator("slice")
@dataclass(frozen=True)
class Slice(Operator):
    """A box cut out: along axis a, size[a] elements from start[a] on. Axes are counted from 0, the batch axis."""

    start: tuple[Dim, ...]
    size: tuple[Dim, ...]

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        if not len(self.start) == len(self.size) == x.rank:
            raise TypeRuleError(f"slice of {len(self.size)} axes of a tensor with {x.rank}", operand=0)
        for start, size, full in zip(self.start, self.size, x.shape, strict=True):
            left = full - start - size
            if isinstance(left, int) and left < 0:
                raise TypeRuleError(f"slice up to {start + size} of an axis of size {full}", operand=0)
        stays = self.size[-1:] == x.shape[-1:] or x.kind.name == "indices"
        return TensorType(self.size, x.dtype, x.kind if stays else PLAIN)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,) = d
        if dy is None:
            return (None,)
        full = inputs[0].type.shape
        after = tuple(f - s - n for f, s, n in zip(full, self.start, self.size, strict=True))
        return (padded(b, dy, self.start, after),)

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        starts = np.array(self.start, int)
        return x[tuple(slice(s, s + n) for s, n in zip(starts, np.array(self.size, int), strict=True))]

    def simplify(self, b: Builder, inputs: tuple[Value, ...]) -> Value | None:
        return inputs[0] if self.size == inputs[0].type.shape else None

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        (x,) = operands
        if x.axis is None:
            return self._row(s, x)
        if self.size[x.axis] != x.whole.shape[x.axis]:
            raise TypeRuleError("some of all steps are taken, and there is one at a time", operand=0)
        return s.apart(Slice(self.start, s.single(s.whole[0], x.axis)), x, axis=x.axis)

    def _row(self, s: Stepper, table: Moving) -> Streamed:
        """Of a table with more rows than there will be steps, the first of which are taken: the row of this step."""
        axis = self.size.index(s.length)
        rows = table.whole.shape[axis]
        if any(self.start) or not isinstance(rows, int):
            raise TypeRuleError("the rows of a table that are taken do not begin with the first")
        s.demand_context(rows)
        return ((s.row(table, axis), axis),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.arange(24.0).reshape(2, 3, 4)
        return [
            Sample(cls((0, 1, 2), (2, 2, 1)), (x,), torch=lambda torch, x: x[:, 1:3, 2:3]),
            Sample(cls((0, 0, 0), (2, 3, 4)), (x,), torch=lambda torch, x: x),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls((0, 2), (2, 2)), (TensorType((2, 3)),))]


@operator("pad")
@dataclass(frozen=True)
class Pad(Operator):
    """Zeros around a tensor: before[a] in front along axis a, after[a] behind. Counted from 0, the batch axis."""

    before: tuple[Dim, ...]
    after: tuple[Dim, ...]

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        if not len(self.before) == len(self.after) == x.rank:
            raise TypeRuleError(f"pad of {len(self.before)} axes of a tensor with {x.rank}", operand=0)
        shape = tuple(p + s + q for p, s, q in zip(self.before, x.shape, self.after, strict=True))
        return TensorType(shape, x.dtype, x.kind if shape[-1:] == x.shape[-1:] else PLAIN)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,) = d
        return (sliced(b, dy, self.before, inputs[0].type.shape) if dy else None,)

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        return np.pad(x, np.array([self.before, self.after], int).T.reshape(-1, 2))

    def simplify(self, b: Builder, inputs: tuple[Value, ...]) -> Value | None:
        return inputs[0] if not any((*self.before, *self.after)) else None

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        (x,) = operands
        assert x.axis is not None
        if self.before[x.axis] != 0 or self.after[x.axis] != 0:
            raise TypeRuleError("steps are added to the sequence, and there is one at a time", operand=0)
        return s.apart(self, x, axis=x.axis)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.arange(1.0, 25).reshape(2, 3, 4)
        return [Sample(cls((0, 1, 0), (0, 2, 1)), (x,), torch=_torch_pad((0, 1, 1, 2)))]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls((1,), (1,)), (TensorType((2, 3)),))]


def _torch_pad(amounts: tuple[int, ...]) -> Callable[..., Any]:
    return lambda torch, x: torch.nn.functional.pad(x, amounts)


def sliced(b: Builder, x: Value, start: tuple[Dim, ...], size: tuple[Dim, ...]) -> Value:
    """The box of x from start on; x itself when that is all of it."""
    return x if x.type.shape == size else b.emit(Slice(start, size), x)


def sliced_axis(b: Builder, x: Value, axis: int, start: Dim, size: Dim) -> Value:
    """size elements of x from start on, along one axis (counted with the batch axis)."""
    shape = x.type.shape
    starts = tuple(start if a == axis else 0 for a in range(len(shape)))
    return sliced(b, x, starts, (*shape[:axis], size, *shape[axis + 1 :]))


def pieces(b: Builder, x: Value, axis: int, sizes: Sequence[Dim]) -> list[Value]:
    """x cut along an axis into pieces of these sizes."""
    made: list[Value] = []
    start: Dim = 0
    for size in sizes:
        made.append(sliced_axis(b, x, axis, start, size))
        start = start + size
    return made


def padded(b: Builder, x: Value, before: tuple[Dim, ...], after: tuple[Dim, ...]) -> Value:
    """x with zeros around it; x itself when there are none."""
    return b.emit(Pad(before, after), x) if any((*before, *after)) else x


# --- layers ----------------------------------------------------------------------------------------------------------

Sizes = Annotated[Any, Either((Whole(1), Many(Whole(1))))]
"""`split(2)` or `split([64, 32])`"""


@layer()
def concat(b: Builder, xs: tuple[Value, ...], axis: int = -1) -> Value:
    """Tensors side by side: `[a, b] -> concat` has the features of both.

    xs       at least two, equal on every axis but the one they are joined on
    axis     counted without the batch axis; -1: the features
    returns  the same with the sum of the sizes along axis

    A free dimension can be joined on only if it comes last: padding must not end up in the middle.
    """
    demand_several("concat", xs)
    if all(x.type.rank == xs[0].type.rank for x in xs):
        place = written_axis(xs[0].type, axis)
        _demand_no_padding_within(xs, place)
        return b.emit(Concat(place), *xs)
    usual = Counter(x.type.rank for x in xs).most_common(1)[0][0]
    odd = next(i for i, x in enumerate(xs) if x.type.rank != usual)
    shapes = " and ".join(x.type.describe() for x in xs)
    raise TypeRuleError(
        f"concat needs tensors with as many axes, got {shapes}", operand=odd, help="`flatten` or `reshape` it first"
    )


def demand_several(title: str, xs: Sequence[Value]) -> None:
    """Raises TypeRuleError unless there are two tensors or more to bring together."""
    if len(xs) < 2:
        raise TypeRuleError(
            f"{title} brings tensors together, got one", operand=0, help=f"write `[a, b] -> {title}` with all of them"
        )


def _demand_no_padding_within(xs: Sequence[Value], axis: int) -> None:
    free = [i for i, x in enumerate(xs[:-1]) if isinstance(x.type.shape[axis], Symbolic)]
    if free:
        raise TypeRuleError(
            f"concat along a free dimension: samples shorter than others in {xs[free[0]].type.describe()} would be "
            "followed by padding",
            code="E0401",
            operand=free[0],
            help="join on the features, or give the dimension a number",
        )


@layer()
def split(b: Builder, x: Value, parts: Sizes, axis: int = -1) -> tuple[Value, ...]:
    """Several results: `a, b = x -> split(2)` are the two halves, `split([64, 32])` pieces of these sizes.

    x        any shape, of a known size along axis
    axis     counted without the batch axis; -1: the features
    returns  as many tensors as there are parts, in order
    """
    place = written_axis(x.type, axis)
    size = known_along(x.type, place, "split")
    if isinstance(parts, int) and size % parts:
        raise TypeRuleError(
            f"split into {parts} equal parts: {size} of {x.type.describe()} is not a multiple of {parts}",
            code="E0305",
            attribute="parts",
        )
    sizes = [size // parts] * parts if isinstance(parts, int) else list(parts)
    if sum(sizes) != size:
        raise TypeRuleError(
            f"the parts add up to {sum(sizes)}, {x.type.describe()} has {size}", code="E0305", attribute="parts"
        )
    return tuple(pieces(b, x, place, sizes))


def known_along(x: TensorType, axis: int, title: str) -> int:
    """The size of x along axis. Raises TypeRuleError E0401 where that is known only at run time."""
    size = x.shape[axis]
    if isinstance(size, int):
        return size
    raise TypeRuleError(
        f"{title} along {size} of {x.describe()}, which is known only at run time",
        code="E0401",
        attribute="axis",
        help="give the dimension a number in the input's type",
    )
