"""A window for every channel: the usual ones and others, with tails, borders and strides; and both gradients."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ops import Conv
from tests.support.cuda.checks import check, needs_compiler

pytestmark = needs_compiler

CASES = [
    ((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), (2, 7, 9, 8)),
    ((3, 3), (2, 2), ((0, 1), (0, 1)), (1, 1), (1, 8, 11, 5)),
    ((5, 5), (1, 1), ((2, 2), (4, 0)), (1, 1), (1, 6, 7, 4)),
    ((5, 5), (2, 2), ((2, 2), (2, 2)), (1, 1), (1, 9, 9, 36)),
    ((3, 2), (1, 3), ((1, 0), (0, 2)), (2, 1), (2, 9, 8, 3)),
    ((4,), (1,), ((3, 0),), (2,), (2, 17, 6)),
]


@pytest.mark.parametrize(("window", "stride", "pad", "dilation", "shape"), CASES)
def test_both_ways(window, stride, pad, dilation, shape) -> None:
    rng = np.random.default_rng(len(window))
    op = Conv(stride, pad, dilation, shape[-1])
    x = rng.standard_normal(shape).astype("float32")
    kernel = rng.standard_normal((*window, 1, shape[-1])).astype("float32")
    dy = np.cos(op.reference(x, kernel)).astype("float32")
    check(op, [x, kernel], 2e-6)
    check(op.for_input(shape[1:-1]), [dy, kernel], 2e-6)
    first, second = check(op.for_kernel(window), [x, dy], 2e-6)
    np.testing.assert_array_equal(first[0], second[0])
