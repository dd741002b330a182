"""Pass: sums over less.

What is the same for everything that is summed need not be summed, and what is known to be zero need not be looked at:

    sum(c * f)              c * sum(f)               c does not vary along the summed axes; -f and f / c likewise
    sum(stretch(c))         c * how many
    sum(put_winners(d, w))  sum(d)                   over all places: everything else there is 0

The first two halve what batch normalisation does backward. Its four sums are two, each of them used twice:

    Σ -(g * f)      gradient of the mean    ─┐        ┌─ -f * Σ g
    Σ g             gradient of beta        ─┤   =>   ├─ Σ g
    Σ (x - m) * g   gradient of the factor  ─┘        └─ Σ (x - m) * g

A factor is taken out of a formula that others read too only where what is left lies in memory anyway.

Assumes  `simplify` has run (formulas stretch their operands by themselves).
Gives    the same results but for rounding.
Leaves   equal sums to be one, which `rebuild` sees to; sums and formulas in one go to `reduced`.
"""

from __future__ import annotations

from functools import partial
from math import prod

from graphdsl.ir import Builder, Graph, Node, Value, rebuild
from graphdsl.ops import (
    Broadcast,
    Elementwise,
    MaxPoolGradient,
    PutWinners,
    Reshape,
    Sum,
    broadcast_to,
    counted,
    expression,
    over,
    reshape,
    sum_over,
)
from graphdsl.ops.expression import Apply, Expression, Literal, Operand


def sums(graph: Graph) -> Graph:
    """graph with its sums over as little as possible."""
    pinned = {r.value.node for r in graph.results}
    summed = {
        name
        for name, node in graph.items()
        if isinstance(node.op, Elementwise) and name not in pinned and _only_sums(graph, name)
    }
    return rebuild(graph, partial(_rule, graph, summed))


def _only_sums(graph: Graph, name: str) -> bool:
    return all(isinstance(graph.node(user).op, Sum) for user in graph.users(name))


def _rule(
    graph: Graph, summed: set[str], b: Builder, name: str, node: Node, operands: tuple[Value, ...]
) -> tuple[Value, ...] | None:
    op = node.op
    if not isinstance(op, Sum) or not node.types[0].dtype.is_float:
        return None
    (x,) = operands
    made: Value | None
    match b.operation(x):
        case Broadcast():
            made = _stretched(b, op.axes, x, *b.operands(x))
        case Elementwise() as inner:
            made = _factored(b, op.axes, x, inner, graph.operands(name)[0].node in summed)
        case _:
            made = _winners(b, op.axes, x)
    return None if made is None else (made,)


# --- factors ---------------------------------------------------------------------------------------------------------


def _factored(b: Builder, axes: tuple[int, ...], x: Value, inner: Elementwise, free: bool) -> Value | None:
    """sum(x) with what does not vary in front. free: nobody else needs x."""
    values = b.operands(x)
    fixed = frozenset(i for i, v in enumerate(values) if not any(_varies(v, x, a) for a in axes))
    factor, rest = _split(inner.tree, fixed)
    if rest == Literal(1.0):
        return _total(b, axes, x, factor, values)
    if factor == Literal(1.0):
        return None
    if isinstance(rest, Operand):
        left = values[rest.index]
        free = free or not isinstance(b.operation(left), Elementwise)
    else:
        left = over(b, rest, values, inner.title) if free else x
    whole = all(_varies(left, x, a) for a in axes if x.type.shape[a] != 1)
    if not free or not whole or left.type.rank != x.type.rank:
        return None
    total = sum_over(b, left, axes, keep=True)
    return over(b, factor * Operand(len(values)), (*values, total), "factor") if total.type.rank else None


def _varies(value: Value, x: Value, axis: int) -> bool:
    """Whether value, stretched to x, differs along an axis of x."""
    own = axis - (x.type.rank - value.type.rank)
    return own >= 0 and value.type.shape[own] != 1


def _split(tree: Expression, fixed: frozenset[int]) -> tuple[Expression, Expression]:
    """The tree as a product: what reads fixed operands only, and the rest."""
    one = Literal(1.0)
    if fixed.issuperset(expression.operands_of(tree)):
        return tree, one
    match tree:
        case Apply("multiply", (a, c)):
            first, rest = _split(a, fixed)
            second, other = _split(c, fixed)
            return first * second, rest * other
        case Apply("divide", (a, c)) if fixed.issuperset(expression.operands_of(c)):
            factor, rest = _split(a, fixed)
            return factor / c, rest
        case Apply("negative", (a,)):
            factor, rest = _split(a, fixed)
            return -factor, rest
    return one, tree


def _stretched(b: Builder, axes: tuple[int, ...], x: Value, c: Value) -> Value:
    """The sum over axes of x, which is c stretched: c summed along those that it has, times how many the others are."""
    own = tuple(a for a in axes if _varies(c, x, a))
    first = x.type.rank - c.type.rank
    left = sum_over(b, c, tuple(a - first for a in own), keep=True)
    return _total(b, axes, x, Operand(0), (left,), tuple(a for a in axes if a not in own))


def _total(
    b: Builder,
    axes: tuple[int, ...],
    x: Value,
    tree: Expression,
    values: tuple[Value, ...],
    same: tuple[int, ...] | None = None,
) -> Value:
    """The sum over axes of x, which is tree everywhere along them. same: tree is summed along the others already."""
    shape = tuple(1 if a in axes else s for a, s in enumerate(x.type.shape))
    count = counted(b, x, axes if same is None else same)
    made = over(b, tree * Operand(len(values)), (*values, count), "total")
    alike = prod(made.type.shape, start=1) == prod(shape, start=1)
    return reshape(b, made, shape) if alike else broadcast_to(b, made, shape)


# --- winners ---------------------------------------------------------------------------------------------------------


def _winners(b: Builder, axes: tuple[int, ...], x: Value) -> Value | None:
    """The sum over all places of what was put where winners stood: reshape(put_winners(d, w)) too."""
    put = b.operands(x)[0] if isinstance(b.operation(x), Reshape) else x
    ends = (put.type.shape[0], put.type.channels) == (x.type.shape[0], x.type.channels)
    if not isinstance(b.operation(put), PutWinners | MaxPoolGradient) or not ends:
        return None
    if not {*range(1, x.type.rank - 1)} <= {*axes}:
        return None
    d = b.operands(put)[0]
    last = d.type.rank - 1
    own = (*(a for a in axes if a == 0), *range(1, last), *(last for a in axes if a == x.type.rank - 1))
    return reshape(b, sum_over(b, d, own, keep=True), tuple(1 if a in axes else s for a, s in enumerate(x.type.shape)))
