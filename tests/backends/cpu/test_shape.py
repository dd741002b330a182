"""Moving numbers: every axis order, every box, every length."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from graphdsl.ir import Array, LengthOf
from graphdsl.ir.dim import symbol
from graphdsl.ops import Concat, DimNumber, Pad, Reshape, Slice, StepMask, Transpose
from tests.support.kernels import check, every_isa

pytestmark = [every_isa, pytest.mark.usefixtures("threads")]
DTYPES = ["float32", "int32", "int64", "bool"]


def some(*shape: int, dtype: str = "float32") -> Array:
    return (np.random.default_rng(shape).standard_normal(shape) * 9).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 5, 4, 2), (1, 37, 1, 19), (2, 16, 33, 7), (4, 1, 1, 3), (0, 2, 3, 4)], ids=str)
def test_axes_in_every_order(isa: str, shape: tuple[int, ...], dtype: str) -> None:
    for axes in permutations(range(4)):
        check(isa, Transpose(axes), some(*shape, dtype=dtype))


@pytest.mark.parametrize("rows, columns", [(1, 50), (16, 16), (17, 15), (33, 70), (100, 3)])
def test_turning_over(isa: str, rows: int, columns: int) -> None:
    check(isa, Transpose((1, 0)), some(rows, columns))


@pytest.mark.parametrize("dtype", DTYPES)
def test_joining(isa: str, dtype: str) -> None:
    for widths in ((3,), (1, 2), (16, 64, 5), (300, 1, 700)):
        check(isa, Concat(2), *(some(2, 3, w, dtype=dtype) for w in widths))
        check(isa, Concat(1), *(some(2, w, 3, dtype=dtype) for w in widths))
        check(isa, Concat(0), *(some(w, 5, dtype=dtype) for w in widths))
    check(isa, Concat(1), some(40, 0, 3), some(40, 2, 3))


@pytest.mark.parametrize("dtype", DTYPES)
def test_boxes(isa: str, dtype: str) -> None:
    x = some(3, 6, 7, 20, dtype=dtype)
    for start, size in (
        ((0, 0, 0, 0), (3, 6, 7, 20)),
        ((0, 0, 0, 3), (3, 6, 7, 17)),
        ((0, 2, 1, 0), (3, 4, 5, 20)),
        ((1, 0, 0, 0), (2, 6, 7, 20)),
        ((2, 5, 6, 19), (1, 1, 1, 1)),
        ((0, 0, 3, 0), (3, 6, 0, 20)),
    ):
        check(isa, Slice(start, size), x)
    for before, after in (
        ((0, 1, 2, 0), (0, 2, 0, 0)),
        ((0, 0, 0, 5), (0, 0, 0, 17)),
        ((1, 0, 0, 0), (3, 0, 0, 0)),
        ((0, 0, 0, 0), (0, 0, 0, 1)),
        ((1, 1, 1, 1), (2, 2, 2, 2)),
    ):
        check(isa, Pad(before, after), x)
    check(isa, Pad((2,), (3,)), some(4, dtype=dtype))
    check(isa, Pad((2, 1), (3, 0)), some(0, 4, dtype=dtype))


def test_copies(isa: str) -> None:
    for size in (0, 1, 63, 1000):
        check(isa, Reshape((size, 1)), some(size))


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("width", [1, 5, 16, 50])
def test_ends_of_sequences(isa: str, dtype: str, width: int) -> None:
    lengths = np.array([4, 0, 9, -1, 7], np.int32)
    check(isa, StepMask(1, -7.0), some(5, 8, width, dtype=dtype), lengths)
    check(isa, StepMask(2), some(5, 3, 8, width, dtype=dtype), lengths)
    check(isa, StepMask(3, 2.5), some(5, 2, 3, 8, dtype=dtype), lengths)


def test_what_stands_behind_the_end_does_not_matter(isa: str) -> None:
    check(isa, StepMask(1), np.full((2, 4, 3), np.nan, np.float32), np.array([0, 2], np.int32))


def test_sizes(isa: str) -> None:
    check(isa, DimNumber(12))
    t = symbol("T")
    for dim in (t, 7, (t - 4) // 5, ((t - 4) // 5 * 3 + t) // 2 - 1, t * t + 3 * t):
        check(isa, LengthOf(dim, "T"), np.arange(-3, 40, dtype=np.int32))
