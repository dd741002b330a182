"""Several tensors of one shape become one: add, subtract, multiply, average, maximum, minimum, dot."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from graphdsl.ir import PLAIN, PROBABILITIES, PROBABILITY, Builder, Flag, Kind, TypeRuleError, Value, layer
from graphdsl.ops import expression as e
from graphdsl.ops.concat import demand_several
from graphdsl.ops.demand import demand_equal
from graphdsl.ops.elementwise import Elementwise, formula
from graphdsl.ops.expression import Expression, Operand
from graphdsl.ops.linear import batch_matmul
from graphdsl.ops.mask import mask_steps
from graphdsl.ops.reduce import sum_over
from graphdsl.ops.window import demand_float

SMALLEST_SQUARE = 1e-12
"""What a squared length is at least before something is divided by the length."""


def _merge(
    b: Builder,
    title: str,
    xs: tuple[Value, ...],
    tree: Callable[[Expression, Expression], Expression],
    kind: Kind = PLAIN,
    divisor: int = 1,
) -> Value:
    demand_several(title, xs)
    for position, x in enumerate(xs):
        demand_float(title, x.type, position)
    demand_equal(title, xs)
    operands: list[Expression] = [Operand(i) for i in range(len(xs))]
    return b.emit(Elementwise(reduce(tree, operands) / divisor, len(xs), kind, title), *xs, name=title)


@layer()
def add(b: Builder, xs: tuple[Value, ...]) -> Value:
    """The sum, element by element: `[a, b] -> add`, the same as `a + b`.

    xs       two or more tensors of one shape
    returns  that shape
    """
    return _merge(b, "add", xs, lambda x, y: x + y)


@layer()
def subtract(b: Builder, x: Value, y: Value) -> Value:
    """x - y, element by element: `[a, b] -> subtract`.

    x, y     of one shape
    returns  that shape
    """
    return _merge(b, "subtract", (x, y), lambda p, q: p - q)


@layer()
def multiply(b: Builder, xs: tuple[Value, ...]) -> Value:
    """The product, element by element: `[a, b] -> multiply`.

    xs       two or more tensors of one shape
    returns  that shape
    """
    return _merge(b, "multiply", xs, lambda x, y: x * y)


@layer()
def average(b: Builder, xs: tuple[Value, ...]) -> Value:
    """The mean, element by element. The average of probabilities is probabilities: how an ensemble votes.

    xs       two or more tensors of one shape
    returns  that shape
    """
    kinds = {x.type.kind for x in xs}
    kind = kinds.pop() if len(kinds) == 1 and kinds <= {PROBABILITIES, PROBABILITY} else PLAIN
    return _merge(b, "average", xs, lambda x, y: x + y, kind, divisor=len(xs))


@layer()
def maximum(b: Builder, xs: tuple[Value, ...]) -> Value:
    """The largest, element by element. Where two are equal the later one gets the gradient.

    xs       two or more tensors of one shape
    returns  that shape
    """
    return _merge(b, "maximum", xs, e.maximum)


@layer()
def minimum(b: Builder, xs: tuple[Value, ...]) -> Value:
    """The smallest, element by element. Where two are equal the later one gets the gradient.

    xs       two or more tensors of one shape
    returns  that shape
    """
    return _merge(b, "minimum", xs, e.minimum)


@layer()
def dot(b: Builder, x: Value, y: Value, *, normalize: Flag = False) -> Value:
    """The scalar product of feature vectors: how alike two things are.

    x, y       [features] each: one number; or [time, features] and [steps, features]: every step with every step
    normalize  divide by both lengths first: the cosine of the angle, between -1 and 1
    returns    [1]; or [time, steps]

    Features behind the end of a sequence (`float[T]`) do not count. A vector of length 0 has the cosine 0 with
    everything. (Keras: Dot over the last axis.)
    """
    for position, value in enumerate((x, y)):
        demand_float("dot", value.type, position)
    if x.type.rank != y.type.rank or x.type.rank not in (2, 3) or x.type.channels != y.type.channels:
        got = f"{x.type.describe()} and {y.type.describe()}"
        raise TypeRuleError(f"dot needs two tensors with as many features, got {got}", operand=1)
    x, y = (mask_steps(b, v, 0.0, (v.type.rank - 1,)) for v in (x, y))
    if normalize:
        x, y = unit_length(b, x), unit_length(b, y)
    if x.type.rank == 3:
        return batch_matmul(b, x, y, transpose_b=True)
    return sum_over(b, formula(b, lambda p, q: p * q, x, y, title="dot"), (1,), keep=True)


def unit_length(b: Builder, x: Value) -> Value:
    """x divided by its length along the last axis; vectors of length 0 stay."""
    squares = formula(b, lambda v: v * v, x, title="square")
    total = sum_over(b, squares, (x.type.rank - 1,), keep=True)
    return formula(b, lambda v, s: v / e.sqrt(e.maximum(s, SMALLEST_SQUARE)), x, total, title="unit_length")
