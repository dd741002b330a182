"""The passes one after another, on random graphs: valid between passes, and the same numbers before and after."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends import backend
from graphdsl.ir import Graph, demand_valid, parse_graph, print_graph
from graphdsl.passes import MACHINE, Mode, apply, for_machine, fuse, inference, simplify, specialise, training
from graphdsl.runtime import Compiled, Executor
from tests.support.evaluate import evaluate
from tests.support.random_graphs import feeds, random_graph
from tests.support.rules import Momentum

SEEDS = range(30)


@pytest.mark.parametrize("seed", SEEDS)
def test_graphs_are_valid_between_passes_and_read_back(seed: int) -> None:
    seen: list[str] = []

    def look(name: str, graph: Graph) -> None:
        demand_valid(graph, name)
        text = print_graph(graph)
        assert print_graph(parse_graph(text)) == text
        seen.append(name)

    graph = random_graph(seed)
    apply(graph, training(Momentum()), look)
    assert seen == [stage.name for stage in training(Momentum())]


@pytest.mark.parametrize("seed", SEEDS)
def test_simplify_and_fuse_change_no_result(seed: int) -> None:
    graph = specialise(random_graph(seed), Mode.TRAINING)
    before = evaluate(graph, feeds(seed))
    for after in (simplify(graph), fuse(graph), fuse(simplify(graph))):
        for key, array in evaluate(after, feeds(seed)).items():
            assert np.allclose(array, before[key], rtol=1e-5, atol=1e-6), key


@pytest.mark.parametrize("passes", [(), tuple(MACHINE)], ids=["plain", "machine"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_compiled_step_does_what_the_graph_says(seed: int, passes: tuple[str, ...], backend_name: str) -> None:
    """Order, arena, places in memory and writes into weights, against the graph node by node; three steps long."""
    graph = random_graph(seed)
    step = apply(graph, training(Momentum()))
    executor = Executor(backend(backend_name))
    compiled = Compiled(apply(step, for_machine(passes)), executor, seed=seed)
    weights = executor.weights.snapshot()
    for number in range(3):
        given = {**feeds(seed + number), "train/rate": np.float32(0.1)}
        expected = evaluate(step, {**given, **weights})
        found = compiled.run(given)
        for (role, name), array in expected.items():
            if role == "update":
                weights[name] = array
            else:
                key = name if role == "output" else f"{role}/{name}"
                assert np.allclose(found[key], array, rtol=1e-5, atol=1e-6), key
        for name, array in executor.weights.snapshot().items():
            assert np.allclose(array, weights[name], rtol=1e-5, atol=1e-6), name


def test_inference_reads_no_state_and_updates_nothing() -> None:
    graph = apply(random_graph(3), inference())
    assert not [r for r in graph.results if r.role == "update"]


def test_the_same_graph_gives_the_same_text() -> None:
    texts = {print_graph(apply(random_graph(4), training(Momentum()))) for _ in range(3)}
    assert len(texts) == 1
