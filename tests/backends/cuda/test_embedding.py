"""Rows of a table and the way back: frequent words, words that do not come, both kinds of whole numbers."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ops import Gather, ScatterAdd
from tests.support.cuda.checks import check, needs_compiler

pytestmark = needs_compiler


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize(("rows", "features", "count"), [(5, 3, 1), (40, 130, 700), (3, 1, 513)])
def test_there_and_back(rows, features, count, dtype) -> None:
    rng = np.random.default_rng(count)
    places = np.where(rng.random(count) < 0.4, 0, rng.integers(0, rows, count)).astype(dtype)
    check(Gather(), [rng.standard_normal((rows, features)).astype("float32"), places], 0)
    first, second = check(ScatterAdd(rows), [rng.standard_normal((count, features)).astype("float32"), places], 3e-6)
    np.testing.assert_array_equal(first[0], second[0])


def test_sums_are_taken_in_order() -> None:
    values = np.array([[1e8], [1.0], [-1e8], [1.0]], np.float32)
    places = np.zeros(4, np.int32)
    first, _ = check(ScatterAdd(2), [values, places], 1.0)
    assert first[0][0, 0] == np.float32(np.float32(np.float32(1e8) + 1) - np.float32(1e8)) + 1
