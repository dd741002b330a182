"""Pass for machines: a weight and what its optimizer keeps beside it are renewed in one go.

Adam makes three tensors of one gradient. Apart, they read and write ten; together, seven:

    m, g ──────────── mean ────── m'                  w, g, m, v, rate ── formulas ── m', v', w'
    v, g ──────────── square ──── v'         =>
    w, m', v', rate ─ adam ────── w'

The new value of a weight takes in the new values that it reads, where nobody else reads those, and so on. Each stays a
result; all are written into their weights, element by element.

Assumes  `fuse` has run: the steps of an optimizer are one formula a new value.
Gives    Formulas for updates; the same numbers.
Leaves   other formulas of one shape: computing them together would make some of them wait in memory.
"""

from __future__ import annotations

from graphdsl.ir import Answers, Builder, Graph, Look, Role, Value, replay
from graphdsl.ops import Elementwise, Formulas, expression
from graphdsl.ops.expression import Expression, Operand


def together(graph: Graph) -> Graph:
    """graph with the updates of a weight and of its states as one operation."""
    return replay(graph, _Groups(graph).rule)


class _Groups:
    """of: by the last formula of a group, its members in order. last: by member, that formula."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        updates = {r.value.node for r in graph.of_role(Role.UPDATE)}
        others = {r.value.node for r in graph.results if r.role is not Role.UPDATE}
        self.free = {
            n for n in updates - others if isinstance(graph.node(n).op, Elementwise) and graph.value(n).type.rank
        }
        self.of: dict[str, list[str]] = {}
        self.last: dict[str, str] = {}
        order = {name: position for position, name in enumerate(graph)}
        for name in reversed([n for n in graph if n in self.free]):
            members = self._members(name)
            if name not in self.last and len(members) > 1:
                self.of[name] = sorted(members, key=order.__getitem__)
                self.last |= dict.fromkeys(members, name)

    def _members(self, last: str) -> set[str]:
        """last, and the new values that are read by members alone."""
        found, waiting = {last}, [last]
        while waiting:
            joining = {v.node for v in self.graph.operands(waiting.pop()) if self._joins(v, last, found)}
            found |= joining
            waiting += sorted(joining)
        return found

    def _joins(self, value: Value, last: str, found: set[str]) -> bool:
        made = self.graph.value(last).type
        alike = (value.type.shape, value.type.dtype) == (made.shape, made.dtype)
        return (
            alike and value.node in self.free and value.node not in found and {*self.graph.users(value.node)} <= found
        )

    def rule(self, b: Builder, name: str, look: Look) -> Answers | None:
        """The last of a group is emitted for all of it."""
        if self.last.get(name, name) != name:
            return {}
        members = self.of.get(name)
        if members is None:
            return None
        trees: dict[str, Expression] = {}
        places: dict[Value, Expression] = {}
        for member in members:
            op, own = self.graph.node(member).op, []
            assert isinstance(op, Elementwise)
            for value in self.graph.operands(member):
                known = trees.get(value.node) or places.setdefault(value, Operand(len(places)))
                own.append(known)
            trees[member] = expression.substitute(op.tree, own)
        op = Formulas(tuple(trees.values()), len(places), f"{len(members)} updates")
        made = b.emit_all(op, *map(look, places), name=name, exact=True)
        return {member: (value,) for member, value in zip(members, made, strict=True)}
