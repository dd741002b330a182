"""Runs programs: one loop over calls that were made ready beforehand.

What a step needs is there before its first call: an arena as large as the largest program wants, a buffer for every
input, the weights, and a kernel for every call with its arrays inside. A step copies its inputs in and runs the
kernels; it allocates nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from graphdsl.backends import Backend, Kernel, Memory, View
from graphdsl.ir import Array, Buffer, Call, DType, Program, Storage
from graphdsl.report import dataclass
from graphdsl.runtime.memory import amount, demanded, short
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
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.weights = WeightStore(backend)
        self.generation = 0
        self._spaces: dict[str, tuple[int, Memory]] = {}

    def prepare(self, program: Program) -> Ready:
        """The program, ready to run."""
        self._reserve(program)
        own = {name: self._constant(array) for name, array in program.constants.items()}
        kept = self._alloc(program.kept_bytes, program) if program.kept_bytes else None
        views = [self._view(buffer, own, kept) for buffer in program.buffers]
        outputs = tuple(tuple(views[i] for i in call.outputs) for call in program.calls)
        fixed = _fixed(program)
        kernels = [
            self.backend.kernel(
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
            self.backend.sequence(kernels[program.once :]),
            self.generation,
            Preparation(self._preparation(kernels, program.once), writes=bool(_written(program))),
        )

    def _preparation(self, kernels: Sequence[Kernel], once: int) -> Kernel:
        """What is computed of weights alone, then what the other kernels make of weights and of that."""
        if not once:
            return self.backend.preparation(kernels)
        first, rest = kernels[:once], kernels[once:]
        steps = (self.backend.preparation(first), self.backend.sequence(first), self.backend.preparation(rest))

        def prepare() -> None:
            for step in steps:
                step()

        return prepare

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
            raise short(self.backend, "a step", ready.program.arena_bytes, _smaller(ready.program)) from error

    def read(self, ready: Ready, key: str) -> Array:
        """A copy of a result of the last run."""
        return self.backend.download(ready.results[key])

    def _reserve(self, program: Program) -> None:
        """Sees to it that there is room. What moves leaves older programs without memory."""
        wanted = {"arena": program.arena_bytes}
        wanted |= {f"input/{name}": program.buffers[index].bytes for name, index in program.inputs.items()}
        for space, size in wanted.items():
            if self._spaces.get(space, (-1,))[0] < size:
                self._spaces[space] = (size, self._alloc(size, program))
                self.generation += 1

    def _alloc(self, size: int, program: Program) -> Memory:
        with demanded(self.backend, "a step", size, partial(_smaller, program)):
            return self.backend.alloc(size)

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


def _smaller(program: Program) -> str:
    """What to do when memory is short."""
    largest = max(program.buffers, key=lambda b: b.bytes)
    return f"try a smaller batch; the largest value is `{largest.name}`, {amount(largest.bytes)}"
