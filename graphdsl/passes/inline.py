"""Pass for machines: small formulas are worked out again wherever they are read.

The reverse of `hoist`, for machines on which an operation of its own costs more than the same work done again for every
element. A GPU needs microseconds to begin anything, and waits for memory while it could calculate:

    factor = gamma / sqrt(variance + eps)     [64]
    y = (x - mean) * factor                   [batch, 28, 28, 64]

    y = (x - mean) * (gamma / sqrt(variance + eps))        one operation, and none that y waits for

Small are formulas of floats whose size no batch decides, up to SMALL elements, of plain arithmetic and roots.

Assumes  `fuse` has run.
Gives    the same numbers, but for what a machine rounds otherwise in a longer formula.
Leaves   small formulas that others than formulas read, that are results, or that would make their readers too large.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from math import prod

from graphdsl.ir import Builder, Graph, Node, TensorType, Value, rebuild
from graphdsl.ops import Elementwise, expression
from graphdsl.ops.expression import Apply, Expression, Operand

SMALL = 1 << 14
MOST_WORK = 40
"""Scalar operations of a reader."""
MOST_OPERANDS = 8
SLOW = {
    *("exp", "expm1", "log", "log1p", "tanh", "erf", "sin", "cos", "logistic", "softplus", "power"),
    *("tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh"),
}
"""Not worth doing again."""


def inline(graph: Graph) -> Graph:
    """graph with small formulas in their readers."""
    return rebuild(graph, partial(_rule, {result.value.node for result in graph.results}))


def _rule(
    pinned: Collection[str], b: Builder, name: str, node: Node, operands: tuple[Value, ...]
) -> tuple[Value, ...] | None:
    op = node.op
    if not isinstance(op, Elementwise) or not node.types[0].dtype.is_float:
        return None
    tree, reads = op.tree, operands
    for value in operands:
        inner = b.operation(value)
        if value.node in pinned or not isinstance(inner, Elementwise) or not _small(b, value, inner, node.types[0]):
            continue
        wider, more = _put_in(tree, reads, value, inner.tree, b.operands(value))
        if expression.work(wider) <= MOST_WORK and len(more) <= MOST_OPERANDS:
            tree, reads = wider, more
    if reads == operands:
        return None
    return b.emit_all(Elementwise(tree, len(reads), op.kind, op.title), *reads, name=name, exact=True, types=node.types)


def _small(b: Builder, value: Value, inner: Elementwise, made: TensorType) -> bool:
    """Whether the formula of value is small, quick, and of numbers like those that are made."""
    shape = value.type.shape
    sizes = [size for size in shape if isinstance(size, int)]
    if len(sizes) < len(shape) or prod(sizes) > SMALL:
        return False
    slow = any(isinstance(p, Apply) and p.function in SLOW for p in expression.parts(inner.tree))
    return not slow and all(v.type.dtype == made.dtype for v in (value, *b.operands(value)))


def _put_in(
    tree: Expression, reads: Sequence[Value], value: Value, inner: Expression, operands: Sequence[Value]
) -> tuple[Expression, tuple[Value, ...]]:
    """The tree over reads, and what it reads, with inner (over operands) in place of value."""
    more = tuple(dict.fromkeys((*(v for v in reads if v != value), *operands)))
    places: dict[Value, Expression] = {v: Operand(number) for number, v in enumerate(more)}
    own = expression.substitute(inner, [places[v] for v in operands])
    return expression.substitute(tree, [own if v == value else places[v] for v in reads]), more
