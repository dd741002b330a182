"""Convolutions and their input gradients on our kernels: borders, tails, strides, groups, every tile, shared sums."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import pytest

from graphdsl.backends.cuda import conv, tiles
from graphdsl.backends.cuda.conv import unit
from graphdsl.backends.cuda.tiles import NARROW, PLAIN, TENSOR, Tile
from graphdsl.ir import Array
from graphdsl.ops import Conv, ConvInputGradient, Elementwise, Fused, Sliding
from graphdsl.ops.expression import Operand, maximum, where
from tests.support.cuda.budget import needs_compiler as needs_nvrtc
from tests.support.cuda.budget import within
from tests.support.cuda.kernels import SEEDS, check, computed, needs_compiler, wave

ROUNDING = {"float32": 0.0, "tf32": 2.0**-11, "bf16": 2.0**-8}
"""What a factor may lose, as part of itself."""
LOST = 2.0**-24
"""What a sum may lose at each of its steps, as part of all that is added."""

SAME = ((1, 1), (1, 1))
NONE = ((0, 0), (0, 0))
Settings = tuple[tuple[int, ...], tuple[tuple[int, int], ...], tuple[int, ...], int]
CASES: dict[str, tuple[Settings, tuple[int, ...], tuple[int, ...]]] = {
    "same": (((1, 1), SAME, (1, 1), 1), (3, 9, 7, 8), (3, 3, 8, 40)),
    "one channel": (((1, 1), NONE, (1, 1), 1), (2, 12, 12, 1), (5, 5, 1, 6)),
    "three channels, half the places": (((2, 2), ((3, 3), (3, 2)), (1, 1), 1), (2, 17, 15, 3), (7, 7, 3, 16)),
    "half the places": (((2, 2), ((0, 1), (1, 1)), (1, 1), 1), (2, 10, 9, 20), (3, 3, 20, 16)),
    "a third, and a dilated window": (((3, 1), ((2, 0), (2, 3)), (2, 3), 1), (2, 11, 8, 4), (2, 3, 4, 8)),
    "stride and dilation have a divisor": (((2, 2), SAME, (2, 4), 1), (1, 9, 12, 4), (3, 2, 4, 4)),
    "groups": (((1, 1), SAME, (1, 1), 3), (2, 6, 5, 24), (3, 3, 8, 12)),
    "groups, half the places": (((2, 2), SAME, (1, 1), 2), (2, 6, 7, 6), (3, 3, 3, 10)),
    "pixel by pixel": (((1, 1), NONE, (1, 1), 1), (2, 7, 9, 20), (1, 1, 20, 16)),
    "strides beyond the window": (((2, 3), NONE, (1, 1), 1), (2, 7, 8, 8), (1, 1, 8, 1)),
    "a sequence": (((1,), ((4, 0),), (2,), 1), (3, 21, 12), (3, 12, 20)),
    "a long window": (((1,), ((20, 19),), (1,), 1), (2, 30, 4), (40, 4, 8)),
}


ONE = {"PLAIN": PLAIN[1], "TENSOR": TENSOR[2], "NARROW": NARROW[1]}


@pytest.fixture
def one_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for all sizes, so that few kernels are to be compiled."""
    for table, tile in ONE.items():
        monkeypatch.setattr(tiles, table, (tile,))


def bounded(op: Sliding, left: Array, right: Array, terms: int, precision: str, **how: object) -> None:
    """The results differ from the exact ones by no more than rounding explains: a part of the sum of all products'
    sizes, in which each factor may be off by its rounding and each step of the sum by a last bit."""
    exact, sizes = (op.reference(f(left), f(right)) for f in (np.float64, lambda a: np.abs(a.astype(np.float64))))
    tolerance = 2.01 * ROUNDING[precision] + (terms + 4) * LOST
    for seed in SEEDS:
        (made,) = computed(op, left, right, precision=precision, seed=seed, **how)  # type: ignore[arg-type]
        assert made.shape == exact.shape
        assert (np.abs(made - exact) <= tolerance * sizes).all()


def convolved(name: str, precision: str, **how: object) -> None:
    settings, x, kernel = CASES[name]
    bounded(Conv(*settings), wave(*x), wave(*kernel), prod(kernel[:-1]), precision, **how)


def sent_back(name: str, precision: str, **how: object) -> None:
    settings, x, kernel = CASES[name]
    forward = Conv(*settings)
    dy = wave(*forward.reference(wave(*x), wave(*kernel)).shape)
    bounded(forward.for_input(x[1:-1]), dy, wave(*kernel), prod(kernel), precision, **how)


@needs_compiler
@pytest.mark.parametrize("precision", ROUNDING)
@pytest.mark.parametrize("name", CASES)
def test_convolution(name: str, precision: str, one_tile: None) -> None:
    convolved(name, precision)


@needs_compiler
@pytest.mark.parametrize("precision", ROUNDING)
@pytest.mark.parametrize("name", CASES)
def test_input_gradient(name: str, precision: str, one_tile: None) -> None:
    sent_back(name, precision)


@pytest.fixture
def all_packed(one_tile: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the product is."""
    monkeypatch.setattr(conv, "_worth_packing", lambda *_: True)


@needs_compiler
@pytest.mark.parametrize("name", CASES)
def test_factors_made_bfloat16_first(name: str, all_packed: None) -> None:
    convolved(name, "bf16")
    sent_back(name, "bf16", fixed=(1,))


@needs_compiler
@pytest.mark.parametrize("precision", ROUNDING)
def test_numbers_that_begin_anywhere(precision: str, one_tile: None) -> None:
    convolved("same", precision, shift=4)
    sent_back("same", precision, shift=4)


@needs_compiler
@pytest.mark.parametrize("precision", ROUNDING)
def test_blocks_share_a_sum(precision: str, one_tile: None) -> None:
    """Twice in a row, so that the counters are what they were; the bits are the same whoever comes last."""
    op, x, kernel = Conv((1, 1), NONE, (1, 1), 1), wave(1, 5, 5, 72), wave(3, 3, 72, 20)
    bounded(op, x, kernel, 9 * 72, precision, processors=40)
    first, other = (computed(op, x, kernel, precision=precision, seed=s, processors=40)[0] for s in SEEDS)
    np.testing.assert_array_equal(first, other)


def _tables() -> list[tuple[str, str, Tile]]:
    tables: Sequence[tuple[str, str, tuple[Tile, ...]]] = (
        ("PLAIN", "float32", PLAIN),
        ("TENSOR", "bf16", TENSOR),
        ("NARROW", "tf32", NARROW),
    )
    return [(name, precision, tile) for name, precision, some in tables for tile in some]


every_tile = pytest.mark.parametrize("table, precision, tile", _tables(), ids=lambda t: f"{getattr(t, 'rows', t)}")


@needs_compiler
@every_tile
def test_tiles(table: str, precision: str, tile: Tile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and columns that no tile divides, more k than a ring holds, a tail of it."""
    monkeypatch.setattr(tiles, table, (tile,))
    channels = 20 if table != "NARROW" else 19
    op, x, kernel = Conv((1, 1), SAME, (1, 1), 1), wave(3, 7, 7, channels), wave(3, 3, channels, 36)
    bounded(op, x, kernel, 9 * channels, precision)


@needs_compiler
def test_what_is_not_finite_stays_where_it_is_seen(one_tile: None) -> None:
    x, kernel = wave(1, 6, 6, 4), wave(3, 3, 4, 8)
    x[0, 0, 0, 1], x[0, 5, 5, 2] = np.nan, np.inf
    for precision in ROUNDING:
        (y,) = computed(Conv((1, 1), SAME, (1, 1), 1), x, kernel, precision=precision)
        assert np.isnan(y[0, :2, :2]).all() and not np.isfinite(y[0, 4:, 4:]).any()
        y[0, :2, :2] = y[0, 4:, 4:] = 0
        assert np.isfinite(y).all()


def test_nothing_to_make() -> None:
    op = Conv((1, 1), SAME, (1, 1), 1)
    (y,) = computed(op, wave(0, 5, 5, 3), wave(3, 3, 3, 4))
    assert y.shape == (0, 5, 5, 4)
    back = ConvInputGradient((1, 1), SAME, (1, 1), 1, (5, 5))
    assert computed(back, wave(0, 5, 5, 4), wave(3, 3, 3, 4))[0].shape == (0, 5, 5, 3)


@needs_nvrtc
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("precision", [*ROUNDING, "pairs"])
def test_the_largest_tiles_fit_registers(precision: str, turned: bool) -> None:
    tile, plain = (PLAIN[0], True) if precision == "float32" else (TENSOR[0], False)
    vectors = (4, 1 if plain and turned else 4)
    kernel = unit(tile, precision, vectors, few=True, turned=turned, by_k=turned or precision == "pairs")
    within(kernel, architectures=("sm_80", "sm_90a"))


@needs_compiler
@pytest.mark.parametrize("back", [False, True])
def test_a_formula_over_the_results(back: bool, one_tile: None) -> None:
    """Bias, residual and the mask of a relu, where blocks share sums and where results lie apart."""
    a, b, c, d = (Operand(i) for i in range(4))
    formula = Elementwise(where(d > 0, maximum(a + b, 0) + c, 0), 4, title="several")
    settings, x, kernel = CASES["half the places"]
    first, forward = wave(*x), Conv(*settings)
    if back:
        first = wave(*forward.reference(first, wave(*kernel)).shape)
    producer = forward.for_input(x[1:-1]) if back else forward
    shape = producer.reference(first, wave(*kernel)).shape
    op = Fused(producer, formula, 0)
    check(op, first, wave(*kernel), wave(shape[-1]), wave(*shape), -wave(*shape), tolerance=4e-6, processors=16)
