"""Pass: results that nobody reads are not made.

An operator with several results may know how to give only some of them (`Operator.narrowed`):

    lstm ── hidden, last, gates, cells        in use only `last` is read: nothing else is written
    lstm_gradient ── dx, dkernel, …           of a first layer nobody asks for dx

Assumes  `gradient` has run, if it is to: it reads what is kept for the backward pass.
Gives    the same results.
"""

from __future__ import annotations

from graphdsl.ir import Builder, Graph, Node, Value, rebuild


def narrow(graph: Graph) -> Graph:
    """graph whose operators give only what is read."""
    needed = graph.needed()
    read = {r.value for r in graph.results} | {v for name in needed for v in graph.operands(name)}

    def rule(b: Builder, name: str, node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        ports = [port for port in range(len(node.types)) if Value(name, port, node.types[port]) in read]
        if not 0 < len(ports) < len(node.types):
            return None
        op = node.op.narrowed(ports)
        if op is None:
            return None
        made = dict(zip(ports, b.emit_all(op, *operands, name=name, exact=True), strict=True))
        return tuple(made.get(port, made[ports[0]]) for port in range(len(node.types)))

    return rebuild(graph, rule)
