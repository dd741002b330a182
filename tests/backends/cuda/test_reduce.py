"""Sums, moments and maxima on a GPU: every way of sharing out the work, whatever axes are summed."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends.cuda.formula import formula_of
from graphdsl.backends.cuda.reduce import argument_struct
from graphdsl.backends.cuda.unit import Unit
from graphdsl.ops import Max, Moments, Reduced, Sum
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Operand
from tests.support.cuda.budget import needs_compiler as needs_nvrtc
from tests.support.cuda.budget import within
from tests.support.cuda.kernels import check, computed, needs_compiler, wave

A, B, C = (Operand(i) for i in range(3))
OF_ALL_KINDS = {(70, 516), (2, 34000), (900, 6), (40, 132), (3, 4, 5, 8), (5, 1, 3)}
"""Shapes for which moments and maxima are tried as well as sums: each is another kernel to compile."""


@needs_compiler
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((70, 10), (1,)),  # four threads a row
        ((70, 516), (1,)),  # a warp a row
        ((37, 1100), (1,)),  # a block a row
        ((2, 34000), (1,)),  # several blocks a row
        ((9001,), (0,)),
        ((3, 4, 5, 8), (1, 3)),
        ((3, 4, 5, 7), (0, 2, 3)),
        ((900, 6), (0,)),  # columns one by one, several blocks a column
        ((40, 132), (0,)),  # columns by fours, in two tiles
        ((3, 50, 64), (1,)),
        ((3, 4, 5, 8), (0, 2)),
        ((2, 3, 2, 3, 2, 3), (0, 2, 4)),
        ((5, 1, 3), (1,)),
    ],
)
def test_axes_of_every_kind(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    x = wave(*shape)
    check(Sum(axes), x)
    if shape in OF_ALL_KINDS:
        check(Moments(axes), x, tolerance=1e-6)
        check(Max(axes), x, tolerance=0)


@needs_compiler
def test_formulas_of_operands_that_are_stretched() -> None:
    x, g, mean = wave(600, 3, 20), wave(3, 20), wave(1, 20)
    kept, factor = wave(600, 1, 20) > 0, np.array(0.3, np.float32)
    shown = e.where(A > 0, B, 0)
    check(Reduced((0, 1), (shown, shown * (A - C)), 3), x, g, mean)
    check(Reduced((1,), (e.where(B, A, 0) * C, e.exp(A * 0.5), A), 3), x, kept, factor)
    check(Reduced((0, 1, 2), (e.where(B, A * A, 0),), 2), x, np.array(True))
    check(Reduced((2,), (A * B + C, A), 3), x, mean, wave(600, 1, 1))
    check(Reduced((0,), tuple(A * float(i) for i in range(11)), 1), wave(50, 8))
    check(Reduced((1,), (e.where(e.equal(A, B), 1, 0) * C,), 3), *_labels(), factor)


def _labels() -> tuple[np.ndarray, np.ndarray]:
    return np.array([[2], [0], [7]], np.int32), np.arange(40, dtype=np.int32) % 9


@needs_compiler
@pytest.mark.parametrize("shift", [4, 16])
def test_arrays_at_no_round_address(shift: int) -> None:
    check(Sum((0,)), wave(40, 132), shift=shift)
    check(Sum((1,)), wave(40, 132), shift=shift)


@needs_compiler
def test_nothing_cancels_in_a_variance() -> None:
    """Far from 0, where a float32 is off by a hundredth of the deviation, and where the first number is an outlier."""
    far = (1000 + wave(3000, 8) / 100).astype(np.float32)
    spike = np.zeros((5000, 4), np.float32)
    spike[0] = 1
    for x in (far, spike):
        for axis, array in ((0, x), (1, np.ascontiguousarray(x.T))):
            _, variance = computed(Moments((axis,)), array)
            wide = array.astype(np.float64)
            np.testing.assert_allclose(variance, wide.var(axis, keepdims=True), rtol=1e-3)


@needs_compiler
def test_nan_infinity_and_nothing() -> None:
    x = wave(3, 40)
    x[0, 7], x[1, 3], x[2] = np.nan, np.inf, -np.inf
    np.testing.assert_array_equal(computed(Max((1,)), x)[0], x.max(1, keepdims=True))
    np.testing.assert_array_equal(computed(Sum((1,)), x)[0], x.sum(1, keepdims=True))
    empty = np.zeros((0, 4), np.float32)
    assert (computed(Sum((0,)), empty)[0] == 0).all()
    assert np.isnan(computed(Moments((0,)), empty)).all()
    assert computed(Sum((1,)), empty)[0].shape == (0, 1)
    np.testing.assert_array_equal(computed(Moments((0,)), wave(1, 4)), [wave(1, 4), np.zeros((1, 4))])


@needs_nvrtc
@pytest.mark.parametrize("kernel", ["reduce_rows<{}, 256, 4, 2, u32>", "reduce_columns<{}, 32, 4, 1, u32>"])
def test_registers(kernel: str) -> None:
    one, norm = formula_of((A,), "v", "float32", sums=True), formula_of((B, (A - C) * B), "vvv", "float32", sums=True)
    for way, formula in (("sums", norm), ("moments", one), ("largest", one)):
        struct = argument_struct(len(formula.operands), len(formula.literals))
        within(Unit("reduce", kernel.format(way), struct, formula.text), 64)
