"""Runs programs: one loop over calls that were made ready beforehand.

What a step needs is there before its first call: an arena as large as the largest program wants, a buffer for every
input, the weights, and a kernel for every call with its arrays inside. A step copies its inputs in and runs the
kernels; it allocates nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from graphdsl.backends import Backend, Kernel, Memory, View
from graphdsl.ir import Array, Buffer, Call, DType, Graph, Program, Storage
from graphdsl.report import Failed, dataclass
from graphdsl.runtime.memory import demanded, short, smaller
from graphdsl.runtime.weights import WeightStore


@dataclass(frozen=True)
class Ready:
    """A program with its memory: what to fill, what to run, what to read.

    steps       a kernel a call, for looking between them; run is all of them but those that are run once
    outputs     of each call
    generation  of the executor's memory that the views lie in
    """

    program: Program
    inputs: Mapping[str, View]
    results: Mapping[str, View]
    steps: tuple[tuple[Call, Kernel], ...]
    outputs: tuple[tuple[View, ...], ...]
    run: Kernel
    generation: int
    preparation: Preparation


class Preparation:
    """What kernels make of weights that the program only reads, such as packed panels; made again when those change."""

    def __init__(self, make: Kernel, writes: bool) -> None:
        self._make = make
        self._writes = writes
        self._version = -1

    def refresh(self, weights: WeightStore) -> None:
        """Before a run. What the program itself is about to write is not what its kernels have prepared."""
        if self._version != weights.version:
            self._make()
        weights.version += self._writes
        self._version = weights.version


class Executor:
    """A backend with its weights and its arena. Programs run one at a time and share all of it.

    generation  grows when memory has had to move: what was made ready before must be made ready again
    instead     a backend that takes over, with the weights, where the first has no memory or cannot make a kernel
    """

    def __init__(self, backend: Backend, instead: Backend | None = None) -> None:
        self.backend = backend
        self.instead = instead
        self.weights = WeightStore(backend)
        self.generation = 0
        self._spaces: dict[str, tuple[int, Memory]] = {}

    def add(self, graph: Graph, seed: int = 0) -> tuple[str, ...]:
        """Makes the weights of graph that are not here yet (WeightStore.add)."""
        try:
            return self.weights.add(graph, seed)
        except Failed as failed:
            self.change(failed)
        return self.weights.add(graph, seed)

    def change(self, failed: Failed) -> None:
        """Goes on with the other backend, and says so. Raises failed where there is none or where it would not help."""
        if self.instead is None or failed.diagnostics[0].code not in ("E0602", "E0807"):
            raise failed
        reason, *_ = failed.diagnostics[0].message.splitlines()
        said = f"there is {reason}" if reason.startswith("no ") else reason
        print(f"device: {self.instead.name}, since {said}", file=sys.stderr)
        self.backend, self.instead = self.instead, None
        self._spaces = {}
        self.generation += 1
        self.weights.move(self.backend)

    def prepare(self, program: Program, precision: str = "") -> Ready:
        """The program, ready to run; precision: of its kernels, where it is another than the executor's.

        Raises Failed E0602 where there is no memory for it, before any is taken if the backend can tell.
        """
        needed = self._grown(program)
        size = sum([*needed.values(), program.kept_bytes, *(a.nbytes for a in program.constants.values())])
        with demanded(self.backend, "a step", size, partial(smaller, program)):
            self._reserve(needed)
            return self._bound(program, self.backend.precise(precision) if precision else self.backend)

    def _bound(self, program: Program, machine: Backend) -> Ready:
        """The program with its memory and its kernels, which machine makes."""
        own = {name: self._constant(array) for name, array in program.constants.items()}
        kept = self.backend.alloc(program.kept_bytes) if program.kept_bytes else None
        views = [self._view(buffer, own, kept) for buffer in program.buffers]
        outputs = tuple(tuple(views[i] for i in call.outputs) for call in program.calls)
        fixed = _fixed(program)
        kernels = [
            machine.kernel(
                call,
                [views[i] for i in call.inputs],
                makes,
                [place for place, i in enumerate(call.inputs) if i in fixed],
            )
            for call, makes in zip(program.calls, outputs, strict=True)
        ]
        return Ready(
            program,
            {name: views[index] for name, index in program.inputs.items()},
            {key: views[index] for key, index in program.results.items()},
            tuple(zip(program.calls, kernels, strict=True)),
            outputs,
            machine.sequence(kernels[program.once :]),
            self.generation,
            Preparation(_preparation(machine, kernels, program.once), writes=bool(_written(program))),
        )

    def fill(self, ready: Ready, inputs: Mapping[str, Array]) -> None:
        """Copies what is fed into the program's input buffers, and prepares what is made of weights, for one run.

        What the program does not read is left alone.
        """
        for name, view in ready.inputs.items():
            self.backend.upload(view, inputs[name])
        ready.preparation.refresh(self.weights)

    def run(self, ready: Ready, inputs: Mapping[str, Array]) -> None:
        """One step. What it gives is read from the results with `read`."""
        assert ready.generation == self.generation, "memory has moved: prepare the program again"
        self.fill(ready, inputs)
        try:
            ready.run()
        except MemoryError as error:
            raise short(self.backend, "a step", ready.program.arena_bytes, smaller(ready.program)) from error

    def read(self, ready: Ready, key: str) -> Array:
        """A copy of a result of the last run."""
        return self.backend.download(ready.results[key])

    def read_all(self, ready: Ready, keys: Iterable[str]) -> dict[str, Array]:
        """Copies of several results."""
        views = {key: ready.results[key] for key in keys}
        return dict(zip(views, self.backend.download_all(list(views.values())), strict=True))

    def _grown(self, program: Program) -> dict[str, int]:
        """The bytes of each space that is too small for the program."""
        wanted = {"arena": program.arena_bytes}
        wanted |= {f"input/{name}": program.buffers[index].bytes for name, index in program.inputs.items()}
        return {space: size for space, size in wanted.items() if self._spaces.get(space, (-1,))[0] < size}

    def _reserve(self, needed: Mapping[str, int]) -> None:
        """Sees to it that there is room. What moves leaves older programs without memory."""
        for space, size in needed.items():
            self._spaces[space] = (size, self.backend.alloc(size))
            self.generation += 1

    def _constant(self, array: Array) -> Memory:
        memory = self.backend.alloc(array.nbytes)
        self.backend.upload(self.backend.view(memory, 0, array.shape, DType(array.dtype.name)), array)
        return memory

    def _view(self, buffer: Buffer, constants: Mapping[str, Memory], kept: Memory) -> View:
        memory, start = self._place(buffer, constants, kept)
        return self.backend.view(memory, start + buffer.offset, buffer.shape, buffer.dtype)

    def _place(self, buffer: Buffer, constants: Mapping[str, Memory], kept: Memory) -> tuple[Memory, int]:
        match buffer.storage:
            case Storage.KEPT:
                return kept, 0
            case Storage.ARENA:
                return self._spaces["arena"][1], 0
            case Storage.INPUT:
                return self._spaces[f"input/{buffer.key}"][1], 0
            case Storage.WEIGHT:
                return self.weights.place(buffer.key)
            case Storage.CONSTANT:
                return constants[buffer.key], 0


def _preparation(machine: Backend, kernels: Sequence[Kernel], once: int) -> Kernel:
    """What is computed of weights alone, then what the other kernels make of weights and of that."""
    if not once:
        return machine.preparation(kernels)
    first, rest = kernels[:once], kernels[once:]
    steps = (machine.preparation(first), machine.sequence(first), machine.preparation(rest))

    def prepare() -> None:
        for step in steps:
            step()

    return prepare


def _written(program: Program) -> set[str]:
    """The weights that the program changes."""
    buffers = (program.buffers[i] for call in program.calls for i in call.outputs)
    return {b.key for b in buffers if b.storage is Storage.WEIGHT}


def _fixed(program: Program) -> set[int]:
    """The buffers that hold the same numbers in every run: constants, weights that the program only reads, what is kept
    of these.
    """
    written = _written(program)
    stay = {Storage.CONSTANT, Storage.KEPT}
    return {
        index
        for index, b in enumerate(program.buffers)
        if b.storage in stay or (b.storage is Storage.WEIGHT and b.key not in written)
    }
