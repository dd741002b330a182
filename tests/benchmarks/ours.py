"""Our side: a network on one of our backends, from the text of its spec to steps that a training loop would make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

import graphdsl
from graphdsl.ir import BATCH, Graph, Role, Symbolic, evaluate
from graphdsl.learn import Feeder, Optimizer, Plan
from graphdsl.passes import RATE, apply, inference, training
from graphdsl.runtime import STATES, Compiled, binding, by_operator, profile
from tests.benchmarks.cases import STILL, TRAIN, Case

TOTAL = "loss/total"
PROFILED = 0.3
"""Seconds of steps that are looked at call by call, unless three take longer."""

SPREAD = 0.1
"""How far biases, means and the like are moved from how they begin, so that leaving one out would be seen."""


@dataclass(frozen=True)
class Samples:
    """A batch as training loops have it."""

    arrays: Mapping[str, np.ndarray]
    sizes: Mapping[str, int]
    lengths: Mapping[str, np.ndarray] = field(default_factory=dict)


class Ours:
    """A network, compiled and ready for batches of one size.

    compile_s  seconds from the spec's text until it is ready to run, without filling the weights
    weights_s  seconds that making and filling the weights took
    """

    def __init__(self, case: Case, mode: str, samples: int, backend: str) -> None:
        start = perf_counter()
        model = graphdsl.compile(case.spec, case.settings, backend=backend)
        elaborated = perf_counter()
        self.executor = model.executor
        self.names = [name for name in self.executor.weights if not name.startswith(STATES)]
        filled = perf_counter()
        self.case, self.train = case, mode == TRAIN
        graph = _trained(model.graph, model.plans[0]) if self.train else _used(model.graph)
        self.compiled = Compiled(graph, self.executor)
        batch = case.batch(samples)
        self.sizes = _sizes(model, batch, samples)
        fed = {**Feeder(model.spec).feed(Samples(batch, self.sizes)), RATE: np.float32(STILL)}
        self.arrays = self.compiled.arrays(fed)
        self.ready = self.compiled.ready(binding(self.compiled.inputs, self.arrays))
        self.compile_s = perf_counter() - filled + elaborated - start
        self.weights_s = filled - elaborated
        self.flops = _flops(graph, self.sizes)

    @property
    def arena_bytes(self) -> int:
        return self.ready.program.arena_bytes

    def step(self) -> Any:
        """What is timed: one step on arrays that are there already, and reading its loss or its outputs."""
        self.executor.run(self.ready, self.arrays)
        if self.train:
            return float(self.executor.read(self.ready, TOTAL))
        return [self.executor.read(self.ready, head.output) for head in self.case.heads]

    def set_rate(self, rate: float) -> None:
        if RATE in self.arrays:
            self.arrays[RATE] = np.asarray(rate, np.float32)

    def scatter(self, seed: int = 1) -> None:
        """Moves every vector of weights a little, in place of the zeros and ones that most begin with."""
        rng = np.random.default_rng(seed)
        for name in self.names:
            array = self.executor.weights[name]
            if array.ndim == 1:
                self.executor.weights[name] = array + SPREAD * rng.standard_normal(array.shape).astype(array.dtype)

    def weights(self) -> list[np.ndarray]:
        """Copies of all weights, in the order of the spec."""
        return [self.executor.weights[name] for name in self.names]

    def restore(self, weights: Sequence[np.ndarray]) -> None:
        """Puts back what `weights` gave, and sets what the optimizer keeps to 0."""
        store = self.executor.weights
        store.restore(dict(zip(self.names, weights, strict=True)))
        store.restore({name: np.zeros_like(store[name]) for name in store if name.startswith(STATES)})

    def operators(self) -> dict[str, float]:
        """Milliseconds by operator, the costliest first: the best of several steps, call by call."""
        start = perf_counter()
        self.step()
        repeats = min(max(3, int(PROFILED / (perf_counter() - start))), 100)
        timings = profile(self.compiled, self.arrays, repeats=repeats)
        return {name: round(1e3 * seconds, 4) for name, seconds in by_operator(timings).items()}


def _trained(graph: Graph, plan: Plan) -> Graph:
    """A whole training step, as a train section makes it."""
    objective = plan.objectives[0]
    rule: Optimizer = objective.optimizer
    return apply(objective.graph(graph), training(rule, learn=objective.learn, factors=objective.factors))


def _used(graph: Graph) -> Graph:
    return apply(graph.with_results(graph.of_role(Role.OUTPUT)), inference())


def _sizes(model: graphdsl.Model, batch: Mapping[str, np.ndarray], samples: int) -> dict[str, int]:
    """The batch and the free lengths of the inputs."""
    found = {str(BATCH): samples}
    for name, port in model.spec.inputs.items():
        pairs = zip(port.type.shape, batch[name].shape, strict=True)
        found |= {str(size): number for size, number in pairs if isinstance(size, Symbolic)}
    return found


def _flops(graph: Graph, sizes: Mapping[str, int]) -> int:
    """Multiplications and additions of one step by the direct algorithms, before a backend changes anything."""
    total = 0
    for name, node in graph.items():
        operands = [value.type for value in graph.operands(name)]
        total += int(evaluate(node.op.flops(operands, node.types), sizes))
    return total
