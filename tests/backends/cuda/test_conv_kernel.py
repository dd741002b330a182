"""Gradients of kernels: borders, tails of channels and filters, strides, dilation, groups, time; every precision."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ops import Conv
from tests.support.cuda.checks import check, needs_compiler

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
