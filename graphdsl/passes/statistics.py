"""Pass for machines: sums over a tensor are taken while it is made.

Batch normalisation wants mean and variance of what a convolution has just made, forward; backward two sums over the
gradient that another has just made. A bias wants one such sum. Read from memory, each costs as much as a formula; taken
tile by tile while the tile is in registers, next to nothing:

    conv ─ y ─┬─ moments ─ mean, variance          conv+moments ─┬─ y
              └─ (y - mean) …               =>                   └─ mean, variance

    conv_input_gradient+relu ─ g ─┬─ …             conv_input_gradient+relu+sums ─┬─ g
    x, m ─┬───────────────────────┤         =>     x, m                           ├─ Σ g
          └─ reduced ─────────────┘                                               └─ Σ (x - m) * g

Sums are over all axes but the features. Whatever else they read must be there before the producer runs, and what reads
several producers rides on the latest. A producer carries one such operation.

Assumes  `reduced` and `epilogue` have run.
Gives    FusedMoments and FusedSums; the same numbers but for rounding.
Leaves   sums over other axes.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphdsl.ir import Answers, Builder, Graph, Look, Operator, Value, replay
from graphdsl.ops import Fused, FusedMoments, FusedSums, Moments, Reduced, Sum, broadcast, expression
from graphdsl.ops.expression import Operand
from graphdsl.passes.epilogue import PRODUCERS

RIDERS = (Moments, Reduced, Sum)


def statistics(graph: Graph) -> Graph:
    """graph with statistics on the producers of what they are of."""
    return replay(graph, _Rides(graph).rule)


class _Rides:
    """Which statistics ride on which producer. on: the rider by producer."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.on: dict[str, str] = {}
        order = {name: position for position, name in enumerate(graph)}
        for name, node in graph.items():
            producer = self._producer(name, order) if isinstance(node.op, RIDERS) else None
            if producer is not None:
                self.on.setdefault(producer, name)

    def _producer(self, name: str, order: Mapping[str, int]) -> str | None:
        """The node that a statistic may ride on: the latest that it reads."""
        op, operands = self.graph.node(name).op, self.graph.operands(name)
        latest = max(operands, key=lambda v: order[v.node])
        shape = latest.type.shape
        whole = broadcast(op.name, [v.type.shape for v in operands]) == shape
        assert isinstance(op, RIDERS)
        if not whole or len(shape) < 2 or op.axes != tuple(range(len(shape) - 1)) or not latest.type.dtype.is_float:
            return None
        return latest.node if isinstance(self.graph.node(latest.node).op, (*PRODUCERS, Fused)) else None

    def rule(self, b: Builder, name: str, look: Look) -> Answers | None:
        """The results of a producer and of what rides on it."""
        rider = self.on.get(name)
        if rider is None:
            return None
        (y,) = self.graph.values(name)
        op, others = _riding(self.graph.node(name).op, self.graph.node(rider).op, self.graph.operands(rider), y)
        first, *rest = b.emit_all(op, *map(look, (*self.graph.operands(name), *others)), name=name, exact=True)
        return {name: (first,), rider: tuple(rest)}


def _riding(
    producer: Operator, rider: Operator, operands: tuple[Value, ...], y: Value
) -> tuple[Operator, tuple[Value, ...]]:
    """Both as one operator, and what it reads beside what the producer reads."""
    match rider:
        case Moments():
            return FusedMoments(producer), ()
        case Sum():
            return FusedSums(producer, (Operand(0),), 1), ()
        case Reduced():
            others = tuple(v for v in operands if v != y)
            places = [Operand(0) if v == y else Operand(others.index(v) + 1) for v in operands]
            formulas = tuple(expression.substitute(tree, places) for tree in rider.formulas)
            return FusedSums(producer, formulas, len(others) + 1), others
    raise AssertionError(rider)
