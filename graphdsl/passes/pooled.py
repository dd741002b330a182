"""Pass for machines: maxima of windows are taken while the tensor is made.

    conv ── y [28, 28, 6] ── max_pool ── [14, 14, 6]       =>      conv+max_pool ── [14, 14, 6]

The full-size result is never written, forward; backward only the winners are needed. `shrink` has put bias and
activation behind the pool, where that is allowed; what is left before it may be part of the producer (Fused).

Assumes  `epilogue` has run.
Gives    FusedPool where a producer's only user is a max_pool.
Leaves   pools of time, and windows so wide that a producer would compute more than it saves, to the machine:
         it may run the two parts.
"""

from __future__ import annotations

from graphdsl.ir import Builder, Graph, Node, Value, rebuild
from graphdsl.ops import Conv, Fused, FusedPool, MaxPool


def pooled(graph: Graph) -> Graph:
    """graph with pools on the convolutions before them."""
    results = {r.value.node for r in graph.results}
    pools = {name for name, node in graph.items() if isinstance(node.op, MaxPool) and _alone(graph, name, results)}

    def rule(b: Builder, name: str, node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if name not in pools:
            return None
        (y,) = operands
        assert isinstance(node.op, MaxPool)
        return b.emit_all(FusedPool(b.operation(y), node.op), *b.operands(y), name=name, exact=True)

    return rebuild(graph, rule) if pools else graph


def _alone(graph: Graph, pool: str, results: set[str]) -> bool:
    """Whether the pool is all that a convolution is for."""
    (y,) = graph.operands(pool)
    op = graph.node(y.node).op
    made = op.producer if isinstance(op, Fused) else op
    return isinstance(made, Conv) and y.node not in results and len(graph.users(y.node)) == 1
