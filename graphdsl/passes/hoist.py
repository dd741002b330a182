"""Pass: what is the same for many elements is computed once for them.

A formula over a large tensor often holds a part that reads small ones only. Such a part is taken out and computed at
its own size:

    (d - mean) / sqrt(variance + eps)     [batch, 100, 64], variance [batch, 100, 1]
    root = sqrt(variance + eps)           [batch, 100, 1]
    (d - mean) / root                     64 times fewer roots

The largest such parts are taken, and only where they save more work than an operation of its own costs; equal parts of
several formulas become one. Nothing is computed in another order, so the numbers stay as they are.

Assumes  formulas as they come, before `fuse`: later they would hold the same parts, and more of them.
Gives    the same numbers.
Leaves   small formulas to `fuse`, which merges neighbours of one shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from graphdsl.ir import Builder, Dim, Graph, Node, TensorType, Value, evaluate, names_of, rebuild
from graphdsl.ops import Elementwise, broadcast, expression, over
from graphdsl.ops.expression import Apply, Expression, Operand

LEAST_SAVED = 8192
"""Scalar operations, for samples in batches of TYPICAL."""
TYPICAL = 32
SLOW = {
    *("exp", "expm1", "log", "log1p", "sqrt", "tanh", "erf", "sin", "cos", "logistic", "softplus", "power", "divide"),
    *("tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh"),
}
SLOWER = 8
"""How many additions one of them is worth."""


def hoist(graph: Graph) -> Graph:
    """graph with parts of formulas at their own size."""
    found = {name: parts for name, node in graph.items() if (parts := _parts(node, graph.operands(name)))}
    return rebuild(graph, partial(_rule, found)) if found else graph


def _rule(
    found: Mapping[str, Sequence[Apply]], b: Builder, name: str, node: Node, operands: tuple[Value, ...]
) -> tuple[Value, ...] | None:
    if name not in found:
        return None
    assert isinstance(node.op, Elementwise)
    tree, values = node.op.tree, list(operands)
    for part in found[name]:
        tree = expression.replaced(tree, part, Operand(len(values)))
        values.append(over(b, part, operands, node.op.title))
    used = expression.operands_of(tree)
    places = [Operand(used.index(i)) if i in used else Operand(0) for i in range(len(values))]
    op = Elementwise(expression.substitute(tree, places), len(used), node.op.kind, node.op.title)
    return b.emit_all(op, *(values[i] for i in used), name=name, exact=True)


def _parts(node: Node, operands: tuple[Value, ...]) -> list[Apply]:
    """The largest parts of a formula that are worth computing apart."""
    found: list[Apply] = []
    made, types = node.types[0], [v.type for v in operands]
    if not isinstance(node.op, Elementwise) or not made.dtype.is_float or len({t.shape for t in types}) < 2:
        return found
    tree = node.op.tree
    waiting = [tree]
    seen: set[Expression] = set()
    while waiting:
        part = waiting.pop()
        if part in seen or not isinstance(part, Apply):
            continue
        seen.add(part)
        if part is not tree and _worth(part, made, types):
            found.append(part)
        else:
            waiting.extend(reversed(part.arguments))
    return found


def _worth(part: Apply, made: TensorType, types: list[TensorType]) -> bool:
    """Whether the part is of floats that are fewer than what is made, and saves enough."""
    read = [types[i] for i in expression.operands_of(part)]
    if not read or expression.gives_truth(part) or any(t.dtype != made.dtype for t in read):
        return False
    saved = _count(made.shape) - _count(broadcast("part", [t.shape for t in read]))
    work = sum(SLOWER if p.function in SLOW else 1 for p in expression.parts(part) if isinstance(p, Apply))
    return saved * work >= LEAST_SAVED


def _count(shape: tuple[Dim, ...]) -> int:
    """How many elements there are, free sizes being typical ones."""
    count = 1
    for size in shape:
        count *= int(evaluate(size, dict.fromkeys(names_of(size), TYPICAL)))
    return count
