"""Maxima of windows and the ways back: every border, tail and tie as the reference has them."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ir import Array
from graphdsl.ops import GlobalMaxPool, MaxPool, MaxPoolGradient, PutWinners, TakeWinners
from tests.support.kernels import check, every_isa

pytestmark = [every_isa, pytest.mark.usefixtures("threads")]

WINDOWS = [
    ((2, 2), (2, 2), ((0, 0), (0, 0))),
    ((3, 3), (2, 2), ((1, 1), (1, 1))),
    ((3, 3), (2, 2), ((0, 1), (0, 1))),
    ((3, 3), (1, 1), ((1, 1), (1, 1))),
    ((3, 2), (2, 3), ((2, 0), (0, 1))),
    ((2, 2), (3, 3), ((1, 0), (0, 0))),
    ((5, 4), (2, 1), ((2, 2), (1, 3))),
    ((1, 1), (2, 2), ((0, 0), (0, 0))),
]


def some(*shape: int, seed: int = 0) -> Array:
    """Few different numbers, so that there are ties, with infinities and a NaN."""
    generator = np.random.default_rng((seed, *shape))
    x = generator.integers(-3, 4, shape).astype(np.float32)
    x[generator.random(shape) < 0.1] = -np.inf
    x[generator.random(shape) < 0.03] = np.inf
    x[generator.random(shape) < 0.03] = np.nan
    return x


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("channels", [1, 3, 6, 16, 21, 64])
def test_pictures(isa: str, window: tuple, channels: int) -> None:
    op = MaxPool(*window)
    for height, width in ((5, 5), (6, 9), (11, 8)):
        check(isa, op, some(2, height, width, channels))


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("channels", [1, 3, 6, 16, 21, 64])
def test_ways_back(isa: str, window: tuple, channels: int) -> None:
    op = MaxPool(*window)
    for height, width in ((5, 5), (6, 9), (11, 8)):
        y, winner = op.reference(some(2, height, width, channels))
        dy = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
        check(isa, MaxPoolGradient(*window, (height, width)), dy, winner)


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_sequences(isa: str, batch: int) -> None:
    for size, stride, pad in ((2, 2, (0, 0)), (3, 1, (1, 1)), (4, 3, (0, 2))):
        op, x = MaxPool((size,), (stride,), (pad,)), some(batch, 11, 5)
        check(isa, op, x)
        y, winner = op.reference(x)
        check(isa, MaxPoolGradient((size,), (stride,), (pad,), (11,)), np.ones_like(y), winner)


@pytest.mark.parametrize("channels", [1, 6, 16, 37])
def test_winners_of_all(isa: str, channels: int) -> None:
    x = some(3, 9, channels)
    check(isa, GlobalMaxPool(), x)
    y, winner = GlobalMaxPool().reference(x)
    check(isa, PutWinners(9), np.cos(np.arange(y.size, dtype=np.float32)).reshape(y.shape), winner)
    check(isa, TakeWinners(), x, winner)


def test_winners_of_many(isa: str) -> None:
    generator = np.random.default_rng(0)
    winner = generator.integers(0, 7, (3, 5, 21)).astype(np.int32)
    check(isa, PutWinners(7), generator.standard_normal(winner.shape).astype(np.float32), winner)
    check(isa, TakeWinners(), some(3, 7, 21), winner)
