"""What runs on a GPU, as data: kernels on grids, in order."""

from __future__ import annotations

from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.unit import Arguments, Unit
from graphdsl.report import dataclass


@dataclass(frozen=True)
class Launch:
    """A kernel on a grid.

    grid    blocks along x, y, z
    block   threads of one, along x
    shared  bytes of shared memory that are asked for beyond what the kernel declares
    keeps   arrays besides the call's own that the arguments point into
    """

    unit: Unit
    grid: tuple[int, int, int]
    block: int
    arguments: Arguments
    shared: int = 0
    keeps: tuple[DeviceArray, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a call launches, one after another.

    launches  every time
    once      before the first time, and again when weights have been written from outside: what depends on nothing else
    """

    launches: tuple[Launch, ...]
    once: tuple[Launch, ...] = ()


@dataclass(frozen=True)
class Step:
    """Launches of one call, in order, and the numbers of the earlier steps that must have ended before."""

    launches: tuple[Launch, ...]
    after: tuple[int, ...]
