"""Calls on the simulated GPU, against the reference in float64."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.backends.cuda.calls import Native
from graphdsl.ir import Array, Operator
from tests.support.calls import close, exact
from tests.support.cuda.kernels import SEEDS, computed, needs_compiler
from tests.support.cuda.simulated import SimulatedDevice

__all__ = ["SCHEDULES", "OnlyNative", "check", "machine", "needs_compiler"]

SCHEDULES = SEEDS


class OnlyNative(CudaBackend):
    """Leaves nothing to the reference."""

    def kernel(self, *call, **settings):
        kernel = super().kernel(*call, **settings)
        assert isinstance(kernel, Native), f"no kernel serves {call[0].op}"
        return kernel


@cache
def machine() -> OnlyNative:
    """A simulated GPU, always the same one."""
    return OnlyNative(SimulatedDevice())


def check(
    op: Operator, arrays: Sequence[Array], tolerance: float = 1e-6, *, precision: str = "float32"
) -> list[tuple[Array, ...]]:
    """Kernels give what the reference says, under every schedule; the results by schedule."""
    found = [computed(op, *arrays, seed=schedule, precision=precision) for schedule in SCHEDULES]
    for results in found:
        for actual, expected in zip(results, exact(op, arrays), strict=True):
            close(actual, expected, tolerance)
    return found
