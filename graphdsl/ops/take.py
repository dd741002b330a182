"""Elements by their places, which are written or computed; and whole numbers as floats and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from graphdsl.ir import (
    PLAIN,
    Array,
    BadSample,
    Builder,
    Choice,
    Cotangents,
    Count,
    DType,
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
from graphdsl.ops import expression as e
from graphdsl.ops.argmax import taken
from graphdsl.ops.concat import known_along
from graphdsl.ops.elementwise import formula
from graphdsl.ops.max_pool import PutWinners
from graphdsl.ops.reduce import broadcast_to
from graphdsl.ops.shape import reshape, written_axis
from graphdsl.ops.taps import picked
from graphdsl.ops.window import demand_float
from graphdsl.report import dataclass

Join = Annotated[str, Choice(("replace", "add"))]


@operator("cast")
@dataclass(frozen=True)
class Cast(Operator):
    """Numbers of another type. Floats become the whole number towards 0.

    classes  whole numbers are below this; 0: none are meant
    """

    dtype: DType
    classes: int = 0

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        if (self.dtype in (DType.INT32, DType.INT64)) != (self.classes > 0):
            raise TypeRuleError(f"{self.dtype} numbers below {self.classes}", operand=0)
        return TensorType(x.shape, self.dtype, indices(self.classes) if self.classes else PLAIN)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,), (x,) = d, inputs
        smooth = dy is not None and self.dtype.is_float and x.type.dtype.is_float
        return (b.emit(Cast(x.type.dtype), dy) if smooth and dy else None,)

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        return x.astype(self.dtype.numpy)

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        return s.apart(self, *operands, axis=operands[0].axis)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        whole = np.arange(6, dtype=np.int32).reshape(2, 3)
        return [
            Sample(cls(DType.FLOAT32), (whole,), torch=lambda torch, x: x.float()),
            Sample(cls(DType.INT32, 4), (np.array([0.0, 3.9, 2.5]),), torch=lambda torch, x: x.int()),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls(DType.INT32), (TensorType((2, 3)),))]


@layer()
def to_float(b: Builder, x: Value) -> Value:
    """Whole numbers as float numbers; float numbers stay.

    x        any shape
    returns  the same shape
    """
    return x if x.type.dtype.is_float else b.emit(Cast(DType.FLOAT32), x)


@layer()
def to_int(b: Builder, x: Value, classes: Count) -> Value:
    """Float numbers as whole numbers from 0 to classes - 1: rounded towards 0, and what lies outside to the nearest.

    NaN becomes 0.

    x        float, any shape
    classes  how many whole numbers there are
    returns  int(classes), the same shape

    Nothing learns through it.
    """
    demand_float("to_int", x.type)
    inside = formula(b, lambda v: within(v, classes), x, title="inside")
    return b.emit(Cast(DType.INT32, classes), inside)


def within(x: e.Expression, count: int) -> e.Expression:
    """x, at least 0 and at most count - 1; 0 for NaN, which must not become a place."""
    return e.minimum(e.where(x > 0, x, 0), count - 1)


@layer()
def take(b: Builder, x: Value, places: tuple[int, ...], axis: int = -1) -> Value:
    """Elements at written places: `take([2, 0, 0])`. For a single place the axis stays, with size 1.

    x        any shape, of a known size along axis
    places   counted from 0; negative ones from the end; any of them may stand there several times
    axis     counted without the batch axis; -1: the features
    returns  the same with as many elements along axis as there are places

    E0305  there is no such place
    E0401  the size along axis is known only at run time
    """
    place = written_axis(x.type, axis)
    size = known_along(x.type, place, "take")
    odd = next((p for p in places if not -size <= p < size), None)
    if odd is not None or not places:
        raise TypeRuleError(f"{size} elements have no place {odd}", code="E0305", attribute="places")
    return picked(b, x, place, (p % size for p in places), "take")


@layer()
def gather(b: Builder, x: Value, places: Value, axis: int = 0) -> Value:
    """Elements at computed places, sample by sample: `[x, places] -> gather`.

    x        any shape, of n elements along axis
    places   int(m), m at most n; any shape, or a single number
    axis     of x, counted without the batch axis
    returns  x with the axes of places in place of axis

    E0303  places are not whole numbers below n
    E0401  the size along axis is known only at run time
    """
    place = _demand_places("gather", x, places, axis)
    batch, *rest = x.type.shape
    before, after, asked = rest[: place - 1], rest[place:], places.type.shape[1:]
    count = TensorType(asked).count
    thin = reshape(b, places, (batch, *(1,) * len(before), count, *(1,) * len(after)))
    wide = broadcast_to(b, thin, (batch, *before, count, *after))
    return reshape(b, taken(b, x, wide, place), (batch, *before, *asked, *after))


@layer()
def gather_elements(b: Builder, x: Value, places: Value, axis: int = -1) -> Value:
    """Each number from a place of its own along an axis: `[x, places] -> gather_elements`.

    x        any shape, of n elements along axis
    places   int(m), m at most n; the shape of x but for axis
    axis     counted without the batch axis
    returns  the shape of places: y[.., i, ..] = x[.., places[.., i, ..], ..]

    E0301  the shapes differ elsewhere
    E0303  places are not whole numbers below n
    E0401  the size along axis is known only at run time
    """
    place = _demand_places("gather_elements", x, places, axis)
    _demand_beside("gather_elements", x, places, place)
    return taken(b, x, places, place)


@layer()
def scatter_elements(
    b: Builder, x: Value, places: Value, updates: Value, axis: int = -1, *, join: Join = "replace"
) -> Value:
    """Numbers put at places of their own along an axis: `[x, places, updates] -> scatter_elements`.

    x        float, any shape, of n elements along axis
    places   int(m), m at most n; the shape of x but for axis
    updates  float, the shape of places
    axis     counted without the batch axis
    join     `replace` what stands there, or `add` to it. Several for one place are added up
    returns  the shape of x

    E0301  the shapes do not go together
    E0303  places are not whole numbers below n
    E0401  the size along axis is known only at run time
    """
    demand_float("scatter_elements", x.type)
    demand_float("scatter_elements", updates.type, 2)
    place = _demand_places("scatter_elements", x, places, axis)
    _demand_beside("scatter_elements", x, places, place)
    if updates.type.shape != places.type.shape:
        raise TypeRuleError(
            f"every number needs a place: {updates.type.describe()} for {places.type.describe()}", operand=2
        )
    put = _put(b, x, places, updates, place)
    if join == "add":
        return formula(b, lambda v, u: v + u, x, put, title="scatter_elements")
    hits = _put(b, x, places, formula(b, lambda u: u * 0 + 1, updates, title="ones"), place)
    return formula(b, lambda v, u, n: e.where(n > 0, u, v), x, put, hits, title="scatter_elements")


def _put(b: Builder, x: Value, places: Value, updates: Value, axis: int) -> Value:
    """Zeros in the shape of x, with the updates added at their places."""
    outer, inner = TensorType(x.type.shape[:axis]).count, TensorType(x.type.shape[axis + 1 :]).count
    rows = (outer, places.type.shape[axis], inner)
    put = b.emit(PutWinners(x.type.shape[axis]), reshape(b, updates, rows), reshape(b, places, rows))
    return reshape(b, put, x.type.shape)


def _demand_places(title: str, x: Value, places: Value, axis: int) -> int:
    place = written_axis(x.type, axis)
    size = known_along(x.type, place, title)
    if places.type.kind.name != "indices" or places.type.kind.classes > size:
        raise TypeRuleError(
            f"{title} needs whole numbers below {size}, got {places.type.describe()}",
            code="E0303",
            operand=1,
            help=f"declare them as `int({size})`, or write `to_int({size})`",
        )
    return place


def _demand_beside(title: str, x: Value, places: Value, axis: int) -> None:
    beside = [(t.shape[:axis], t.shape[axis + 1 :], t.rank) for t in (x.type, places.type)]
    if beside[0] != beside[1]:
        raise TypeRuleError(
            f"{title} needs equal sizes on every other axis, got {x.type.describe()} and {places.type.describe()}",
            operand=1,
        )
