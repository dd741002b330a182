"""Pass: chains of formulas become one formula.

Memory traffic, not arithmetic, is what element-wise operations cost, so neighbours are merged by putting the producer's
formula into the consumer's. Which ones follows from one sweep backward. Every formula has homes, the nodes it will be
computed in:

    a = exp(x) ─┬─> b = a * 2 ─┐            d, a result, is its own home
                └─> c = a + 1 ─┴─> d = b*c  b and c have one user each: their home is d
                                            both users of a live in d: so does a, computed once (equal parts are shared)

That is the region a node dominates backward (its home is its immediate post-dominator among formulas), found without
building the dominator tree. A formula with several homes is computed in each of them if that is nearly free: few scalar
operations and at most one operand of full size, so that nothing more is read than before. x + bias before two
activations is such a case: each adds for itself, and the sum is never written.

Sums of formulas (`Reduced`, where a machine asks for them) are homes too: what is summed is then never written. There
more work may be done again, as everything is read anyway: up to CHEAP_TO_SUM scalar operations.

Not merged: results, which must exist in memory; formulas smaller than what they flow into, which would be computed
again for every element; whole numbers, where each step rounds; homes that would grow beyond MOST_WORK or MOST_OPERANDS.

Assumes  `simplify` has run (equal formulas are one node).
Gives    the same results, bit by bit as far as machines round a formula alike.
Leaves   sums and matrix products to backends, which may take formulas in as their epilogue.
"""

from __future__ import annotations

from dataclasses import field

from graphdsl.ir import Builder, DType, Graph, Node, Operator, Place, TensorType, Value
from graphdsl.ops import Elementwise, Reduced, Sum, broadcast, expression
from graphdsl.ops.expression import Expression
from graphdsl.report import dataclass

MOST_WORK = 40
"""Scalar operations in one formula."""
MOST_OPERANDS = 8
CHEAP = 2
"""Scalar operations that may be done again rather than remembered."""
CHEAP_TO_SUM = 6
MOST_HOMES = 3


def fuse(graph: Graph, *, sums: bool = False) -> Graph:
    """graph with as few formulas as is worth it. sums: every sum over floats becomes a home, a Reduced."""
    needed = graph.needed()
    ops = {name: _opened(node, sums) for name, node in graph.items() if name in needed}
    merged = _homes(graph, ops).merged
    b = Builder(merge=True)
    new: dict[str, tuple[Value, ...]] = {}
    waiting: dict[str, _Formula] = {}
    for name, op in ops.items():
        node, operands = graph.node(name), graph.operands(name)
        formula = _merge(op, operands, new, waiting) if isinstance(op, Elementwise | Reduced) else None
        if formula is not None and name in merged:
            assert isinstance(formula.op, Elementwise)
            waiting[name] = formula
            continue
        with b.within(Place(path=name, weights=name, layer=node.layer, spans=node.spans)):
            if formula is not None:
                new[name] = b.emit_all(formula.op, *formula.operands, name=name, exact=True, types=node.types)
            else:
                given = [new[v.node][v.port] for v in operands]
                new[name] = b.emit_all(op, *given, name=name, exact=True, types=node.types)
    for result in graph.results:
        b.result(result.name, result.role, new[result.value.node][result.value.port])
    return b.finish()


def _opened(node: Node, sums: bool) -> Operator:
    """The operator; a sum as the sum of the formula "operand 0"."""
    if sums and isinstance(node.op, Sum) and node.types[0].dtype.is_float:
        return Reduced(node.op.axes, (expression.Operand(0),), 1)
    return node.op


@dataclass(frozen=True)
class _Formula:
    """A formula, or a sum of formulas, over values of the new graph, not emitted yet."""

    op: Elementwise | Reduced
    operands: tuple[Value, ...]


def _merge(
    op: Elementwise | Reduced,
    operands: tuple[Value, ...],
    new: dict[str, tuple[Value, ...]],
    waiting: dict[str, _Formula],
) -> _Formula:
    """op with the waiting formulas among its operands put in."""
    if not any(v.node in waiting for v in operands):
        return _Formula(op, tuple(new[v.node][v.port] for v in operands))
    places: dict[Value, Expression] = {}
    trees: list[Expression] = []
    titles: list[str] = []
    for value in operands:
        found = waiting.get(value.node)
        if found is None:
            trees.append(_place(places, new[value.node][value.port]))
            continue
        assert isinstance(found.op, Elementwise)
        titles.append(found.op.title)
        trees.append(expression.substitute(found.op.tree, [_place(places, v) for v in found.operands]))
    if isinstance(op, Reduced):
        formulas = tuple(expression.substitute(tree, trees) for tree in op.formulas)
        return _Formula(Reduced(op.axes, formulas, len(places)), tuple(places))
    title = "+".join(dict.fromkeys(part for t in (*titles, op.title) for part in t.split("+")))
    return _Formula(Elementwise(expression.substitute(op.tree, trees), len(places), op.kind, title), tuple(places))


def _place(places: dict[Value, Expression], value: Value) -> Expression:
    return places.setdefault(value, expression.Operand(len(places)))


@dataclass
class _Homes:
    """Where each formula is computed.

    merged   the formulas that vanish into others
    of       the homes of a formula: itself when it stays
    work     scalar operations in a home
    outside  what a home reads
    sums     the axes of homes that are sums: those over the same axes will be one
    """

    merged: set[str] = field(default_factory=set)
    of: dict[str, frozenset[str]] = field(default_factory=dict)
    work: dict[str, int] = field(default_factory=dict)
    outside: dict[str, set[Value]] = field(default_factory=dict)
    sums: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def stay(self, name: str, op: Elementwise | Reduced, operands: tuple[Value, ...]) -> None:
        self.of[name] = frozenset([name])
        self.work[name] = expression.work_of_all(op.formulas) if isinstance(op, Reduced) else expression.work(op.tree)
        self.outside[name] = set(operands)
        if isinstance(op, Reduced):
            self.sums[name] = op.axes

    def fits(self, home: str, value: Value, op: Elementwise, operands: tuple[Value, ...]) -> bool:
        reads = (self.outside[home] | set(operands)) - {value}
        return self.work[home] + expression.work(op.tree) <= MOST_WORK and len(reads) <= MOST_OPERANDS

    def join(self, homes: frozenset[str], value: Value, op: Elementwise, operands: tuple[Value, ...]) -> None:
        self.merged.add(value.node)
        self.of[value.node] = homes
        for home in homes:
            self.work[home] += expression.work(op.tree)
            self.outside[home] = (self.outside[home] | set(operands)) - {value}

    def worth(self, op: Elementwise, value: Value, operands: tuple[Value, ...], homes: frozenset[str]) -> bool:
        """One home is always worth it; several, where next to nothing is computed or read again."""
        if len(homes) < 2:
            return bool(homes)
        full = sum(v.type.shape == value.type.shape for v in operands)
        cheap = CHEAP_TO_SUM if any(h in self.sums for h in homes) else CHEAP
        several = len({self.sums.get(h, h) for h in homes})
        return several <= MOST_HOMES and full <= 1 and expression.work(op.tree) <= cheap


def _homes(graph: Graph, ops: dict[str, Operator]) -> _Homes:
    found = _Homes()
    pinned = {r.value.node for r in graph.results}
    for name in reversed(ops):
        op, operands = ops[name], graph.operands(name)
        if isinstance(op, Reduced):
            found.stay(name, op, operands)
        if not isinstance(op, Elementwise):
            continue
        value = graph.value(name)
        users = [u for u in graph.users(name) if u in ops]
        homes = frozenset([h for u in users for h in found.of.get(u, ())])
        may = name not in pinned and all(_takes(graph, u, ops[u], value.type, operands) for u in users)
        if may and found.worth(op, value, operands, homes) and all(found.fits(h, value, op, operands) for h in homes):
            found.join(homes, value, op, operands)
        else:
            found.stay(name, op, operands)
    return found


def _takes(graph: Graph, user: str, op: Operator, made: TensorType, operands: tuple[Value, ...]) -> bool:
    """Whether a producer's formula may be written into the user's: same elements, same rounding."""
    node = graph.node(user)
    match op:
        case Elementwise():
            shape = node.types[0].shape
        case Reduced():
            shape = broadcast(op.name, [v.type.shape for v in graph.operands(user)])
        case _:
            return False
    if shape != made.shape:
        return False
    wanted = node.types[0].dtype
    if made.dtype is DType.BOOL:
        return wanted.is_float and all(v.type.dtype.size <= wanted.size for v in operands)
    return made.dtype.is_float
