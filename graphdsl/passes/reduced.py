"""Pass for machines: sums take the formulas they sum, and sums of the same tensors are taken in one go.

A sum that reads what a formula has just written costs two trips to memory; a sum of the formula costs none but the
formula's own reads. Where several sums over the same axes read the same tensors, these are read once for all:

    g ──┬───────────────── sum ── Σ g                 g ─┐             Σ g
    x ──┼─ (x - m) * g ─── sum ── Σ (x - m) * g   =>  x ─┼─ reduced ──┤
    m ──┘                                             m ─┘             Σ (x - m) * g

Two steps: `fuse` takes each sum for a sum of the formula "operand 0" and writes formulas into it as into any formula;
neighbours join. A sum joins an earlier one if all it reads was there before that one, so no circle can arise, and if
both read some tensor of full size. A Reduced that has stayed a plain sum alone is a sum again.

Assumes  `sums` has run: no constant factors are left inside. `fuse` may have run or not.
Gives    the same sums but for rounding.
Leaves   sums that ride on a producer to `statistics`.
"""

from __future__ import annotations

from dataclasses import field

from graphdsl.ir import Answers, Builder, Dim, Graph, Look, Operator, Value, replay
from graphdsl.ops import Reduced, Sum, broadcast, expression
from graphdsl.ops.expression import Expression, Operand
from graphdsl.passes.fuse import MOST_OPERANDS, MOST_WORK, fuse
from graphdsl.report import dataclass

MOST_SUMS = 8


def reduced(graph: Graph) -> Graph:
    """graph with its sums over floats as few operations as possible."""
    opened = fuse(graph, sums=True)
    return replay(opened, _Groups(opened).join)


@dataclass
class _Group:
    """Sums that are taken together. values: of the old graph; formulas: over them; taken: by member, its results."""

    axes: tuple[int, ...]
    shape: tuple[Dim, ...]
    values: list[Value]
    formulas: list[Expression]
    members: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def takes(self, shape: tuple[Dim, ...], op: Reduced, operands: tuple[Value, ...]) -> bool:
        """Whether a further sum fits in."""
        if (self.axes, self.shape) != (op.axes, shape):
            return False
        large = {v for v in self.values if v.type.shape == shape}
        work = expression.work_of_all(self.formulas) + expression.work_of_all(op.formulas)
        return (
            bool(large & {*operands})
            and len({*self.values, *operands}) <= MOST_OPERANDS
            and len(self.formulas) + len(op.formulas) <= MOST_SUMS
            and work <= MOST_WORK
        )

    def add(self, name: str, op: Reduced, operands: tuple[Value, ...]) -> None:
        self.values += [v for v in operands if v not in self.values]
        own = [expression.substitute(t, [Operand(self.values.index(v)) for v in operands]) for t in op.formulas]
        self.formulas += [t for t in own if t not in self.formulas]
        self.members[name] = tuple(self.formulas.index(t) for t in own)

    @property
    def operator(self) -> Operator:
        """All of them as one operation."""
        plain = self.formulas == [Operand(0)] and len(self.values) == 1
        return Sum(self.axes) if plain else Reduced(self.axes, tuple(self.formulas), len(self.values))


class _Groups:
    """Which sums join which. They are looked for among those that read the same tensor, the latest first."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.of: dict[str, _Group] = {}
        order = {name: position for position, name in enumerate(graph)}
        by_value: dict[Value, list[tuple[int, _Group]]] = {}
        for name, node in graph.items():
            if isinstance(node.op, Reduced):
                self._find(name, node.op, order, by_value)

    def _find(
        self, name: str, op: Reduced, order: dict[str, int], by_value: dict[Value, list[tuple[int, _Group]]]
    ) -> None:
        operands = self.graph.operands(name)
        shape = broadcast(op.name, [v.type.shape for v in operands])
        latest = max(order[v.node] for v in operands)
        near = [found for v in operands for found in by_value.get(v, ())[-MOST_SUMS:]]
        fitting = [group for position, group in near if latest < position and group.takes(shape, op, operands)]
        if not fitting:
            fitting = [_Group(op.axes, shape, [], [])]
            for value in operands:
                by_value.setdefault(value, []).append((order[name], fitting[0]))
        fitting[0].add(name, op, operands)
        self.of[name] = fitting[0]

    def join(self, b: Builder, name: str, look: Look) -> Answers | None:
        """The results of a sum and of all that join it."""
        group = self.of.get(name)
        if group is None:
            return None
        made = b.emit_all(group.operator, *map(look, group.values), name=name, exact=True)
        return {member: tuple(made[i] for i in taken) for member, taken in group.members.items()}
