"""Calls on the simulated GPU, against the reference in float64."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest

from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.backends.cuda.calls import Native
from graphdsl.ir import Array, Operator
from tests.support.calls import close, exact, made
from tests.support.cuda.simulated import SimulatedDevice, compiler

SCHEDULES = (0, 7)
"""Orders in which threads run: as they come, and shuffled."""

needs_compiler = pytest.mark.skipif(compiler() is None, reason="kernels run here with g++ on x86-64 only")


class OnlyNative(CudaBackend):
    """Leaves nothing to the reference."""

    def kernel(self, *call, **settings):
        kernel = super().kernel(*call, **settings)
        assert isinstance(kernel, Native), f"no kernel serves {call[0].op}"
        return kernel


@cache
def machine(schedule: int = 0, precision: str = "float32") -> OnlyNative:
    """A simulated GPU, always the same one."""
    return OnlyNative(SimulatedDevice(seed=schedule), precision=precision)


def check(
    op: Operator, arrays: Sequence[Array], tolerance: float = 1e-6, *, precision: str = "float32"
) -> list[tuple[Array, ...]]:
    """Kernels give what the reference says, under every schedule; the results by schedule."""
    found = [made(machine(schedule, precision), op, arrays) for schedule in SCHEDULES]
    for results in found:
        for actual, expected in zip(results, exact(op, arrays), strict=True):
            close(actual, expected, tolerance)
    return found
