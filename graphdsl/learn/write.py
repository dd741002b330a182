"""Writing with a model: it says how probable each next piece is, one is drawn, and that is read as well.

Where the graph can be read step by step (passes/stream.py), each piece is read once and the rest is remembered. Where
it cannot, as where a whole window is summed up, the last pieces are read again for every new one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from graphdsl.ir import POSITION, PROBABILITIES, STATE, Array, Result, Role
from graphdsl.lang import Spec
from graphdsl.learn.sample import Draw
from graphdsl.passes import CONTEXT, apply, inference, streaming
from graphdsl.report import Failed, Span, dataclass, fail
from graphdsl.runtime import Compiled, Executor


@dataclass(frozen=True)
class Heads:
    """What a model writes with: the input that it reads pieces from, and the output that says what comes next."""

    reads: str
    says: Result
    classes: int


def heads(spec: Spec, says: str | None = None, span: Span | None = None) -> Heads:
    """Raises Failed E0619 where no output tells of the pieces that an input reads, or several do."""
    results = [r for r in spec.graph.of_role(Role.OUTPUT) if says in (None, r.name)]
    inputs = {name: port.type for name, port in spec.inputs.items() if port.type.kind.name == "indices"}
    read = {name: type.kind.classes for name, type in inputs.items() if type.rank == 2}
    found = [
        Heads(name, result, classes)
        for result in results
        for name, classes in read.items()
        if result.value.type.rank in (2, 3) and result.value.type.channels == classes
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        message = "the model cannot write: no output has a number for each piece that an input reads"
        help = "that takes an input such as `int(65)[T]` and an output of 65 features"
        raise fail("E0619", message, span, help=help)
    pairs = " and ".join(f"`{h.reads}` -> `{h.says.name}`" for h in found)
    alone = len({h.reads for h in found}) == 1
    help = "write `says = NAME` in the sample section" if alone else "a model that writes reads one sequence of pieces"
    raise fail("E0619", f"several outputs could say what comes next: {pairs}", span, help=help)


class Reader(ABC):
    """Reads pieces and says what comes next."""

    @property
    @abstractmethod
    def how(self) -> str:
        """In words, for people."""

    @abstractmethod
    def read(self, numbers: Sequence[int]) -> Array:
        """The probabilities of the next piece after all that was read and these, at least one."""


class Windows(Reader):
    """Reads the last pieces again for every new one.

    length   of a window; shorter texts are filled up with 0, where an output for every step is read at the end and at
             the start where there is one for the whole window
    """

    def __init__(self, whole: Compiled, heads: Heads, length: int, free: bool) -> None:
        self._whole = whole
        self._heads = heads
        self.length = length
        self._free = free
        self._read: list[int] = []

    @property
    def how(self) -> str:
        return f"windows of {self.length}"

    def read(self, numbers: Sequence[int]) -> Array:
        self._read += numbers
        return self.after(self._read)

    def after(self, numbers: Sequence[int]) -> Array:
        """The probabilities after these pieces, of which the last count."""
        last = list(numbers[-self.length :])
        zeros = [0] * (0 if self._free else self.length - len(last))
        stepwise = self._heads.says.value.type.rank == 3
        row = [*last, *zeros] if stepwise else [*zeros, *last]
        fed = {self._heads.reads: np.array([row])}
        lengths = {name: np.array([len(row)], np.int32) for name in self._whole.inputs if name.startswith("lengths/")}
        made = self._whole.run(fed | lengths)[self._heads.says.key][0]
        return _probabilities(made[len(last) - 1] if stepwise else made, self._heads)


class Remembering(Reader):
    """Reads each piece once and remembers: one step of the model a piece.

    windows  what goes on where the model counts its steps and has made as many as it can
    """

    def __init__(self, step: Compiled, heads: Heads, windows: Windows | None) -> None:
        self._step = step
        self._heads = heads
        self._windows = windows
        self._seen: list[int] = []
        self._states: dict[str, Array] = {
            name: np.zeros(type.bind({"batch": 1}), type.dtype.numpy)
            for name, type in step.inputs.items()
            if name.startswith(f"{STATE}/")
        }

    @property
    def how(self) -> str:
        after = f", after {self._windows.length} in {self._windows.how}" if self._windows else ""
        return f"step by step{after}"

    def read(self, numbers: Sequence[int]) -> Array:
        self._seen += numbers
        if self._windows is not None and len(self._seen) > self._windows.length:
            return self._windows.after(self._seen)
        results: Mapping[str, Array] = {}
        for number in numbers:
            results = self._step.run({self._heads.reads: np.array([[number]]), **self._states})
            self._states = {name: results[name] for name in self._states}
        return _probabilities(results[self._heads.says.key].reshape(-1, self._heads.classes)[-1], self._heads)


def _probabilities(made: Array, heads: Heads) -> Array:
    """What an output says, as probabilities: scores go through a softmax."""
    if heads.says.value.type.kind == PROBABILITIES:
        return made
    powers = np.exp(made.astype(np.float64) - made.max())
    return np.asarray(powers / powers.sum())


class Writer:
    """A model that is ready to write. Compiled once; every text begins with a fresh reader.

    Raises Failed E0409 where a sequence of free length cannot be read step by step, E0619 where more than pieces would
    have to be fed.
    """

    def __init__(self, spec: Spec, executor: Executor, heads: Heads) -> None:
        self.heads = heads
        self._executor = executor
        self._graph = spec.graph.with_results([heads.says])
        size = spec.inputs[heads.reads].type.shape[1]
        self._length = size if isinstance(size, int) else 0
        needed = self._graph.needed()
        others = [f"`{port.name}`" for name, port in spec.inputs.items() if name in needed and name != heads.reads]
        if others:
            message = f"the model reads {' and '.join(others)} beside the text that it writes"
            raise fail("E0619", message, help="a model that writes reads nothing but what was written")
        self._step, refusal = self._one_step()
        if refusal is not None and not self._length:
            raise refusal

    def _one_step(self) -> tuple[Compiled | None, Failed | None]:
        try:
            made = apply(self._graph, streaming([self.heads.reads]))
        except Failed as failed:
            return None, failed
        return Compiled(made, self._executor), None

    @cached_property
    def _whole(self) -> Compiled:
        return Compiled(apply(self._graph, inference()), self._executor)

    @property
    def how(self) -> str:
        """How it reads, in words."""
        return self.reader().how

    def reader(self) -> Reader:
        """One that has read nothing."""
        if self._step is None:
            return self.windows()
        counts = POSITION in self._step.inputs
        return Remembering(self._step, self.heads, self.windows() if counts else None)

    def windows(self) -> Windows:
        """One that reads the last pieces again: as many as the input has, or as many steps as can be made."""
        return Windows(self._whole, self.heads, self._length or self._most, not self._length)

    @property
    def _most(self) -> int:
        """How many steps can be made of a sequence of free length."""
        counts = self._step is not None and POSITION in self._step.inputs
        return self._step.inputs[POSITION].kind.classes if counts and self._step is not None else CONTEXT

    def numbers(self, start: Sequence[int], draw: Draw, seed: int, never: Sequence[int] = ()) -> Iterator[int]:
        """The pieces that come after start, without end. never: pieces that must not come; where no other is probable
        at all, the others are equally so."""
        random = np.random.default_rng(seed)
        reader = self.reader()
        new: Sequence[int] = start
        while True:
            probabilities = np.array(reader.read(new))
            probabilities[list(never)] = 0
            if not probabilities.any():
                probabilities[:] = 1
                probabilities[list(never)] = 0
            new = [draw.choose(probabilities, random)]
            yield new[0]
