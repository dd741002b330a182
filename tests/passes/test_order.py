"""The order of operations: topological, the same every time, and no hungrier than the graph's own."""

from __future__ import annotations

import pytest

from graphdsl.ir import Graph, Value, parse_graph
from graphdsl.passes import apply, lower, order, training
from tests.support.random_graphs import random_graph
from tests.support.rules import Momentum, Plain


def size(value: Value) -> int:
    return 64 * 100


@pytest.mark.parametrize("seed", range(20))
def test_operands_come_first(seed: int) -> None:
    graph = apply(random_graph(seed), training(Momentum()))
    names = order(graph, size)
    place = {name: index for index, name in enumerate(names)}
    assert len(place) == len(names)
    for name in names:
        assert all(place.get(v.node, -1) < place[name] for v in graph.operands(name))
    assert names == order(graph, size)


def deep(layers: int) -> Graph:
    """A chain of dense layers of 64 features."""
    lines = ['%x = input(made=type("float32[batch, 64]")) : float32[batch, 64]']
    before = "x"
    for i in range(layers):
        lines.append(f'%w{i} = weight(made=type("float32[64, 64]"), init=Zeros()) : float32[64, 64]')
        lines.append(f"%m{i} = matmul() %{before}, %w{i} : float32[batch, 64]")
        lines.append(f'%a{i} = elementwise(tree=formula("tanh(x0)"), arity=1, title="tanh") %m{i} : float32[batch, 64]')
        before = f"a{i}"
    lines += [
        f"%sum = sum(axes=(0, 1)) %{before} : float32[1, 1]",
        "%loss = reshape(shape=()) %sum : float32[]",
        "loss loss = %loss",
    ]
    return parse_graph("\n".join(lines))


def test_a_gradient_is_spent_before_the_next_is_made() -> None:
    """Thirty layers: their gradients need the room of a few, not of thirty."""
    matrix = 64 * 64 * 4
    program = lower(apply(deep(30), training(Plain())), {"batch": 1})
    assert program.arena_bytes < 4 * matrix
    written = [c.name for c in program.calls if program.buffers[c.outputs[0]].storage == "weight"]
    assert len(written) == 30, "every weight is written straight"


def test_inference_needs_two_layers_of_memory() -> None:
    graph = deep(30)
    used = graph.with_results([r for r in graph.results if r.role == "loss"])
    assert lower(used, {"batch": 100}).arena_bytes <= 2 * 100 * 64 * 4 + 256
