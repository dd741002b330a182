"""A GPU that is only planned for: what a program would launch there, found where there is none.

It compiles nothing and runs nothing; it gives out addresses and keeps what is recorded, so that launches can be
counted and their times foretold (gpu_model.py) on any machine.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from graphdsl.backends import registry
from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.backends.cuda.calls import Fallback, Native
from graphdsl.backends.cuda.device import Device, Recording
from graphdsl.backends.cuda.launch import Launch, Step
from graphdsl.backends.cuda.many import Together, together
from graphdsl.backends.cuda.order import steps_of
from graphdsl.backends.cuda.unit import Unit
from graphdsl.ir import Array, Call
from tests.benchmarks.cases import Case
from tests.benchmarks.ours import Ours

ALIGNED = 256


@dataclass(frozen=True)
class Place:
    """Memory that is nowhere."""

    address: int


class PlannedDevice(Device):
    """Takes everything, does nothing."""

    def __init__(self, name: str = "planned", processors: int = 132, architecture: str = "sm_90a") -> None:
        self.name, self.processors, self.architecture = name, processors, architecture
        self._end = ALIGNED

    def alloc(self, size: int) -> Place:
        start = self._end
        self._end += max(size, 1) + -max(size, 1) % ALIGNED
        return Place(start)

    def write(self, address: int, array: Array) -> None:
        return

    def read(self, address: int, array: Array) -> None:
        array[...] = 0

    def compile(self, units: Collection[Unit]) -> None:
        return

    def run(self, launches: Sequence[Launch]) -> None:
        return

    def record(self, steps: Sequence[Step]) -> Recording:
        return lambda: None

    def synchronize(self) -> None:
        return


@dataclass(frozen=True)
class Planned:
    """A call of a program, or several in one launch, and those that must have ended before. launches: none where the
    reference serves it on the CPU."""

    call: Call
    made: Native | Fallback | Together
    after: tuple[int, ...]

    @property
    def launches(self) -> tuple[Launch, ...]:
        return () if isinstance(self.made, Fallback) else self.made.plan.launches

    @property
    def members(self) -> tuple[Native | Fallback, ...]:
        """The calls of the program."""
        if not isinstance(self.made, Together):
            return (self.made,)
        return tuple(call for call in self.made.calls if isinstance(call, Native))


@dataclass(frozen=True)
class Net:
    """A network's step as it is planned."""

    case: Case
    mode: str
    samples: int
    precision: str
    calls: tuple[Planned, ...]
    arena_bytes: int
    flops: int
    fed_bytes: int

    @property
    def kernels(self) -> int:
        return sum(len(one.launches) for one in self.calls)

    @property
    def left(self) -> tuple[str, ...]:
        """Operators that the reference serves on the CPU."""
        return tuple(sorted({one.call.op.name for one in self.calls if isinstance(one.made, Fallback)}))


def planned(case: Case, mode: str, samples: int, precision: str, device: PlannedDevice) -> Net:
    """The step of a network for this GPU."""
    name = f"planned {id(device)} {precision}"
    registry.BACKENDS[name] = lambda: Fixed(device, precision=precision)
    try:
        ours = Ours(case, mode, samples, name)
    finally:
        del registry.BACKENDS[name]
    return Net(
        *(case, mode, samples, precision),
        _calls(ours.ready.steps[ours.ready.program.once :]),
        ours.arena_bytes,
        ours.flops,
        sum(array.nbytes for array in ours.arrays.values()),
    )


class Fixed(CudaBackend):
    """Its precision is not for specs to choose."""

    def precise(self, precision: str) -> CudaBackend:
        return self


def _calls(steps: Sequence[tuple[Call, object]]) -> tuple[Planned, ...]:
    """With what each waits for; what is left to the CPU waits for all before it, and all behind it for it."""
    found: list[Planned] = []
    group: list[Native] = []

    def close() -> None:
        start, calls = len(found), together(group, PlannedDevice())
        for made, step in zip(calls, steps_of(calls), strict=True):
            assert isinstance(made, Native | Together)
            waits = tuple(start + n for n in step.after) or ((start - 1,) if start else ())
            members = Planned(group[0].call, made, waits).members
            found.append(Planned(members[0].call, made, waits))
        group.clear()

    for call, made in steps:
        if isinstance(made, Native):
            group.append(made)
            continue
        assert isinstance(made, Fallback)
        close()
        found.append(Planned(call, made, tuple(range(len(found)))))
    close()
    return tuple(found)
