"""Formulas on a GPU: however operands are stretched, whatever they hold, wherever results lie."""

from __future__ import annotations

import re

import numpy as np
import pytest

from graphdsl.backends.cuda.elementwise import argument_struct
from graphdsl.backends.cuda.formula import formula_of
from graphdsl.backends.cuda.unit import KERNELS, Unit
from graphdsl.ops import Elementwise, Formulas
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Expression, Operand
from tests.support.cuda.budget import needs_compiler as needs_nvrtc
from tests.support.cuda.budget import within
from tests.support.cuda.kernels import check, computed, needs_compiler, wave

A, B, C, D = (Operand(i) for i in range(4))
pytestmark = needs_compiler
SPECIAL = np.array([0.0, -0.0, 1.0, -2.5, np.inf, -np.inf, np.nan, 3e38, 1e7, -40.5], np.float32)


def test_every_function_has_a_text() -> None:
    text = (KERNELS / "scalar.cuh").read_text()
    assert set(re.findall(r"DEVICE (?:T|float|bool|i32) (\w+)\(", text)) == set(e.FUNCTIONS)


@pytest.mark.parametrize(
    "shapes",
    [
        ((5000,), (5000,), ()),
        ((4099,), (4099,), (1,)),
        ((6, 8), (8,), (6, 1)),
        ((6, 7), (7,), (6, 1)),
        ((3, 1, 4, 5), (2, 1, 5), (3, 2, 4, 1)),
        ((3, 1, 4, 8), (2, 1, 8), (3, 1, 1, 1)),
        ((2, 3, 1, 2, 1, 4), (1, 3, 2, 1, 3, 1), (2, 1, 1, 2, 1, 1)),
        ((), (), ()),
        ((1, 1), (1,), (3, 1)),
    ],
)
def test_operands_are_stretched(shapes: tuple[tuple[int, ...], ...]) -> None:
    x, y, z = (wave(*shape) for shape in shapes)
    check(Elementwise(e.maximum(A * 0.3 + B, 0) - C, 3), x, y, z, tolerance=1e-6)


def test_a_result_of_no_whole_steps_at_no_round_address() -> None:
    for shift in (4, 16):
        check(Elementwise(e.maximum(A * 0.3 + B, 0) - C, 3), wave(1027), wave(1027) + 1, wave(), shift=shift)


def test_numbers_do_not_make_another_kernel() -> None:
    one, other = formula_of((A - 0.01 * B,), "vv", "float32"), formula_of((A - 0.3 * B,), "vv", "float32")
    assert one.text == other.text
    assert (one.literals, other.literals) == ((0.01,), (0.3,))


def _every_function() -> list[Expression]:
    arities = {name: len(f.derivatives) for name, f in e.FUNCTIONS.items()}
    return [e.call(name, *(Operand(i) for i in range(arity))) for name, arity in arities.items()]


def test_functions_of_ordinary_numbers_and_of_nan_and_infinity() -> None:
    """All in one kernel: each formula a result, truth as 1 and 0."""
    x, y = (np.ascontiguousarray(a.reshape(-1)) for a in np.meshgrid(SPECIAL, SPECIAL))
    trees = tuple(e.where(t, 1, 0) if e.gives_truth(t) else t for t in _every_function())
    several = Formulas(trees, 3)
    expected = several.reference(x, y, x[::-1])
    for name, got, want in zip(e.FUNCTIONS, computed(several, x, y, x[::-1].copy()), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6, err_msg=name)


def test_truth_and_whole_numbers() -> None:
    x, n = wave(6, 8), (np.arange(48, dtype=np.int32) - 20).reshape(6, 8) * 50_000_001
    is_large, few = x > 0.2, np.arange(8, dtype=np.int32)
    check(Elementwise(e.both(A > B, C), 3), x, wave(8), is_large)
    check(Elementwise(e.where(A, B, C), 3), is_large, n, few)
    check(Elementwise(e.maximum(A, B) - 1, 2), n, few)
    check(Elementwise(e.where(e.equal(A, B), C, 0), 3), n, n[0], x)
    check(Elementwise(e.where(A, B, 0) * C, 3), is_large[:, :1].copy(), x, few)
    check(Elementwise(A < 5, 1), few)


def test_results_lie_where_operands_lay() -> None:
    (w, g, m), rate = wave(3, 3, 341), np.array(0.1, np.float32)
    mean = 0.9 * C + 0.1 * B
    check(Formulas((mean, A - D * mean, mean * B), 4), w, g, m, rate, onto={0: 2, 1: 0})
    check(Formulas((B, A), 2), w, g, onto={0: 0, 1: 1})


def test_a_formula_that_reads_nothing_and_one_that_reads_some() -> None:
    check(Elementwise(e.Literal(2.5), 2), wave(3, 4), wave(4))
    check(Elementwise(C + 1, 3), wave(3, 4), wave(4), wave(3, 1))


@needs_nvrtc
def test_all_functions_stay_in_registers() -> None:
    every = [e.where(t, 1, 0) if e.gives_truth(t) else t for t in _every_function()]
    for trees in (every[::2], every[1::2]):
        formula = formula_of(trees, "vvv", "float32")
        struct = argument_struct(len(formula.operands), len(trees), len(formula.literals))
        within(Unit("elementwise", "elementwise<2, 4, u32>", struct, formula.text), 255)
        within(Unit("elementwise", "elementwise<1, 4, i64>", struct, formula.text), 255, ["sm_90"])
