"""Pools: windows that overlap, leave places out, or reach into padding; NaN; long sequences."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ops import AvgPool, AvgPoolGradient, GlobalMaxPool, MaxPool, MaxPoolGradient, PutWinners
from tests.support.calls import made
from tests.support.cuda.checks import check, machine, needs_compiler

pytestmark = needs_compiler

WINDOWS = [
    ((2, 2), (2, 2), ((0, 0), (0, 0))),
    ((3, 3), (2, 2), ((1, 1), (1, 1))),
    ((3, 2), (1, 3), ((1, 0), (0, 1))),
    ((1, 2), (3, 2), ((0, 0), (0, 0))),
]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("channels", [1, 5])
def test_pictures(window, channels) -> None:
    rng = np.random.default_rng(channels)
    x = rng.standard_normal((2, 11, 8, channels)).astype("float32")
    y, winner = MaxPool(*window).reference(x)
    check(MaxPool(*window), [x], 0)
    dy = rng.standard_normal(y.shape).astype("float32")
    check(MaxPoolGradient(*window, (11, 8)), [dy, winner])
    for counted in (False, True):
        check(AvgPool(*window, counted), [x])
        check(AvgPoolGradient(*window, counted, (11, 8)), [dy])


def test_nan_wins() -> None:
    x = np.array([1.0, np.nan, 3.0, -np.inf, -np.inf, -np.inf], np.float32).reshape(1, 6, 1)
    pool = MaxPool((3,), (3,), ((0, 0),))
    for actual, expected in zip(made(machine(), pool, [x]), pool.reference(x), strict=True):
        np.testing.assert_array_equal(actual, expected)
    for actual, expected in zip(made(machine(), GlobalMaxPool(), [x]), GlobalMaxPool().reference(x), strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(("steps", "channels"), [(1, 1), (100, 3), (7, 40)])
def test_whole_sequences(steps, channels) -> None:
    x = np.random.default_rng(steps).integers(0, 9, (3, steps, channels)).astype("float32")
    y, winner = GlobalMaxPool().reference(x)
    check(GlobalMaxPool(), [x], 0)
    check(PutWinners(steps), [y, winner], 0)
