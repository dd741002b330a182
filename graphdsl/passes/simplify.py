"""Pass: the same numbers from less.

Four rewrites, in one fold over the graph, repeated while they find something (at most ROUNDS times):

    softmax -> crossentropy     one stable operation, by Operator.simplify of the operator that stands last
    2 * (3 * one)               a constant, computed here by the operator's own meaning
    where(finite, x, 0) + 0     formulas take scalar constants in as numbers, which `expression.call` then simplifies;
                                a formula that is just one of its operands gives way to it
    stretch(x, [batch, 10]) * y x * y where the result has the same shape: formulas stretch by themselves

Equal operations on equal operands become one, and what no result needs is left out: both by `rebuild`.

Assumes  nothing. Operators are asked one by one and see only what is before them.
Gives    a graph with the same results, of the same types, with at most as many nodes.
Leaves   merging formulas with one another to `fuse`: here no value that somebody reads twice is computed twice.
"""

from __future__ import annotations

from math import prod

from graphdsl.ir import Builder, Constant, Fusion, Graph, Node, Value, rebuild
from graphdsl.ops import Broadcast, Elementwise, expression

ROUNDS = 4
LARGEST_CONSTANT = 65_536
"""How many numbers a constant computed here may hold."""


def simplify(graph: Graph) -> Graph:
    """graph with every rewrite done that applies."""
    for _ in range(ROUNDS):
        found = 0

        def rule(b: Builder, name: str, node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
            nonlocal found
            new = _rewritten(b, name, node, operands)
            found += new is not None
            return None if new is None else (new,)

        graph = rebuild(graph, rule)
        if not found:
            break
    return graph


def _rewritten(b: Builder, name: str, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """What may stand for the node's only result."""
    if len(node.types) != 1 or node.op.fusion is Fusion.SOURCE:
        return None
    new = node.op.simplify(b, operands) or _folded(b, name, node, operands)
    if new is None and isinstance(node.op, Elementwise):
        new = _formula(b, name, node, node.op, operands)
    return new if new is not None and new.type == node.types[0] else None


def _folded(b: Builder, name: str, node: Node, operands: tuple[Value, ...]) -> Value | None:
    (made,) = node.types
    if not node.op.pure or not all(isinstance(d, int) for d in made.shape) or prod(made.shape) > LARGEST_CONSTANT:
        return None
    constants = [op for v in operands if isinstance(op := b.operation(v), Constant)]
    if len(constants) < len(operands):
        return None
    array = node.op.reference(*(c.reference() for c in constants))
    assert not isinstance(array, tuple)
    return b.emit_all(Constant(made, array.astype(made.dtype.numpy).tobytes()), name=name, exact=True)[0]


def _formula(
    b: Builder, name: str, node: Node, op: Elementwise, operands: tuple[Value, ...]
) -> Value | None:
    """The formula with fewer or smaller operands, or the operand that it is."""
    if isinstance(op.tree, expression.Operand):
        return operands[op.tree.index]
    trees: list[expression.Expression] = []
    kept: list[Value] = []
    for value in operands:
        number = _number(b, value)
        trees.append(expression.Operand(len(kept)) if number is None else expression.Literal(number))
        kept += [_unstretched(b, value)] if number is None else []
    if kept == list(operands) or not kept:
        return None
    tree = expression.substitute(op.tree, trees) if len(kept) < len(operands) else op.tree
    new = Elementwise(tree, len(kept), op.kind, op.title)
    if new.type(*(v.type for v in kept)) != node.types[0]:
        return None
    return b.emit_all(new, *kept, name=name, exact=True)[0]


def _number(b: Builder, value: Value) -> float | None:
    made = b.operation(value)
    return made.number if isinstance(made, Constant) and value.type.dtype.is_float else None


def _unstretched(b: Builder, value: Value) -> Value:
    return b.operands(value)[0] if isinstance(b.operation(value), Broadcast) else value
