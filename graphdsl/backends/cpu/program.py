"""Steps as one table that C runs."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from time import perf_counter

from graphdsl.backends.cpu.library import Library
from graphdsl.backends.cpu.task import Step


class _CStep(ctypes.Structure):
    _fields_ = (("run", ctypes.c_void_p), ("task", ctypes.c_void_p), ("serial", ctypes.c_int64))


class _CProgram(ctypes.Structure):
    _fields_ = (
        ("steps", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("own", ctypes.c_int64),
        ("shared", ctypes.c_int64),
    )


def table(library: Library, steps: Sequence[Step]) -> Callable[[], None]:
    """The steps as one table, run by one call into C."""
    rows = (_CStep * len(steps))(*(_CStep(s.function, ctypes.addressof(s.task), s.serial) for s in steps))
    own = max((s.own for s in steps), default=0)
    shared = max((s.shared for s in steps), default=0)
    program = _CProgram(ctypes.addressof(rows), len(steps), own, shared)
    run = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(("pool_run", library.c))
    where = ctypes.addressof(program)
    keeps = (rows, program, tuple(steps))

    def call() -> None:
        if run(where):
            raise MemoryError(f"{(own * library.threads + shared):,} bytes of scratch, {len(keeps[2])} steps")

    return call


def seconds(library: Library, steps: Sequence[Step], budget: float = 0.01) -> float:
    """How long the steps take at best: of a few runs, within about the budget."""
    run, least = table(library, steps), float("inf")
    run()
    end = perf_counter() + budget
    while perf_counter() < end:
        start = perf_counter()
        run()
        least = min(least, perf_counter() - start)
    return least
