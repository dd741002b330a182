"""The operator, for every processor: many candidates, many classes, ties, and scores and boxes that are no numbers."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ir import Array
from graphdsl.ops import Nms
from tests.support.kernels import check, every_isa

pytestmark = every_isa


def candidates(batch: int, n: int, classes: int) -> Array:
    """Boxes and scores in steps that floats hold exactly: many ties, and no overlap near a threshold."""
    generator = np.random.default_rng((batch, n, classes))
    boxes = np.concatenate([generator.integers(0, 60, (batch, n, 2)), 2 * generator.integers(0, 13, (batch, n, 2))], 2)
    scores = generator.integers(0, 9, (batch, n, 1 + classes))
    return np.concatenate([boxes / 64, scores / 8], 2).astype(np.float32)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("classes", [1, 3, 80])
@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 100, 600])
def test_many(isa: str, n: int, classes: int, several: bool) -> None:
    x = candidates(3, n, classes)
    for score, overlap, most in ((0.25, 0.4567, 100), (0.0, 0.3017, 7), (0.5, 0.0, 1)):
        check(isa, Nms(score, overlap, most, several), x)


def test_no_numbers(isa: str) -> None:
    x = candidates(1, 200, 3)
    generator = np.random.default_rng(0)
    x.ravel()[generator.integers(0, x.size, 200)] = np.nan
    x.ravel()[generator.integers(0, x.size, 50)] = np.inf
    for several in (False, True):
        check(isa, Nms(0.25, 0.4567, 300, several), x)
