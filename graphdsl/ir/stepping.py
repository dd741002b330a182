"""Sequences read step by step: what an operator meets when a graph becomes one of a single step.

The graph of one step has the same operations over an axis of time with one place; what an operator must remember
between steps is a state, fed in and given out:

    x [batch, T, 8] ── lstm ── hidden [batch, T, 4]        x [batch, 1, 8] ─┬─ one step ─┬─ hidden [batch, 1, 4]
                                                           state/lstm/cell ─┘            └─ state/lstm/cell

Where the time of a value stands is followed from the input on, by axis; no operator guesses it from a size.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import reduce
from operator import mul
from typing import Any

from graphdsl.ir.builder import Builder
from graphdsl.ir.dim import Dim, Symbolic, evaluate, symbol
from graphdsl.ir.graph import Role, Value
from graphdsl.ir.operator import Operator, TypeRuleError
from graphdsl.ir.types import DType, TensorType, indices
from graphdsl.report import dataclass

STATE = "state"
"""The inputs of a graph of one step that begin as 0 and then are what its results of these names gave."""
POSITION = f"{STATE}/position"
"""How many steps there were before: a number below the context, which is as many steps as such a graph can make."""


@dataclass(frozen=True)
class Moving:
    """A value of the graph of one step, and what it was in the graph of the whole sequence.

    value   at one step
    whole   its type over all steps
    axis    the axis on which the steps stand, in both; there may be others on it (`batch * T`); None: there is none
    so_far  without an axis: it depends on the steps up to this one, as the last state of a recurrence does
    """

    value: Value
    whole: TensorType
    axis: int | None = None
    so_far: bool = False


Streamed = tuple[tuple[Value, int | None], ...]
"""What an operator gives for one step: each result with the axis of its steps; None: it sums up the steps so far."""


class TooLong(Exception):
    """A context that is longer than a table which has a row for every step: only so many steps can be made."""

    def __init__(self, rows: int) -> None:
        Exception.__init__(self, f"there are rows for {rows} steps")
        self.rows = rows


class Stepper:
    """The graph of one step while it is built, at one operation.

    b        its builder
    length   how many steps the whole sequence has: a number, or the free dimension
    context  how many steps a state that grows has room for
    node     the name of the operation at hand
    whole    the types of its results over the whole sequence
    counts   somebody has asked for the position
    """

    def __init__(self, b: Builder, length: Dim, context: int, row: Callable[[Stepper, Moving, int], Value]) -> None:
        self.b = b
        self.length = length
        self.context = context
        self.node = ""
        self.whole: tuple[TensorType, ...] = ()
        self.counts = False
        self._row = row

    def apart(self, op: Operator, *operands: Moving, axis: int | None) -> Streamed:
        """An operator that mixes no steps, as it is: its results have the steps on this axis."""
        return tuple((value, axis) for value in self.b.emit_all(op, *(o.value for o in operands)))

    def row(self, still: Moving, axis: int) -> Value:
        """Of a value that stands still and has a row for every step along axis, that of this step."""
        return self._row(self, still, axis)

    def demand_apart(self, x: Moving, axes: Collection[int], does: str) -> None:
        """Raises TypeRuleError where the steps stand on one of these axes, over which an operator does something."""
        if x.axis in axes:
            raise TypeRuleError(f"{does} all steps, and there is one at a time", operand=0)

    def state(self, part: str, shape: tuple[Dim, ...], dtype: DType = DType.FLOAT32) -> Value:
        """What this operation remembers, all 0 before the first step; with the batch axis where samples differ."""
        return self.b.input(f"{STATE}/{self.node}/{part}", TensorType(shape, dtype))

    def carry(self, state: Value, value: Value) -> None:
        """At the next step, state is value."""
        self.b.result(state.node.removeprefix(f"{STATE}/"), Role.STATE, value)

    def position(self) -> Value:
        """How many steps there were before: int32, a scalar, below the context. Who asks bounds the stream by it."""
        self.counts = True
        return self.b.input(POSITION, TensorType((), DType.INT32, indices(self.context)))

    def demand_context(self, rows: Dim) -> None:
        """Raises TooLong where there is room for more steps than these."""
        if isinstance(rows, int) and rows < self.context:
            raise TooLong(rows)

    def single(self, type: TensorType, axis: int) -> tuple[Dim, ...]:
        """The shape of a value whose steps stand on axis, at one step."""
        return (*type.shape[:axis], self.without_time(type.shape[axis]), *type.shape[axis + 1 :])

    def without_time(self, size: Dim) -> Dim:
        """A size of which the steps are a factor, without them."""
        if isinstance(self.length, int):
            return size // self.length
        return evaluate(size, _ones(size, self.length))  # type: ignore[no-any-return]

    def moved(self, moving: Moving, shape: tuple[Dim, ...]) -> int:
        """The axis of the steps after the numbers, in row order, were put under another whole shape.

        Raises TypeRuleError where an axis would hold features of several steps.
        """
        assert moving.axis is not None
        inner = _product(moving.whole.shape[moving.axis + 1 :])
        for axis in reversed(range(len(shape))):
            if _product(shape[axis + 1 :]) == inner and shape[axis] == self.without_time(shape[axis]) * self.length:
                return axis
        raise TypeRuleError("what follows puts features of several steps side by side", operand=0)


def _ones(size: Dim, time: Symbolic) -> Mapping[str, Any]:
    names = size.names if isinstance(size, Symbolic) else frozenset()
    return {name: 1 if name in time.names else symbol(name) for name in names}


def _product(sizes: tuple[Dim, ...]) -> Dim:
    return reduce(mul, sizes, 1)
