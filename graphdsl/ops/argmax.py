"""Where the largest numbers stand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Count,
    Dim,
    DType,
    Flag,
    Moving,
    Operator,
    Sample,
    Stepper,
    Streamed,
    TensorType,
    TypeRuleError,
    Value,
    indices,
    layer,
    operator,
)
from graphdsl.ops.concat import known_along
from graphdsl.ops.elementwise import formula
from graphdsl.ops.embedding import one_hot_of
from graphdsl.ops.max_pool import TakeWinners
from graphdsl.ops.shape import reshape, transposed, written_axis
from graphdsl.ops.window import demand_float
from graphdsl.report import dataclass


@operator("top_places")
@dataclass(frozen=True)
class TopPlaces(Operator):
    """Where the largest numbers along an axis stand, the largest first. The axis is counted from 0, the batch axis.

    x        any shape
    returns  int32 indices, count of them in place of the axis

    last  of equal numbers the last comes first, else the first does. NaN counts as larger than every number.
    """

    axis: int
    count: int = 1
    last: bool = False

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        size = x.shape[self.axis] if 0 <= self.axis < x.rank else 0
        if not x.dtype.is_float or not isinstance(size, int) or not 0 < self.count <= size:
            raise TypeRuleError(f"the {self.count} largest along axis {self.axis} of {x.describe()}", operand=0)
        return TensorType((*x.shape[: self.axis], self.count, *x.shape[self.axis + 1 :]), DType.INT32, indices(size))

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        size = x.shape[self.axis]
        if self.count == 1:
            first = (np.flip(x, self.axis) if self.last else x).argmax(self.axis, keepdims=True)
            return np.asarray(size - 1 - first if self.last else first, np.int32)
        known = np.where(np.isnan(x), np.inf, x)
        if self.last:
            order = size - 1 - np.argsort(-np.flip(known, self.axis), axis=self.axis, kind="stable")
        else:
            order = np.argsort(-known, axis=self.axis, kind="stable")
        return np.ascontiguousarray(np.take(order, range(self.count), self.axis).astype(np.int32))

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        (x,) = operands
        s.demand_apart(x, [self.axis], "the largest are sought among")
        return s.apart(self, x, axis=x.axis)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.sin(np.arange(24.0) * 5).reshape(2, 3, 4)
        ties = np.array([[1.0, 3.0, 3.0, 2.0], [0.0, 0.0, 0.0, 0.0]])
        return [
            Sample(cls(1), (x,), torch=lambda torch, x: x.argmax(1, keepdim=True).int()),
            Sample(cls(2, 3), (x,), torch=lambda torch, x: x.topk(3, 2)[1].int()),
            Sample(cls(1, 4), (ties,)),
            *(Sample(cls(1, count, last=True), (ties,)) for count in (1, 2)),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        x = TensorType((2, 3))
        return [BadSample(cls(2), (x,)), BadSample(cls(1, 4), (x,)), BadSample(cls(1), (x.with_dtype(DType.INT32),))]


def taken(b: Builder, x: Value, places: Value, axis: int) -> Value:
    """x at the places along axis, number by number: the shapes are equal but for that axis."""
    outer, inner = _sides(x, axis)
    flat = reshape(b, x, (outer, x.type.shape[axis], inner))
    rows = reshape(b, places, (outer, places.type.shape[axis], inner))
    return reshape(b, b.emit(TakeWinners(), flat, rows), places.type.shape)


def _sides(x: Value, axis: int) -> tuple[Dim, Dim]:
    return TensorType(x.type.shape[:axis]).count, TensorType(x.type.shape[axis + 1 :]).count


def _place(title: str, x: Value, axis: int) -> int:
    demand_float(title, x.type)
    place = written_axis(x.type, axis)
    known_along(x.type, place, title)
    return place


# --- layers ----------------------------------------------------------------------------------------------------------


@layer()
def argmax(b: Builder, x: Value, axis: int = -1, *, keep: Flag = False, last: Flag = False) -> Value:
    """Where the largest number along an axis stands, counted from 0: which class.

    x        float, any shape, of a known size n along axis
    axis     counted without the batch axis; -1: the features
    keep     whether the axis stays with size 1 instead of vanishing
    last     of equal numbers take the last, not the first
    returns  int(n), the other axes

    NaN counts as the largest. Nothing learns through it.

    E0401  the size along axis is known only at run time
    """
    place = _place("argmax", x, axis)
    found = b.emit(TopPlaces(place, 1, last), x, name="argmax")
    shape = tuple(s for a, s in enumerate(x.type.shape) if a != place)
    return found if keep else reshape(b, found, shape)


@layer()
def argmin(b: Builder, x: Value, axis: int = -1, *, keep: Flag = False, last: Flag = False) -> Value:
    """Where the smallest number along an axis stands, counted from 0.

    x        float, any shape, of a known size n along axis
    axis     counted without the batch axis; -1: the features
    keep     whether the axis stays with size 1 instead of vanishing
    last     of equal numbers take the last, not the first
    returns  int(n), the other axes

    NaN counts as the smallest. Nothing learns through it.

    E0401  the size along axis is known only at run time
    """
    _place("argmin", x, axis)
    return argmax(b, formula(b, lambda v: -v, x, title="negative"), axis, keep=keep, last=last)


@layer()
def top_k(b: Builder, x: Value, k: Count, axis: int = -1, *, largest: Flag = True) -> tuple[Value, Value]:
    """The k largest numbers along an axis, the largest first, and where they stand: `values, places = x -> top_k(5)`.

    x        float, any shape, of a known size n along axis
    k        how many, at most n
    axis     counted without the batch axis; -1: the features
    largest  false: the k smallest, the smallest first
    returns  the numbers, and int(n) with their places; k in place of axis

    Of equal numbers the first comes first. The numbers learn, the places do not.

    E0305  k is more than n
    E0401  the size along axis is known only at run time
    """
    place = _place("top_k", x, axis)
    if k > known_along(x.type, place, "top_k"):
        raise TypeRuleError(f"the {k} largest of {x.type.shape[place]} numbers", code="E0305", attribute="k")
    ranked = x if largest else formula(b, lambda v: -v, x, title="negative")
    places = b.emit(TopPlaces(place, k), ranked, name="places")
    return taken(b, x, places, place), places


@layer()
def hardmax(b: Builder, x: Value, axis: int = -1) -> Value:
    """1 where the largest number along an axis stands, 0 elsewhere; of equal numbers at the first.

    x        float, any shape, of a known size along axis
    axis     counted without the batch axis; -1: the features
    returns  the same shape

    Nothing learns through it.

    E0401  the size along axis is known only at run time
    """
    place = _place("hardmax", x, axis)
    ones = one_hot_of(b, argmax(b, x, axis), range(known_along(x.type, place, "hardmax")))
    rank = x.type.rank
    return transposed(b, ones, (*range(place), rank - 1, *range(place, rank - 1)))
