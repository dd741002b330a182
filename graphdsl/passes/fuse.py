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

Not merged: results, which must exist in memory; formulas smaller than what they flow into, which would be computed
again for every element; whole numbers, where each step rounds; homes that would grow beyond MOST_WORK or MOST_OPERANDS.

Assumes  `simplify` has run (equal formulas are one node).
Gives    the same results, bit by bit as far as machines round a formula alike.
Leaves   sums and matrix products to backends, which may take formulas in as their epilogue.
"""

from __future__ import annotations

from dataclasses import field

from graphdsl.ir import Builder, DType, Graph, Node, Place, TensorType, Value
from graphdsl.ops import Elementwise, expression
from graphdsl.report import dataclass

MOST_WORK = 40
"""Scalar operations in one formula."""
MOST_OPERANDS = 8
CHEAP = 2
"""Scalar operations that may be done again rather than remembered."""
MOST_HOMES = 3


def fuse(graph: Graph) -> Graph:
    """graph with as few formulas as is worth it."""
    needed = graph.needed()
    names = [name for name in graph if name in needed]
    merged = _homes(graph, names).merged
    b = Builder(merge=True)
    new: dict[str, tuple[Value, ...]] = {}
    waiting: dict[str, _Formula] = {}
    for name in names:
        node = graph.node(name)
        operands = graph.operands(name)
        formula = _merge(node.op, operands, new, waiting) if isinstance(node.op, Elementwise) else None
        if formula is not None and name in merged:
            waiting[name] = formula
            continue
        with b.within(Place(path=name, weights=name, layer=node.layer, spans=node.spans)):
            if formula is not None:
                new[name] = b.emit_all(formula.op, *formula.operands, name=name, exact=True, types=node.types)
            else:
                new[name] = b.emit_all(node.op, *(new[v.node][v.port] for v in operands), name=name, exact=True)
    for result in graph.results:
        b.result(result.name, result.role, new[result.value.node][result.value.port])
    return b.finish()


@dataclass(frozen=True)
class _Formula:
    """A formula over values of the new graph, not emitted yet."""

    op: Elementwise
    operands: tuple[Value, ...]


def _merge(
    op: Elementwise, operands: tuple[Value, ...], new: dict[str, tuple[Value, ...]], waiting: dict[str, _Formula]
) -> _Formula:
    """op with the waiting formulas among its operands put in."""
    if not any(v.node in waiting for v in operands):
        return _Formula(op, tuple(new[v.node][v.port] for v in operands))
    places: dict[Value, expression.Expression] = {}
    trees = []
    titles = []
    for value in operands:
        inner = waiting.get(value.node)
        if inner is None:
            trees.append(_place(places, new[value.node][value.port]))
            continue
        titles.append(inner.op.title)
        trees.append(expression.substitute(inner.op.tree, [_place(places, v) for v in inner.operands]))
    title = "+".join(dict.fromkeys(part for t in (*titles, op.title) for part in t.split("+")))
    return _Formula(Elementwise(expression.substitute(op.tree, trees), len(places), op.kind, title), tuple(places))


def _place(places: dict[Value, expression.Expression], value: Value) -> expression.Expression:
    return places.setdefault(value, expression.Operand(len(places)))


@dataclass
class _Homes:
    """Where each formula is computed.

    merged   the formulas that vanish into others
    of       the homes of a formula: itself when it stays
    work     scalar operations in a home
    outside  what a home reads
    """

    merged: set[str] = field(default_factory=set)
    of: dict[str, frozenset[str]] = field(default_factory=dict)
    work: dict[str, int] = field(default_factory=dict)
    outside: dict[str, set[Value]] = field(default_factory=dict)

    def stay(self, name: str, op: Elementwise, operands: tuple[Value, ...]) -> None:
        self.of[name] = frozenset([name])
        self.work[name] = expression.work(op.tree)
        self.outside[name] = set(operands)

    def fits(self, home: str, value: Value, op: Elementwise, operands: tuple[Value, ...]) -> bool:
        reads = (self.outside[home] | set(operands)) - {value}
        return self.work[home] + expression.work(op.tree) <= MOST_WORK and len(reads) <= MOST_OPERANDS

    def join(self, homes: frozenset[str], value: Value, op: Elementwise, operands: tuple[Value, ...]) -> None:
        self.merged.add(value.node)
        self.of[value.node] = homes
        for home in homes:
            self.work[home] += expression.work(op.tree)
            self.outside[home] = (self.outside[home] | set(operands)) - {value}


def _homes(graph: Graph, names: list[str]) -> _Homes:
    found = _Homes()
    pinned = {r.value.node for r in graph.results}
    kept = set(names)
    for name in reversed(names):
        op = graph.node(name).op
        if not isinstance(op, Elementwise):
            continue
        value, operands = graph.value(name), graph.operands(name)
        users = [u for u in graph.users(name) if u in kept]
        homes = frozenset([h for u in users for h in found.of.get(u, ())])
        may = name not in pinned and all(_takes(graph.node(u), value.type, operands) for u in users)
        if may and _worth(op, value, operands, homes) and all(found.fits(h, value, op, operands) for h in homes):
            found.join(homes, value, op, operands)
        else:
            found.stay(name, op, operands)
    return found


def _takes(user: Node, made: TensorType, operands: tuple[Value, ...]) -> bool:
    """Whether a producer's formula may be written into the user's: same elements, same rounding."""
    wanted = user.types[0]
    if not isinstance(user.op, Elementwise) or wanted.shape != made.shape:
        return False
    if made.dtype is DType.BOOL:
        return wanted.dtype.is_float and all(v.type.dtype.size <= wanted.dtype.size for v in operands)
    return made.dtype.is_float


def _worth(op: Elementwise, value: Value, operands: tuple[Value, ...], homes: frozenset[str]) -> bool:
    """One home is always worth it; several, where next to nothing is computed or read again."""
    full = sum(v.type.shape == value.type.shape for v in operands)
    return len(homes) == 1 or (1 < len(homes) <= MOST_HOMES and full <= 1 and expression.work(op.tree) <= CHEAP)
