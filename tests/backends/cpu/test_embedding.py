"""Rows of tables, random numbers, weighted sums along an axis."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ops import Gather, RandomUniform, ScatterAdd, Taps
from tests.support.kernels import check, compute, every_isa

pytestmark = [every_isa, pytest.mark.usefixtures("threads")]


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("features", [1, 7, 16, 50, 300])
def test_rows(isa: str, features: int, dtype: str) -> None:
    generator = np.random.default_rng(features)
    table = generator.standard_normal((37, features)).astype(np.float32)
    for shape in ((0,), (1,), (3, 50), (2, 3, 4)):
        places = generator.integers(0, 37, shape).astype(dtype)
        check(isa, Gather(), table, places)
        check(isa, ScatterAdd(37), generator.standard_normal((*shape, features)).astype(np.float32), places)


def test_sums_in_row_order(isa: str) -> None:
    generator = np.random.default_rng(0)
    x, places = generator.standard_normal((500, 33)).astype(np.float32), generator.integers(0, 5, 500).astype(np.int32)
    (found,) = compute(isa, ScatterAdd(9), x, places)
    np.testing.assert_array_equal(found, ScatterAdd(9).reference(x, places))


@pytest.mark.parametrize("features", [127, 128])
def test_tables_that_no_cache_holds(isa: str, features: int) -> None:
    x, places = np.ones((3, features), np.float32), np.array([40_000, 0, 40_000], np.int32)
    (found,) = compute(isa, ScatterAdd(40_001), x, places)
    assert found.sum() == 3 * features
    assert found[40_000].tolist() == [2] * features


def test_places_outside(isa: str) -> None:
    places = np.array([-1, 3, 2, 2**31 - 1], np.int32)
    (rows,) = compute(isa, Gather(), np.ones((3, 2), np.float32), places)
    assert np.isnan(rows[:, 0]).tolist() == [True, True, False, True]
    (table,) = compute(isa, ScatterAdd(3), np.ones((4, 2), np.float32), places)
    assert table[:, 0].tolist() == [0, 0, 1]


@pytest.mark.parametrize("shape", [(), (1,), (7,), (33, 5), (0, 4)], ids=str)
@pytest.mark.parametrize("key, counter", [(0, 0), (12345, 7), (2**63 - 1, 2**40), (1, -1)])
def test_random_numbers_are_the_same_bits(isa: str, shape: tuple[int, ...], key: int, counter: int) -> None:
    op, at = RandomUniform(key, shape), np.array(counter, np.int64)
    (found,) = compute(isa, op, at)
    np.testing.assert_array_equal(found, op.reference(at))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_weighted_sums_along_an_axis(isa: str, most: int, turned: bool) -> None:
    generator = np.random.default_rng(most)
    places = [generator.permutation(30)[: generator.integers(most + 1)] for _ in range(41)]
    op = Taps(1, 30, tuple(tuple((int(p), float(generator.normal())) for p in each) for each in places))
    op = Taps(1, 41, op.turned()) if turned else op
    for shape in ((1, op.size), (2, op.size, 1), (3, op.size, 20), (2, op.size, 4, 5)):
        x = np.random.default_rng(shape).standard_normal(shape).astype(np.float32)
        check(isa, op, x)
