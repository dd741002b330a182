"""What kernels take of a GPU, as the compiler says it; no GPU is needed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from graphdsl.backends.cuda import nvrtc
from graphdsl.backends.cuda.nvrtc import Compiled
from graphdsl.backends.cuda.unit import Unit
from graphdsl.report import Failed

ARCHITECTURES = ("sm_80", "sm_90", "sm_90a", "sm_100")
"""Those that we support, by kinds of instructions."""


def compiler() -> bool:
    """Whether there is one for GPU kernels."""
    try:
        nvrtc.library()
    except Failed:
        return False
    return True


needs_compiler = pytest.mark.skipif(not compiler(), reason="NVRTC is not installed: pip install nvidia-cuda-nvrtc")


def within(unit: Unit, registers: int = 255, architectures: Sequence[str] = ARCHITECTURES) -> list[Compiled]:
    """Compiles the unit and asserts that it spills nothing and takes no more registers."""
    made = [nvrtc.compiled(unit, architecture) for architecture in architectures]
    for one, architecture in zip(made, architectures, strict=True):
        said = f"{unit.expression} for {architecture}:\n{one.log}"
        assert one.spills == one.stack == 0, said
        assert one.registers <= registers, said
    return made
