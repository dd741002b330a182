"""Pass for machines: formulas ride on the convolution or product whose result they change.

A kernel that has just computed a tile of its result holds it in registers. Bias, activation, the sum with a skip
connection or the mask of a relu cost next to nothing there; as an operation of their own they read and write memory:

    conv ─ y ─┐                               conv, max(y + bias + skip, 0)
    bias ─────┼─ formula ── z      =>         x, kernel, bias, skip ── fused ── z
    skip ─────┘

A producer takes the formula that is its only user, of the same shape. Views between them move behind the formula: what
has the formula's shape is seen in the producer's, which is free, and so is the result:

    matmul [b*T, n] ── reshape [b, T, n] ── tanh(y + bias)     =>     fused [b*T, n] ── reshape [b, T, n]

    conv ────────── y ─┐                      of two producers that meet in a formula, the later takes it;
    conv ── conv ── z ─┴─ y + z               the earlier's result is there by then

New values of weights are left alone: they are written into the weight itself, element by element, as formulas are.

Assumes  `fuse` has run.
Gives    Fused where a formula has a producer; the same numbers.
Leaves   formulas on other operators; those kernels gain too little.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from graphdsl.ir import Builder, Graph, Node, Role, Value, rebuild
from graphdsl.ops import Conv, ConvInputGradient, Elementwise, Fused, MatMul, Reshape, reshape

PRODUCERS = (Conv, ConvInputGradient, MatMul)


def epilogue(graph: Graph) -> Graph:
    """graph with formulas on their producers."""
    results = {r.value.node for r in graph.results}
    updates = {r.value.node for r in graph.of_role(Role.UPDATE)}
    order = {name: position for position, name in enumerate(graph)}
    formulas = [n for n, node in graph.items() if isinstance(node.op, Elementwise) and n not in updates]
    places = {name: _place(graph, name, results, order) for name in formulas}
    return rebuild(graph, partial(_rule, places))


def _place(graph: Graph, name: str, results: set[str], order: Mapping[str, int]) -> int | None:
    """Which operand of the formula comes from the latest producer that it may ride on."""
    operands = graph.operands(name)
    made = graph.value(name).type
    found = {}
    for place, value in enumerate(operands):
        producer = _producer(graph, value, results)
        alike = (value.type.shape, value.type.dtype) == (made.shape, made.dtype)
        if producer is None or not alike or operands.count(value) > 1:
            continue
        if all(_fits(other, value, producer) for other in operands):
            found[place] = order[producer.node]
    return max(found, key=found.__getitem__, default=None)


def _producer(graph: Graph, value: Value, results: set[str]) -> Value | None:
    """The result of a producer that nobody else sees, perhaps through views."""
    while value.node not in results and len(graph.users(value.node)) == 1:
        op = graph.node(value.node).op
        if isinstance(op, PRODUCERS):
            return value
        if not isinstance(op, Reshape):
            return None
        (value,) = graph.operands(value.node)
    return None


def _fits(other: Value, value: Value, producer: Value) -> bool:
    """Whether another operand of the formula can be seen in the producer's shape."""
    if producer.type.shape == value.type.shape or other.type.shape == value.type.shape:
        return True
    return other.type.rank == 0 or (other.type.rank == 1 and producer.type.channels == value.type.channels)


def _rule(
    places: Mapping[str, int | None], b: Builder, name: str, node: Node, operands: tuple[Value, ...]
) -> tuple[Value, ...] | None:
    place = places.get(name)
    if place is None:
        return None
    assert isinstance(node.op, Elementwise)
    producer = operands[place]
    while isinstance(b.operation(producer), Reshape):
        (producer,) = b.operands(producer)
    made = operands[place].type.shape
    others = [
        reshape(b, v, producer.type.shape) if v.type.shape == made else v for i, v in enumerate(operands) if i != place
    ]
    op = Fused(b.operation(producer), node.op, place)
    y = b.emit_all(op, *b.operands(producer), *others, name=name, exact=True)[0]
    return (reshape(b, y, made),)
