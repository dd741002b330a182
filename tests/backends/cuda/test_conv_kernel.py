"""Gradients of kernels: borders, tails of channels and filters, strides, dilation, groups, time; every precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from graphdsl.backends.cuda import conv_kernel, tiles
from graphdsl.backends.cuda.launch import Launch
from graphdsl.ops import Conv
from tests.support.calls import close, exact
from tests.support.cuda.checks import SCHEDULES, check, needs_compiler
from tests.support.cuda.kernels import computed
from tests.support.cuda.simulated import SimulatedDevice

pytestmark = needs_compiler

CASES = [
    ((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, (2, 7, 9, 8), 12),
    ((5, 5), (1, 1), ((0, 0), (0, 0)), (1, 1), 1, (3, 12, 12, 1), 6),
    ((3, 2), (2, 1), ((1, 0), (0, 2)), (1, 2), 1, (2, 8, 5, 3), 40),
    ((1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1, (2, 6, 5, 36), 20),
    ((3, 3), (2, 2), ((0, 1), (0, 1)), (1, 1), 3, (1, 8, 6, 12), 24),
    ((4,), (1,), ((3, 0),), (2,), 1, (2, 30, 6), 5),
]

ROUNDED = {"float32": 2e-6, "tf32": 2.0**-9, "bf16": 2.0**-6}
"""Factors keep 24, 11 or 8 bits; sums of hundreds of products with signs lose up to three of them here."""


@pytest.mark.parametrize(("groups", "filters"), [(1, 5), (2, 8)])
def test_very_many_shares(groups: int, filters: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another launch adds up what the blocks leave."""
    for module in (conv_kernel, tiles):
        monkeypatch.setattr(module, "MOST", 2)
    monkeypatch.setattr(tiles, "APART", 0)
    ran: list[str] = []
    monkeypatch.setattr(SimulatedDevice, "run", noting(ran))
    rng = np.random.default_rng(filters)
    op = Conv((1, 1), ((1, 1), (1, 1)), (1, 1), groups)
    x = rng.standard_normal((2, 20, 21, 4)).astype("float32")
    dy = rng.standard_normal((2, 20, 21, filters)).astype("float32")
    first, second = (computed(op.for_kernel((3, 3)), x, dy, seed=seed, processors=64)[0] for seed in SCHEDULES)
    assert any("conv_kernel_total" in name for name in ran)
    close(first, exact(op.for_kernel((3, 3)), [x, dy])[0], 2e-6)
    np.testing.assert_array_equal(first, second)


def noting(ran: list[str]) -> Callable[[SimulatedDevice, Sequence[Launch]], None]:
    """Runs launches, and notes down what they are."""
    run = SimulatedDevice.run

    def noted(device: SimulatedDevice, launches: Sequence[Launch]) -> None:
        ran.extend(launch.unit.expression for launch in launches)
        run(device, launches)

    return noted


@pytest.mark.parametrize("precision", ROUNDED)
@pytest.mark.parametrize(("window", "stride", "pad", "dilation", "groups", "shape", "filters"), CASES)
def test_kernel_gradient(window, stride, pad, dilation, groups, shape, filters, precision) -> None:
    rng = np.random.default_rng(filters)
    op = Conv(stride, pad, dilation, groups)
    x = rng.standard_normal(shape).astype("float32")
    kernel = np.zeros((*window, shape[-1] // groups, filters), "float32")
    dy = rng.standard_normal(op.reference(x, kernel).shape).astype("float32")
    first, second = check(op.for_kernel(window), [x, dy], ROUNDED[precision], precision=precision)
    np.testing.assert_array_equal(first[0], second[0])
