"""A model as it is used: what it makes of samples, and what it makes of noise alone, as a trained generator does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphdsl.ir import Array, Graph, Input, Role
from graphdsl.learn import IN_USE, Batches, Feeder, counter
from graphdsl.model.looking import joined
from graphdsl.ops import COUNTER
from graphdsl.passes import apply, inference
from graphdsl.report import fail
from graphdsl.runtime import SAMPLES, Compiled

AT_ONCE = 256
"""Samples in a batch."""


def asked(graph: Compiled, batches: Batches, feeder: Feeder, seed: int) -> dict[str, Array]:
    """The results of graph for all samples, batch by batch. seed: of noise that is drawn in use too."""
    parts = [
        graph.run({**feeder.feed(batch), COUNTER: counter(seed, IN_USE + number)})
        for number, batch in enumerate(batches.epoch())
    ]
    return {key: joined([part[key] for part in parts]) for key in graph.results}


def drawn(graph: Graph, in_use: Callable[[Graph], Compiled], count: int, seed: int) -> dict[str, Array]:
    """So many samples of the outputs that read no data. Raises E0809 where each reads some.

    in_use   makes a graph ready as it is used
    """
    made = in_use(_of_noise(graph))
    parts = [
        made.run({COUNTER: counter(seed, IN_USE + number), SAMPLES: min(AT_ONCE, count - start)})
        for number, start in enumerate(range(0, count, AT_ONCE))
    ]
    return {key: np.concatenate([part[key] for part in parts]) for key in made.results}


def _of_noise(graph: Graph) -> Graph:
    outputs = graph.of_role(Role.OUTPUT)
    reads = {r.name: _inputs(apply(graph.with_results([r]), inference())) for r in outputs}
    found = [r for r in outputs if not reads[r.name]]
    if not found:
        told = ", ".join(f"`{name}` reads `{sorted(inputs)[0]}`" for name, inputs in reads.items())
        help = "an output can be drawn that begins with noise: `output made = random_normal(16) -> decoder`"
        raise fail("E0809", f"no output is made of noise alone: {told}", help=help)
    return graph.with_results(found)


def _inputs(graph: Graph) -> set[str]:
    needed = graph.needed()
    return {n for n, node in graph.items() if isinstance(node.op, Input) and n in needed and n != COUNTER}
