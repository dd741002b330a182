"""Means of windows, both ways: every border and tail."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ir import Array
from graphdsl.ops import AvgPool, AvgPoolGradient
from tests.support.kernels import check, every_isa

pytestmark = [every_isa, pytest.mark.usefixtures("threads")]

WINDOWS = [
    ((2, 2), (2, 2), ((0, 0), (0, 0))),
    ((3, 3), (2, 2), ((1, 1), (1, 1))),
    ((3, 3), (1, 1), ((1, 1), (1, 1))),
    ((3, 2), (2, 3), ((2, 0), (0, 1))),
    ((2, 2), (3, 3), ((1, 0), (0, 0))),
    ((5, 4), (2, 1), ((2, 2), (1, 3))),
    ((5, 5), (5, 5), ((0, 0), (0, 0))),
]


def some(*shape: int) -> Array:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("channels", [1, 6, 16, 37])
def test_pictures(isa: str, window: tuple, channels: int, counted: bool) -> None:
    for height, width in ((5, 5), (6, 9), (11, 8)):
        op, x = AvgPool(*window, counted), some(2, height, width, channels)
        check(isa, op, x)
        dy = some(*op.reference(x).shape)
        check(isa, AvgPoolGradient(*window, counted, (height, width)), dy)


@pytest.mark.parametrize("batch", [0, 3])
def test_sequences(isa: str, batch: int) -> None:
    for size, stride, pad in ((2, 2, (0, 0)), (3, 1, (1, 1)), (4, 3, (0, 2))):
        op, x = AvgPool((size,), (stride,), (pad,), False), some(batch, 11, 5)
        check(isa, op, x)
        check(isa, AvgPoolGradient(op.size, op.stride, op.pad, False, (11,)), op.reference(x))


def test_no_number_stays_where_it_is(isa: str) -> None:
    x = some(1, 6, 6, 3)
    x[0, 2, 3, 1], x[0, 5, 5, 0] = np.nan, np.inf
    op = AvgPool((3, 3), (2, 2), ((1, 1), (1, 1)), False)
    check(isa, op, x)
    back = AvgPoolGradient(op.size, op.stride, op.pad, False, (6, 6))
    check(isa, back, op.reference(x))
