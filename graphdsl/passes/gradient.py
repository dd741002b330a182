"""Pass: reverse-mode differentiation, graph to graph.

One sweep from the loss back to the weights. Every operator emits the gradient of its operands from that of its results;
where a value is used several times, its gradients meet and are summed as they arrive:

    w ──> lstm ──> a          d a ──> lstm gradient ──> d w ─┐
      └─> lstm ──> b          d b ──> lstm gradient ──> d w ─┴─ + ──> gradient/w

So a shared weight gets the sum over its uses without anybody thinking of sharing. Only operators on a path from a
weight that learns to the loss are visited: both ends are found in one sweep each, so the pass is linear in the graph.

Assumes  no modal operators are left; the loss is a scalar.
Gives    the graph as it was, with the gradients' nodes after it, each in the layer and with the spans of the operator
         it is the gradient of, named `.../gradient/...`; and one result of role gradient for every weight that the
         loss depends on. A weight without influence on the loss has none.
Leaves   operators whose gradient nobody asked for (that of the first layer's input) to be dropped by `simplify`.
"""

from __future__ import annotations

from collections.abc import Collection

from graphdsl.ir import Builder, Constant, Graph, Node, Operator, Place, Role, Value
from graphdsl.ops import formula
from graphdsl.passes.total_loss import TOTAL
from graphdsl.report import fail


def gradient(graph: Graph, wrt: Collection[str], loss: str = TOTAL) -> Graph:
    """graph with the derivatives of the loss of that name by the nodes in wrt (weights, inputs).

    Raises Failed E0407 where an operator between them cannot be differentiated or nothing in wrt influences the loss.
    """
    (end,) = (r.value for r in graph.of_role(Role.LOSS) if r.name == loss)
    b = Builder.on(graph)
    sweep = _Sweep(b, graph, active(graph, wrt, end))
    sweep.add(end, b.emit_all(Constant.scalar(1.0, end.type.dtype), name=f"loss/{loss}/gradient", exact=True)[0])
    for name in reversed(list(graph)):
        sweep.visit(name, graph.node(name))
    found = [(name, sweep.total(graph.value(name))) for name in wrt if name in graph]
    if not any(d is not None for _, d in found):
        raise fail("E0407", "the loss depends on no weight that learns", help="look at `learn`, `freeze` and the loss")
    for name, d in found:
        if d is not None:
            b.result(name, Role.GRADIENT, d)
    return b.finish()


def active(graph: Graph, wrt: Collection[str], end: Value) -> frozenset[str]:
    """The nodes on a path of float values from wrt to end."""
    reached = {name for name in wrt if name in graph}
    for name, node in graph.items():
        flows = any(t.dtype.is_float for t in node.types)
        if flows and any(v.node in reached and v.type.dtype.is_float for v in graph.operands(name)):
            reached.add(name)
    return frozenset(reached) & graph.with_results([r for r in graph.results if r.value == end]).needed()


class _Sweep:
    """The gradients collected so far, by value."""

    def __init__(self, b: Builder, graph: Graph, active: frozenset[str]) -> None:
        self.b = b
        self.graph = graph
        self.active = active
        self.sums: dict[tuple[str, int], Value] = {}

    def total(self, value: Value) -> Value | None:
        return self.sums.get((value.node, value.port))

    def add(self, value: Value, d: Value) -> None:
        """One more use of value has given its share. Shares are summed as they come: none has to wait in memory."""
        before = self.total(value)
        assert d.type.shape == value.type.shape, f"{value.node}: a gradient of {d.type} for {value.type}"
        whole = d if before is None else formula(self.b, lambda x, y: x + y, before, d, title="add")
        self.sums[value.node, value.port] = whole

    def visit(self, name: str, node: Node) -> None:
        """Passes what has arrived at the node's results on to its operands."""
        outputs = self.graph.values(name)
        arrived = tuple(self.total(v) for v in outputs)
        operands = self.graph.operands(name)
        if name not in self.active or not operands or all(d is None for d in arrived):
            return
        with self.b.within(Place(path=f"{name}/gradient", layer=node.layer, spans=node.spans)):
            _demand_gradient(name, node)
            shares = node.op.gradient(self.b, operands, outputs, arrived)
            for operand, d in zip(operands, shares, strict=True):
                if d is not None and operand.node in self.active:
                    self.add(operand, d)


def _demand_gradient(name: str, node: Node) -> None:
    if type(node.op).gradient is not Operator.gradient:
        return
    raise fail(
        "E0407",
        f"`{node.op.name}` cannot be differentiated, and the loss depends through it on weights that learn",
        node.spans[0] if node.spans else None,
        label=f"in `{name}`",
        help="freeze the layers before it, or use its result in metrics only",
    )
