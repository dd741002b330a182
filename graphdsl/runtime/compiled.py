"""A graph that runs: programs made when their sizes are first met, and kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from graphdsl.ir import BATCH, Array, Graph, Input, Role, Symbolic, TensorType
from graphdsl.passes import apply, for_machine, lower
from graphdsl.report import Failed, fail
from graphdsl.runtime.executor import Executor, Ready

SAMPLES = "batch/samples"
"""What says how many samples a step has, for graphs whose inputs do not: those that read nothing but noise."""


class Compiled:
    """graph (what a pipeline of passes has made) on an executor, whose arena and weights it shares with others.

    Weights that the executor does not have yet begin as seed says. precision: of the kernels; "": the executor's.
    """

    def __init__(self, graph: Graph, executor: Executor, *, seed: int = 0, precision: str = "") -> None:
        self._given = graph
        self._precision = precision
        self._made_for = executor.backend
        self.graph = graph = apply(graph, for_machine(executor.backend.passes))
        self.executor = executor
        self.made = executor.add(graph, seed)
        needed = graph.needed()
        self.inputs = {n: node.types[0] for n, node in graph.items() if isinstance(node.op, Input) and n in needed}
        self.results = tuple(r.key for r in graph.results if r.role is not Role.UPDATE)
        self._ready: dict[tuple[tuple[str, int], ...], Ready] = {}
        self._of_shapes: dict[tuple[Any, ...], Ready] = {}

    def run(self, inputs: Mapping[str, Any], fetch: Iterable[str] | None = None) -> dict[str, Array]:
        """One step on these inputs; copies of the results named in fetch, of all by default.

        An input is an array of its type, or a number. What the graph does not read may be there too. SAMPLES says how
        many samples there are where no input does; 1 without it.
        """
        ready = self.step(inputs)
        return self.executor.read_all(ready, self.results if fetch is None else fetch)

    def step(self, inputs: Mapping[str, Any]) -> Ready:
        """One step whose results stay where they are; `executor.read(ready, key)` copies one."""
        arrays = self.arrays(inputs)
        count = inputs.get(SAMPLES, 1)
        shapes = (count, *[array.shape for array in arrays.values()])
        ready = self._of_shapes.get(shapes)
        if ready is None or ready.generation != self.executor.generation:
            ready = self._of_shapes[shapes] = self.ready(binding(self.inputs, arrays, count))
        self.executor.run(ready, arrays)
        return ready

    def arena(self, inputs: Mapping[str, Any]) -> int:
        """Bytes that a step on these inputs takes, weights and inputs apart."""
        return self.ready(self.sizes(inputs)).program.arena_bytes

    def sizes(self, inputs: Mapping[str, Any]) -> dict[str, int]:
        """What the free sizes are with these inputs."""
        return binding(self.inputs, self.arrays(inputs), inputs.get(SAMPLES, 1))

    def ready(self, sizes: Mapping[str, int]) -> Ready:
        """The program for these sizes, ready to run."""
        try:
            return self._prepared(sizes)
        except Failed as failed:
            self.executor.change(failed)
        return self._prepared(sizes)

    def _prepared(self, sizes: Mapping[str, int]) -> Ready:
        if self._made_for is not self.executor.backend:
            self._made_for = self.executor.backend
            self.graph = apply(self._given, for_machine(self._made_for.passes))
            self._ready = {}
        key = tuple(sorted(sizes.items()))
        found = self._ready.get(key)
        if found is None:
            program = lower(self.graph, sizes, apart=self.executor.backend.apart)
            found = self._ready[key] = self.executor.prepare(program, self._precision)
        elif found.generation != self.executor.generation:
            found = self._ready[key] = self.executor.prepare(found.program, self._precision)
        return found

    def arrays(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """What the graph reads, as arrays. Raises Failed E0603 for an input that is not there."""
        try:
            return {name: np.asarray(inputs[name]) for name in self.inputs}
        except KeyError:
            missing = [name for name in self.inputs if name not in inputs]
            if not missing:
                raise
        names = ", ".join(f"`{name}`" for name in missing)
        raise fail("E0603", f"nothing is fed to {names}", help=f"got {', '.join(inputs) or 'no inputs'}")


def binding(types: Mapping[str, TensorType], arrays: Mapping[str, Array], samples: int = 1) -> dict[str, int]:
    """The numbers that the free sizes of the inputs stand for; the batch is `samples` where no input has one.

    Raises Failed E0603 where an array does not fit.
    """
    sizes: dict[str, int] = {}
    for name, type in types.items():
        shape = arrays[name].shape
        found = {str(d): n for d, n in zip(type.shape, shape, strict=False) if isinstance(d, Symbolic)}
        sizes = found | sizes
        if type.rank != len(shape) or shape != type.bind(sizes):
            raise _unfit(name, type, shape, sizes)
    sizes.setdefault(str(BATCH), samples)
    return sizes


def _unfit(name: str, type: TensorType, shape: tuple[int, ...], sizes: Mapping[str, int]) -> Exception:
    wanted = ", ".join(map(str, type.shape))
    known = ", ".join(f"{dim} is {size}" for dim, size in sizes.items())
    said = f", where {known}" if known else ""
    return fail("E0603", f"`{name}` takes an array of shape [{wanted}]{said}; got {list(shape)}")
