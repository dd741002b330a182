"""Pass for use: factors after a convolution become part of its kernel.

In use, batch normalisation multiplies each feature by one number and adds another, both made of weights. A convolution
or product before it can do that by itself, with another kernel and another bias:

    (conv(x, k) + b) * f + s      =>      conv(x, k * f) + (b * f + s)

    conv ── add_bias ── batch_norm ── relu        conv ── shift ── relu        k * f, b * f + s: of weights alone

What is made of weights alone is computed when weights change, not in every run: see `lower`. So the factor is free, and
the sum and the activation are one formula, which may ride on the convolution.

A chain of formulas is followed from the producer on, as long as each has one user and is factor * x + shift with factor
and shift made of weights, one number a feature.

Assumes  `simplify` has run, `fuse` has not: layers' formulas are apart. Weights do not change while the graph runs.
Gives    the same numbers but for rounding.
Leaves   factors that depend on the input (squeeze and excite) where they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from graphdsl.ir import Builder, Fusion, Graph, Node, Operator, Place, Value, Weight, rebuild
from graphdsl.ops import Conv, ConvInputGradient, Elementwise, MatMul, expression, formula, over, reshape
from graphdsl.ops.expression import Apply, Expression, Literal, Operand
from graphdsl.report import dataclass

ZERO, ONE = Literal(0.0), Literal(1.0)


def fold(graph: Graph) -> Graph:
    """graph with factors in kernels."""
    ends = _Chains(graph).ends
    return rebuild(graph, partial(_rule, graph, ends)) if ends else graph


@dataclass(frozen=True)
class _Link:
    """A formula as factor * operand number place + shift."""

    name: str
    place: int
    factor: Expression
    shift: Expression


class _Chains:
    """The formulas that fold into a producer, found in one sweep. ends: by the last formula of a chain, its links."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.pinned = {r.value.node for r in graph.results}
        self.fixed: set[str] = set()
        chains: dict[str, tuple[_Link, ...]] = {}
        for name, node in graph.items():
            operands = graph.operands(name)
            if _fixed(node.op, operands, self.fixed):
                self.fixed.add(name)
            elif _axis(node.op) is not None and operands[1].node in self.fixed:
                chains[name] = ()
            elif isinstance(node.op, Elementwise):
                self._follow(name, node.op, operands, chains)
        self.ends = {links[-1].name: links for links in chains.values() if any(k.factor != ONE for k in links)}

    def _follow(
        self, name: str, op: Elementwise, operands: tuple[Value, ...], chains: dict[str, tuple[_Link, ...]]
    ) -> None:
        """Adds the formula to the chain that it goes on with."""
        for place, value in enumerate(operands):
            if value.node not in chains or value.node in self.pinned or len(self.graph.users(value.node)) > 1:
                continue
            others = [v for i, v in enumerate(operands) if i != place]
            if not all(v.node in self.fixed and _one_each(v, value) for v in others):
                return
            parts = _affine(op.tree, place)
            if parts is not None:
                chains[name] = (*chains.pop(value.node), _Link(name, place, *parts))
            return


def _fixed(op: Operator, operands: Sequence[Value], fixed: set[str]) -> bool:
    """Whether the same numbers come out in every run."""
    if op.fusion is Fusion.SOURCE:
        return isinstance(op, Weight) or op.pure
    return op.pure and bool(operands) and all(v.node in fixed for v in operands)


def _axis(op: Operator) -> int | None:
    """Which axis of the kernel, operand number 1, makes the features of the result."""
    match op:
        case Conv():
            return -1
        case MatMul():
            return -2 if op.transpose_b else -1
        case ConvInputGradient() if op.groups == 1:
            return -2
        case _:
            return None


def _one_each(value: Value, x: Value) -> bool:
    """Whether it is one number a feature of x, or one for all."""
    return value.type.count in (1, x.type.channels) and value.type.rank <= 1


def _affine(tree: Expression, place: int) -> tuple[Expression, Expression] | None:
    """Factor and shift, if the tree is factor * operand number place + shift."""
    known: dict[Expression, tuple[Expression, Expression] | None] = {}
    for part in expression.parts(tree):
        known[part] = _parts(part, place, known)
    found = known[tree]
    return None if found is None or found[0] == ZERO else found


def _parts(
    part: Expression, place: int, known: Mapping[Expression, tuple[Expression, Expression] | None]
) -> tuple[Expression, Expression] | None:
    if not isinstance(part, Apply):
        return (ONE, ZERO) if part == Operand(place) else (ZERO, part)
    given = [known[a] for a in part.arguments]
    whole = [g for g in given if g is not None]
    if len(whole) < len(given):
        return None
    if all(factor == ZERO for factor, _ in whole):
        return ZERO, part
    match part.function, whole:
        case "add", [(a, b), (c, d)]:
            return a + c, b + d
        case "subtract", [(a, b), (c, d)]:
            return a - c, b - d
        case "multiply", [(a, b), (c, d)] if ZERO in (a, c):
            return (a * d, b * d) if c == ZERO else (c * b, d * b)
        case "divide", [(a, b), (c, d)] if c == ZERO:
            return a / d, b / d
        case "negative", [(a, b)]:
            return -a, -b
    return None


# --- the fold --------------------------------------------------------------------------------------------------------


def _rule(
    graph: Graph,
    ends: Mapping[str, tuple[_Link, ...]],
    b: Builder,
    name: str,
    node: Node,
    operands: tuple[Value, ...],
) -> tuple[Value, ...] | None:
    links = ends.get(name)
    if links is None:
        return None
    above = [operands]
    for link in reversed(links[1:]):
        above.append(b.operands(above[-1][link.place]))
    producer = above[-1][links[0].place]
    factor, shift, values = _composed(links, above[::-1])
    x, kernel = b.operands(producer)
    kernel = _scaled(b, b.operation(producer), kernel, factor, values)
    first = graph.operands(links[0].name)[links[0].place].node
    made = graph.node(first)
    with b.within(Place(layer=made.layer, spans=made.spans)):
        (y,) = b.emit_all(b.operation(producer), x, kernel, name=first, exact=True)
    if shift == ZERO:
        return (y,)
    given = (y, _each(b, shift, values, "shift"))
    return b.emit_all(Elementwise(Operand(0) + Operand(1), 2, title="shift"), *given, name=name, exact=True)


def _composed(
    links: Sequence[_Link], given: Sequence[tuple[Value, ...]]
) -> tuple[Expression, Expression, tuple[Value, ...]]:
    """Factor and shift of the whole chain, over the operands of all its formulas."""
    factor: Expression = ONE
    shift: Expression = ZERO
    values: tuple[Value, ...] = ()
    for link, operands in zip(links, given, strict=True):
        places = [Operand(len(values) + i) for i in range(len(operands))]
        own = expression.substitute(link.factor, places)
        factor, shift = own * factor, own * shift + expression.substitute(link.shift, places)
        values += operands
    return factor, shift, values


def _scaled(b: Builder, op: Operator, kernel: Value, factor: Expression, values: tuple[Value, ...]) -> Value:
    """The kernel times the factor, feature by feature."""
    each = _each(b, factor, values, "factor")
    if _axis(op) == -2 and each.type.count != 1:
        each = reshape(b, each, (each.type.count, 1))
    return formula(b, lambda k, f: k * f, kernel, each, title="fold")


def _each(b: Builder, tree: Expression, values: tuple[Value, ...], title: str) -> Value:
    """The tree as a tensor."""
    match tree:
        case Operand(index):
            return values[index]
        case Literal(number):
            return b.constant(number, values[0].type.dtype)
    return over(b, tree, values, title)
