"""Pass: one number to make small.

A graph may have several losses, one a head, and weights may ask to stay small (l1, l2). Training needs their sum:

    loss/age ───── × 0.3 ─┐
    loss/income ── × 1 ───┼─ + ── loss/total
    kernel ─ l2 Σ w² ─────┘

Assumes  there is a loss, and every loss is a scalar float.
Gives    the same graph with one more loss, called `total`. The terms stay results, so that each is reported.
Leaves   which weights learn to the caller: the penalty of a weight that does not learn is a constant and is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from graphdsl.ir import Builder, Graph, Place, Role, Value, Weight
from graphdsl.ops import formula, sum_over

TOTAL = "total"
"""The name of the loss that is made small."""


def total_loss(graph: Graph, learned: Collection[str], factors: Mapping[str, float] | None = None) -> Graph:
    """Adds the total loss. factors: by the name of the loss, 1 where nothing is said."""
    terms = graph.of_role(Role.LOSS)
    assert terms, "whoever trains sees to it that there is a loss"
    b = Builder.on(graph)
    with b.within(Place(path="loss/total")):
        parts = [_scaled(b, r.value, (factors or {}).get(r.name, 1.0)) for r in terms]
        parts += _penalties(b, graph, learned)
        total = parts[0]
        for part in parts[1:]:
            total = formula(b, lambda x, y: x + y, total, part, title="add")
    b.result(TOTAL, Role.LOSS, total)
    return b.finish()


def _scaled(b: Builder, value: Value, factor: float) -> Value:
    return value if factor == 1.0 else formula(b, lambda x: factor * x, value, title="scale")


def _penalties(b: Builder, graph: Graph, learned: Collection[str]) -> list[Value]:
    found = []
    changing = set(learned)
    for name, node in graph.items():
        if not isinstance(node.op, Weight) or name not in changing or not (node.op.l1 or node.op.l2):
            continue
        l1, l2 = node.op.l1, node.op.l2
        weight = graph.value(name)
        with b.within(Place(path=f"loss/{name}", layer=node.layer, spans=node.spans)):
            each = formula(b, lambda w, l1=l1, l2=l2: l1 * abs(w) + l2 * (w * w), weight, title="penalty")
            found.append(sum_over(b, each, tuple(range(weight.type.rank))))
    return found
