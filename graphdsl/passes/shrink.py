"""Pass: what makes a tensor small goes before what works on every element.

    max_pool(f(x))       f(max_pool(x))               f never falls: + bias, relu, leaky relu, sigmoid, tanh …
    sum(concat(p, q))    concat(sum(p), sum(q))       over other axes than the joined one
    moments(concat …)    likewise

A 2 by 2 pool leaves a quarter of the elements, so f is computed for a quarter, forward and, as this comes before
`gradient`, backward as well; the full-size result of f is never written:

    conv ── add_bias ── relu ── max_pool        28x28, 28x28, 28x28, 14x14
    conv ── max_pool ── add_bias ── relu        28x28, 14x14, 14x14, 14x14

Rounding never falls either, so the numbers are the same to the last bit. Where f makes numbers equal that were not
(relu makes many zeros), another of them may win; f has no slope there, or so little that rounding ate it.

In a network whose blocks join their input to their result, as DenseNet's, the statistics of a part are taken once
rather than in every later block.

Assumes  `gradient` has not run: nobody reads winners. Formulas are those that layers made, not fused yet.
Gives    the same outputs.
Leaves   nodes that nobody needs any more to `rebuild`.
"""

from __future__ import annotations

import numpy as np

from graphdsl.ir import Builder, Graph, Node, Operator, Place, TensorType, Value, rebuild
from graphdsl.ops import Concat, Elementwise, GlobalMaxPool, MaxPool, Moments, Reshape, Sum, expression
from graphdsl.ops.expression import Apply, Expression, Literal, Operand


def shrink(graph: Graph) -> Graph:
    """graph with small before large."""
    if not any(isinstance(node.op, MaxPool | GlobalMaxPool | Concat) for _, node in graph.items()):
        return graph
    pools = _Pools(graph)
    parts = _Parts()

    def rule(b: Builder, name: str, node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if isinstance(node.op, Elementwise):
            return pools.passed(name, operands)
        if isinstance(node.op, MaxPool | GlobalMaxPool):
            return pools.first(b, name, node, operands)
        if isinstance(node.op, Sum | Moments):
            return parts.apart(b, node.op, operands[0])
        return None

    return rebuild(graph, rule)


# --- parts -----------------------------------------------------------------------------------------------------------


class _Parts:
    """Statistics of joined tensors, part by part. A part that is joined itself was met before, or stays whole."""

    def __init__(self) -> None:
        self._known: dict[tuple[Operator, Value], tuple[Value, ...]] = {}

    def apart(self, b: Builder, op: Sum | Moments, x: Value) -> tuple[Value, ...] | None:
        join = b.operation(x)
        if not isinstance(join, Concat) or join.axis in op.axes:
            return None
        each = [self._known.get((op, part)) or b.emit_all(op, part) for part in b.operands(x)]
        made = tuple(b.emit(join, *same) for same in zip(*each, strict=True))
        self._known[op, x] = made
        return made


# --- pools -----------------------------------------------------------------------------------------------------------


class _Pools:
    """Puts pools before the formulas that only they read.

    of     by pool: the formulas it goes before, the last first
    place  by formula: which operand comes from above
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.pinned = {r.value.node for r in graph.results}
        pools = [name for name, node in graph.items() if isinstance(node.op, MaxPool | GlobalMaxPool)]
        self.place: dict[str, int] = {}
        self.of = {name: self._above(name) for name in pools}
        self._operands: dict[str, tuple[Value, ...]] = {}

    def passed(self, name: str, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        """What stands for a formula that is computed later: what it is computed of."""
        if name not in self.place:
            return None
        self._operands[name] = operands
        return (operands[self.place[name]],)

    def first(self, b: Builder, name: str, node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...]:
        """The pool's results, and on them the formulas that stood before it."""
        y, winner = b.emit_all(node.op, *operands, name=name, exact=True)
        for above in reversed(self.of[name]):
            maker, given, place = self.graph.node(above), self._operands[above], self.place[above]
            with b.within(Place(path=above, layer=maker.layer, spans=maker.spans)):
                given = (*given[:place], y, *given[place + 1 :])
                y = b.emit_all(maker.op, *given, name=above, exact=True)[0]
        return y, winner

    def _asks_for_winners(self, pool: str) -> bool:
        read = [v for user in self.graph.users(pool) for v in self.graph.operands(user)]
        return any(v.node == pool and v.port for v in (*read, *(r.value for r in self.graph.results)))

    def _above(self, pool: str) -> list[str]:
        """The formulas that the pool can go before, found on the way up."""
        found: list[str] = []
        if self._asks_for_winners(pool):
            return found
        name, flat = self.graph.operands(pool)[0].node, False
        while name not in self.pinned and len(self.graph.users(name)) == 1:
            op, operands, made = self.graph.node(name).op, self.graph.operands(name), self.graph.value(name).type
            place = _through(op, operands, made, flat)
            if place is None:
                break
            if isinstance(op, Elementwise):
                self.place[name] = place
                found.append(name)
            flat = flat or isinstance(op, Reshape)
            name = operands[place].node
        return found


def _keeps_ends(before: TensorType, after: TensorType) -> bool:
    """Whether a view changes the spatial axes only."""
    return before.rank > 2 and (before.shape[0], before.channels) == (after.shape[0], after.channels)


def _through(op: Operator, operands: tuple[Value, ...], made: TensorType, flat: bool) -> int | None:
    """The one operand that varies over space, where the pool may go before op."""
    if isinstance(op, Reshape):
        return 0 if _keeps_ends(operands[0].type, made) else None
    whole = [i for i, v in enumerate(operands) if v.type.shape == made.shape and v.type.dtype == made.dtype]
    if not isinstance(op, Elementwise) or len(whole) != 1 or not made.dtype.is_float:
        return None
    others = (v.type for i, v in enumerate(operands) if i != whole[0])
    fits = all(t.rank <= 1 or (not flat and t.rank == made.rank and {*t.spatial} == {1}) for t in others)
    return whole[0] if fits and _grows(op.tree, whole[0]) else None


# --- formulas that never fall ----------------------------------------------------------------------------------------

RISING = {"tanh", "logistic", "erf", "exp", "expm1", "softplus", "floor", "sign", "maximum", "minimum", "add"}


def _grows(tree: Expression, index: int) -> bool:
    """Whether the tree never falls where operand index grows."""
    known: dict[Expression, bool | None] = {}
    for part in expression.parts(tree):
        known[part] = _direction(part, index, known)
    return known[tree] is True


def _direction(part: Expression, index: int, known: dict[Expression, bool | None]) -> bool | None:
    """True: it never falls; False: it does not depend on the operand; None: who knows."""
    if not isinstance(part, Apply):
        return part == Operand(index)
    given = [known[a] for a in part.arguments]
    if not any(g is not False for g in given):
        return False
    match part:
        case Apply(name, _) if name in RISING and None not in given:
            return True
        case Apply("subtract", _) if given == [True, False]:
            return True
        case Apply("multiply", (Literal(factor), _)) if factor >= 0 and given[1]:
            return True
        case Apply("multiply" | "divide", (_, Literal(factor))) if factor > 0 and given[0]:
            return True
        case Apply("where", (Apply("greater", (Operand(i), Literal(limit))), above, below)) if i == index:
            return True if known[above] and known[below] and _meets(above, below, index, limit) else None
    return None


def _meets(above: Expression, below: Expression, index: int, limit: float) -> bool:
    """Whether going from one formula to the other at limit is no fall. Both are of the operand alone."""
    if {*expression.operands_of(above), *expression.operands_of(below)} != {index}:
        return False
    at = [np.asarray(limit)] * (index + 1)
    return bool(expression.compute(above, at) >= expression.compute(below, at))
