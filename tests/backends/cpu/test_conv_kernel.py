"""Kernel gradients against float64: every way of laying out the sums, every instruction set, more or fewer threads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graphdsl.backends.cpu import conv_kernel
from graphdsl.backends.cpu.backend import CpuBackend
from graphdsl.backends.cpu.library import available, load
from graphdsl.ops.conv import Conv
from tests.backends.cpu.sliding import Convolution, convolution, noise
from tests.support.calls import close, exact, made

TURNED = Convolution(Conv((1, 1), ((0, 0), (0, 0)), (1, 1), 1), (9, 9, 9, 20), (5, 5, 20, 17), (9, 5, 5, 17))
STRAIGHT = Convolution(Conv((1, 1), ((1, 1), (1, 1)), (1, 1), 1), (1, 2, 3, 40), (3, 3, 40, 192), (1, 2, 3, 192))
LONG = Convolution(Conv((2,), ((1, 0),), (1,), 1), (2, 1400, 3), (4, 3, 20), (2, 699, 20))
POINTS = Convolution(Conv((1, 1), ((0, 0), (0, 0)), (1, 1), 2), (3, 20, 20, 34), (1, 1, 17, 66), (3, 20, 20, 66))
PAIRS = Convolution(Conv((1, 1), ((0, 0), (0, 0)), (1, 1), 1), (3, 20, 21, 50), (1, 1, 50, 36), (3, 20, 21, 36))
CUT = Convolution(Conv((2,), ((1, 0),), (1,), 1), (3, 1400, 33), (4, 33, 40), (3, 699, 40))
ODD = Convolution(Conv((1, 1), ((2, 2), (2, 2)), (2, 2), 1), (7, 40, 19, 40), (3, 3, 40, 50), (7, 40, 19, 50))
STRIDED = Convolution(Conv((2, 2), ((0, 1), (0, 1)), (1, 1), 1), (5, 34, 34, 16), (3, 3, 16, 80), (5, 17, 17, 80))
PADDED = Convolution(Conv((1, 1), ((3, 3), (3, 3)), (1, 1), 1), (4, 9, 9, 20), (2, 2, 20, 20), (4, 14, 14, 20))
CASES = {
    **{"turned": TURNED, "straight": STRAIGHT, "long": LONG, "points": POINTS},
    **{"pairs": PAIRS, "cut": CUT, "odd": ODD, "strided": STRIDED, "padded": PADDED},
}


def _check(case: Convolution, isa: str, threads: int, *, fast: bool = True) -> None:
    rng = np.random.default_rng(0)
    machine = CpuBackend(load(isa))
    machine.machine = replace(machine.machine, threads=threads, fast=fast)
    op, operands = case.op.for_kernel(case.kernel[:-2]), [noise(rng, *case.x), noise(rng, *case.y)]
    (result,), (expected,) = made(machine, op, operands), exact(op, operands)
    close(result, expected, 2e-5)


@pytest.fixture(params=["alone", "shared"], autouse=True)
def _sharing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "shared":
        monkeypatch.setattr(conv_kernel, "SERIAL", 0)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("isa", available())
@pytest.mark.parametrize("seed", range(60))
def test_random_convolutions(seed: int, isa: str, fast: bool) -> None:
    """fast: with AMX tiles or Winograd, where there are any."""
    rng = np.random.default_rng(seed)
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    channels = groups * int(rng.choice([1, 2, 3, 4, 8, 16, 17, 20, 33]))
    filters = groups * int(rng.choice([1, 2, 6, 8, 16, 17, 20, 32, 50]))
    window = tuple(int(v) for v in rng.integers(1, 6, rng.integers(1, 3)))
    _check(convolution(rng, channels, filters, groups, window), isa, int(rng.integers(1, 4)), fast=fast)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("isa", available())
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_layout(case: Convolution, isa: str, fast: bool) -> None:
    _check(case, isa, 3, fast=fast)
