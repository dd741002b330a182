"""Pass: the same numbers from less.

Four rewrites in one fold over the graph. Operands come before what uses them, and what a rewrite gives is looked at
again, so one fold does:

    softmax -> crossentropy     one stable operation, by Operator.simplify of the operator that stands last
    2 * (3 * one)               a constant, computed here by the operator's own meaning
    where(finite, x, 0) + 0     formulas take constants in as numbers, which `expression.call` then simplifies;
                                a formula that is just one of its operands gives way to it
    stretch(x, [batch, 10]) * y x * y where the result has the same shape: formulas stretch by themselves, and a single
                                number through views, too

Equal operations on equal operands become one, and what no result needs is left out: both by `rebuild`.

Assumes  nothing. Operators are asked one by one and see only what is before them.
Gives    a graph with the same results, of the same types, with at most as many nodes.
Leaves   merging formulas with one another to `fuse`: here no value that somebody reads twice is computed twice.
"""

from __future__ import annotations

import numpy as np

from graphdsl.ir import Builder, Constant, Fusion, Graph, Node, Operator, TensorType, Value, rebuild
from graphdsl.ops import Broadcast, Elementwise, Reshape, expression, reshape

MOST_REWRITES = 16
"""Of one node, one after another."""
LARGEST_CONSTANT = 65_536
"""How many numbers a constant computed here may hold."""


def simplify(graph: Graph) -> Graph:
    """graph with every rewrite done that applies."""
    return rebuild(graph, _rule)


def _rule(b: Builder, name: str, node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
    op, found = node.op, None
    for _ in range(MOST_REWRITES):
        new = _rewritten(b, name, op, node.types, operands)
        if new is None:
            break
        found, op, operands = new, b.operation(new), b.operands(new)
    return None if found is None else (found,)


def _rewritten(
    b: Builder, name: str, op: Operator, types: tuple[TensorType, ...], operands: tuple[Value, ...]
) -> Value | None:
    """What may stand for the only result of op."""
    if len(types) != 1 or op.fusion is Fusion.SOURCE:
        return None
    new = op.simplify(b, operands) or _folded(b, name, op, types[0], operands)
    if new is None and isinstance(op, Elementwise):
        new = _formula(b, name, op, types[0], operands)
    return new if new is not None and new.type == types[0] else None


def _folded(b: Builder, name: str, op: Operator, made: TensorType, operands: tuple[Value, ...]) -> Value | None:
    if not op.pure or not isinstance(made.count, int) or made.count > LARGEST_CONSTANT:
        return None
    constants = [c for c in map(b.operation, operands) if isinstance(c, Constant)]
    if len(constants) < len(operands):
        return None
    array = op.reference(*(c.reference() for c in constants))
    assert not isinstance(array, tuple)
    return b.emit_all(Constant(made, array.astype(made.dtype.numpy).tobytes()), name=name, exact=True)[0]


def _formula(b: Builder, name: str, op: Elementwise, made: TensorType, operands: tuple[Value, ...]) -> Value | None:
    """The formula with fewer or smaller operands, or the operand that it is."""
    if isinstance(op.tree, expression.Operand):
        return operands[op.tree.index]
    trees: list[expression.Expression] = []
    places: dict[Value, int] = {}
    for value in operands:
        number = _number(b, value)
        if number is not None:
            trees.append(expression.Literal(number))
        else:
            trees.append(expression.Operand(places.setdefault(_unstretched(b, value), len(places))))
    kept = list(places)
    if kept == list(operands) or not kept:
        return None
    tree = expression.substitute(op.tree, trees) if len(kept) < len(operands) else op.tree
    new = Elementwise(tree, len(kept), op.kind, op.title)
    if new.type(*(v.type for v in kept)) != made:
        return None
    return b.emit_all(new, *kept, name=name, exact=True)[0]


def _number(b: Builder, value: Value) -> float | None:
    """The number that all elements of a float constant are."""
    made = b.operation(value)
    if not isinstance(made, Constant) or not value.type.dtype.is_float:
        return None
    first = made.data[: value.type.dtype.size]
    alike = bool(first) and made.data == first * (len(made.data) // len(first))
    return float(np.frombuffer(first, value.type.dtype.numpy)[0]) if alike else None


def _unstretched(b: Builder, value: Value) -> Value:
    """What was stretched; a single number also through views."""
    found = value
    while isinstance(b.operation(found), Broadcast | Reshape):
        (found,) = b.operands(found)
    if found.type.count == 1 != value.type.count:
        return reshape(b, found, ())
    return b.operands(value)[0] if isinstance(b.operation(value), Broadcast) else value
