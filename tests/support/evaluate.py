"""Graphs computed node by node from what operators say of themselves: no pass and no backend between."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from graphdsl.ir import Array, Builder, Graph, Input, Result, Role, Symbolic, TensorType, Value, Weight


def built(make: Callable[..., Value], *types: TensorType) -> Graph:
    """The graph of make(builder, inputs x0, x1 ...), whose result is the output `y`."""
    b = Builder()
    y = make(b, *(b.input(f"x{i}", t) for i, t in enumerate(types)))
    b.result("y", Role.OUTPUT, y)
    return b.finish()


def evaluate(graph: Graph, feeds: Mapping[str, Array]) -> dict[tuple[str, str], Array]:
    """Every result of graph by role and name. feeds holds inputs, and weights that shall not begin as they would."""
    binding = _binding(graph, feeds)
    known: dict[str, tuple[Array, ...]] = {}
    for name, node in graph.items():
        operands = (known[v.node][v.port] for v in graph.operands(name))
        if name in feeds:
            known[name] = (feeds[name],)
        elif isinstance(node.op, Weight):
            known[name] = (node.op.init.sample(node.types[0].bind({}), np.random.default_rng(0)),)
        else:
            made = node.op.bound(binding).reference(*operands)
            known[name] = made if isinstance(made, tuple) else (made,)
        assert [a.shape for a in known[name]] == [t.bind(binding) for t in node.types], name
    return {_key(r): known[r.value.node][r.value.port] for r in graph.results}


def parameters(graph: Graph, *, trainable: bool = True) -> int:
    """How many numbers the weights hold."""
    ops = (node.op for _, node in graph.items())
    return sum(int(op.made.count) for op in ops if isinstance(op, Weight) and op.trainable is trainable)


def _key(result: Result) -> tuple[str, str]:
    return str(result.role), result.name


def _binding(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, int]:
    """The size that each free dimension has in the feeds."""
    found: dict[str, int] = {}
    for name, node in graph.items():
        if isinstance(node.op, Input):
            pairs = zip(node.op.made.shape, feeds[name].shape, strict=True)
            found |= {str(d): size for d, size in pairs if isinstance(d, Symbolic)}
    return found
