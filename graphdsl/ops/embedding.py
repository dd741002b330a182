"""Whole numbers become vectors: rows of a learned table, or a 1 among zeros."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphdsl.ir import (
    PROBABILITIES,
    Array,
    BadSample,
    Builder,
    Constant,
    Cotangents,
    Count,
    Dim,
    DType,
    Init,
    Moving,
    NonNegative,
    Operator,
    Sample,
    Stepper,
    Streamed,
    TensorType,
    TypeRuleError,
    Value,
    evaluate,
    layer,
    operator,
)
from graphdsl.ops import expression as e
from graphdsl.ops.elementwise import Elementwise
from graphdsl.ops.expression import Operand
from graphdsl.ops.initializers import Uniform
from graphdsl.ops.shape import reshape
from graphdsl.report import dataclass

TABLE = Uniform()


@operator("gather")
@dataclass(frozen=True)
class Gather(Operator):
    """Rows of a table.

    table    [rows, features]
    places   whole numbers below rows, any shape
    returns  [..., features]
    """

    def type(self, table: TensorType, places: TensorType) -> TensorType:  # type: ignore[override]
        if table.rank != 2:
            raise TypeRuleError(f"gather needs a table [rows, features], got {table}", operand=0)
        if places.dtype not in (DType.INT32, DType.INT64):
            raise TypeRuleError(f"gather needs whole numbers, got {places}", operand=1, code="E0303")
        return TensorType((*places.shape, table.shape[1]), table.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,), (table, places) = d, inputs
        return (b.emit(ScatterAdd(table.type.shape[0]), dy, places) if dy else None, None)

    def reference(self, table: Array, places: Array) -> Array:  # type: ignore[override]
        return table[places]

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        table, places = operands
        s.demand_apart(table, [0, 1], "a table is made of")
        return s.apart(self, *operands, axis=places.axis)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        table = np.sin(np.arange(15.0)).reshape(5, 3)
        return [
            Sample(cls(), (table, np.array([[4, 0], [4, 4]], np.int32)), torch=lambda torch, t, i: t[i]),
            Sample(cls(), (table, np.array([1], np.int64)), torch=lambda torch, t, i: t[i]),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [
            BadSample(cls(), (TensorType((5, 3)), TensorType((2,))), "E0303"),
            BadSample(cls(), (TensorType((5,)), TensorType((2,), DType.INT32))),
        ]


@operator("scatter_add")
@dataclass(frozen=True)
class ScatterAdd(Operator):
    """Row after row added into a table of zeros, in row order: the gradient of gather.

    values   [..., features]
    places   whole numbers below rows, of the shape of values without features
    returns  [rows, features]

    The order is part of the meaning: sums of floats depend on it, and a run must be repeatable.
    """

    rows: Dim

    def type(self, values: TensorType, places: TensorType) -> TensorType:  # type: ignore[override]
        if values.shape[:-1] != places.shape or values.rank < 1:
            raise TypeRuleError(f"scatter_add needs a place for every row, got {values} and {places}", operand=1)
        return TensorType((self.rows, values.channels), values.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,) = d
        return (b.emit(Gather(), dy, inputs[1]) if dy else None, None)

    def reference(self, values: Array, places: Array) -> Array:  # type: ignore[override]
        table = np.zeros((evaluate(self.rows, {}), values.shape[-1]), values.dtype)
        np.add.at(table, places, values)
        return table

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[0].count

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        values = np.sin(np.arange(12.0)).reshape(2, 2, 3)
        return [Sample(cls(5), (values, np.array([[4, 0], [4, 4]], np.int32)))]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls(5), (TensorType((2, 3)), TensorType((4,), DType.INT32)))]


def one_hot_of(b: Builder, places: Value, classes: range) -> Value:
    """[..., classes]: 1 at the class, 0 at the others. A formula, so it melts into what reads it."""
    numbers = b.emit(Constant.array(np.array(classes, np.float32)), name="classes")
    tree = e.where(e.equal(Operand(0), Operand(1)), 1, 0)
    column = reshape(b, places, (*places.type.shape, 1))
    return b.emit(Elementwise(tree, 2, PROBABILITIES, "one_hot"), column, numbers, name="one_hot")


def demand_indices(title: str, x: TensorType) -> int:
    """How many classes x counts; raises TypeRuleError E0303 where it holds no class indices."""
    if x.kind.name == "indices":
        return x.kind.classes
    raise TypeRuleError(
        f"{title} reads whole numbers below a known bound, got {x.describe()}",
        code="E0303",
        operand=0,
        help="declare the input as such: `input text: int(10000)[T]`",
    )


# --- layers ----------------------------------------------------------------------------------------------------------


@layer()
def embedding(b: Builder, x: Value, features: Count, *, init: Init = TABLE, l2: NonNegative = 0.0) -> Value:
    """A learned vector for every word: row x of a table.

    x        whole numbers below n, `int(n)[T]` or any other shape; n, the vocabulary, is read off the type
    returns  the same shape with features behind: [T, features]

    init     how the table begins; uniform between -0.05 and 0.05 unless given; `vectors("glove.txt")`: with vectors of
             words from a file
    l2       the loss grows by l2 * sum table²

    Weights: table [n, features]; n * features parameters.

    E0303  x does not hold class indices
    """
    rows = demand_indices("embedding", x.type)
    table = b.weight("table", (rows, features), init, l2=l2)
    return b.emit(Gather(), table, x)


@layer()
def one_hot(b: Builder, x: Value) -> Value:
    """1 at the class, 0 at the others.

    x        whole numbers below n: `int(n)`
    returns  the same shape with n behind: [n]
    """
    return one_hot_of(b, x, range(demand_indices("one_hot", x.type)))
