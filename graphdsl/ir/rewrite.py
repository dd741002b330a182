"""Folding a graph into a new one: the one way passes change anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from graphdsl.ir.builder import Builder, Place
from graphdsl.ir.graph import Graph, Node, Result, Role, Value
from graphdsl.ir.sources import Input

Rule = Callable[[Builder, str, Node, tuple[Value, ...]], tuple[Value, ...] | None]
"""(builder of the new graph, name, node, its operands in the new graph) -> what replaces its results; None: keep it."""


def keep(b: Builder, name: str, node: Node, operands: tuple[Value, ...]) -> None:
    """The rule that changes nothing."""


def rebuild(graph: Graph, rule: Rule = keep, *, results: Iterable[Result] | None = None, merge: bool = True) -> Graph:
    """Folds graph, node by node in order, into a fresh Builder.

    What no result needs is left out and equal pure operations become one, whatever the rule. Names, places and layers
    stay; an update is called after what its weight became. Results that the rule adds (b.result, b.update) are kept
    beside those of the graph.
    """
    kept = graph.with_results(results) if results is not None else graph
    needed = kept.needed()
    b = Builder(merge=merge)
    new = fold(b, kept, rule, [name for name in kept if name in needed])
    for result in kept.results:
        name = new[result.name][0].node if result.role is Role.UPDATE else result.name
        b.result(name, result.role, new[result.value.node][result.value.port])
    return b.finish(drop_dead=True)


Look = Callable[[Value], Value]
"""What has become of a value of the old graph."""

Answers = dict[str, tuple[Value, ...]]
"""What has become of the results of nodes, by name."""


def replay(
    graph: Graph, rule: Callable[[Builder, str, Look], Answers | None], order: Iterable[str] | None = None
) -> Graph:
    """As rebuild, for rules that bring nodes together which are no neighbours.

    look finds what has become of any earlier value. A rule may answer for several nodes at once, which are then not
    asked about, or for none ({}), where it will answer at a later one; None keeps the node.

    order  of all nodes, topological; None: that of graph
    """
    b = Builder(merge=True)
    new: Answers = {}

    def look(value: Value) -> Value:
        return new[value.node][value.port]

    for name in graph if order is None else order:
        if name in new:
            continue
        node = graph.node(name)
        with b.within(Place(path=name, weights=name, layer=node.layer, spans=node.spans)):
            made = rule(b, name, look)
            if made is None:
                operands = tuple([look(v) for v in graph.operands(name)])
                made = {name: _again(b, name, node, graph.operands(name), operands)}
            new |= made
    for result in graph.results:
        name = new[result.name][0].node if result.role is Role.UPDATE else result.name
        b.result(name, result.role, look(result.value))
    return b.finish(drop_dead=True)


def fold(b: Builder, graph: Graph, rule: Rule, names: Iterable[str]) -> dict[str, tuple[Value, ...]]:
    """Emits the named nodes of graph (in order) through rule into b; gives what became of each node's results."""
    new: dict[str, tuple[Value, ...]] = {}
    for name in names:
        node, before = graph.node(name), graph.operands(name)
        operands = tuple([new[v.node][v.port] for v in before])
        with b.within(Place(path=name, weights=name, layer=node.layer, spans=node.spans)):
            replaced = rule(b, name, node, operands)
            new[name] = _again(b, name, node, before, operands) if replaced is None else replaced
    return new


def _again(
    b: Builder, name: str, node: Node, before: tuple[Value, ...], operands: tuple[Value, ...]
) -> tuple[Value, ...]:
    """The same operation in the new graph; its types are asked for again only where operands have other types now."""
    if isinstance(node.op, Input):
        # A rule may have asked for it already: dropout wants the counter that random triplets had the spec ask for.
        return (b.input(name, node.types[0], target=node.op.target),)
    same = all(old.type is new.type or old.type == new.type for old, new in zip(before, operands, strict=True))
    return b.emit_all(node.op, *operands, name=name, exact=True, types=node.types if same else ())
