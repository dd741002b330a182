"""Products of matrices on our kernels: every tile, transposed or not, sizes that fit and that do not, shared sums."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest

from graphdsl.backends.cuda import fused, linear, tiles
from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.launch import Launch
from graphdsl.backends.cuda.launcher import Gpu
from graphdsl.backends.cuda.linear import TILES, Sizes, Tile, multiplied
from graphdsl.ops import Elementwise, Fused, MatMul
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Operand
from tests.support.cuda.kernels import check, computed, every_schedule, needs_compiler, wave
from tests.support.cuda.simulated import SimulatedDevice

pytestmark = needs_compiler
turned = pytest.mark.parametrize("turn_a, turn_b", [(False, False), (True, False), (False, True), (True, True)])
every_tile = pytest.mark.parametrize("tile", TILES, ids=lambda t: f"{t.rows}x{t.columns}")


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch, tile: Tile) -> Tile:
    """All products are made of this small tile."""
    monkeypatch.setattr(linear, "TILES", (tile,))
    monkeypatch.setattr(linear, "_cycles", lambda *_: float("inf"))
    return tile


@pytest.fixture
def in_large_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """All products are made of large tiles, of 64 rows: the others are known from convolutions."""
    monkeypatch.setattr(linear, "_cycles", lambda *_: 0.0)
    for name in ("PLAIN", "TENSOR", "NARROW"):
        monkeypatch.setattr(tiles, name, [t for t in getattr(tiles, name) if (t.rows, t.columns) == (64, 64)])


def product(
    turn_a: bool, turn_b: bool, rows: int, columns: int, depth: int, *batch: int, tolerance: float = 3e-6, **how: object
) -> None:
    a, b = wave(*batch, rows, depth), wave(*batch, depth, columns)
    a, b = a.swapaxes(-1, -2) if turn_a else a, b.swapaxes(-1, -2) if turn_b else b
    op = MatMul(turn_a, turn_b)
    check(op, np.ascontiguousarray(a), np.ascontiguousarray(b), tolerance=tolerance, **how)


@every_schedule
@every_tile
@turned
def test_sizes_that_fit_no_tile(only: Tile, turn_a: bool, turn_b: bool, seed: int) -> None:
    product(turn_a, turn_b, only.rows + 3, only.columns + 1, only.stage + 7, seed=seed, processors=1)


@every_schedule
@every_tile
@turned
def test_quads(only: Tile, turn_a: bool, turn_b: bool, seed: int) -> None:
    depth = only.stage * only.stages + 8
    product(turn_a, turn_b, only.rows + 4, only.columns // 2 + 4, depth, seed=seed, processors=1)


@every_schedule
@pytest.mark.parametrize("precision, exact", [("float32", 3e-6), ("tf32", 2e-3), ("bf16", 1e-2)])
@turned
@pytest.mark.usefixtures("in_large_tiles")
def test_large_tiles(turn_a: bool, turn_b: bool, precision: str, exact: float, seed: int) -> None:
    product(turn_a, turn_b, 67, 9, 37, tolerance=exact, precision=precision, seed=seed)
    product(turn_a, turn_b, 36, 72, 72, tolerance=exact, precision=precision, seed=seed)


@every_schedule
@pytest.mark.parametrize("precision, exact", [("float32", 3e-6), ("tf32", 2e-3)])
@pytest.mark.usefixtures("in_large_tiles")
def test_large_tiles_that_blocks_share(precision: str, exact: float, seed: int) -> None:
    product(True, False, 8, 12, 300, 2, tolerance=exact, precision=precision, seed=seed, processors=8)


@every_schedule
@turned
@pytest.mark.parametrize("fixed", [(), (1,)])
@pytest.mark.usefixtures("in_large_tiles")
def test_factors_that_are_packed(
    turn_a: bool, turn_b: bool, fixed: tuple[int, ...], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "_worth_packing", lambda *_: True)
    product(turn_a, turn_b, 35, 66, 75, 2, tolerance=1e-2, precision="bf16", seed=seed, fixed=fixed)


@every_schedule
@pytest.mark.parametrize("shift", [0, 8])
def test_a_sum_that_blocks_share(seed: int, shift: int) -> None:
    product(True, False, 8, 12, 900, seed=seed, processors=8, shift=shift)


@every_schedule
def test_matrix_after_matrix(seed: int) -> None:
    product(False, True, 5, 7, 9, 3, 2, seed=seed)
    product(True, False, 4, 20, 300, 2, seed=seed, processors=16)


@every_schedule
@turned
def test_one_column(turn_a: bool, turn_b: bool, seed: int) -> None:
    product(turn_a, turn_b, 37, 1, 20, seed=seed)
    product(turn_a, turn_b, 1, 1, 3, seed=seed)


def test_nothing_to_add_up_is_zero() -> None:
    (made,) = computed(MatMul(), np.empty((3, 0), np.float32), np.empty((0, 5), np.float32))
    np.testing.assert_array_equal(made, np.zeros((3, 5)))
    (none,) = computed(MatMul(), wave(0, 4), wave(4, 3))
    assert none.shape == (0, 3)


def test_what_is_not_finite_stays_in_its_row_and_column() -> None:
    a, b = wave(20, 40), wave(40, 24)
    a[3, 39], b[0, 5] = np.nan, np.inf
    (made,) = computed(MatMul(), a, b)
    assert np.isnan(made[3]).all() and not np.isfinite(made[:, 5]).any()
    assert np.isfinite(np.delete(np.delete(made, 3, 0), 5, 1)).all()


def launched(rows: int, columns: int, depth: int, precision: str) -> Launch:
    """What a large GPU launches."""
    gpu = Gpu(SimulatedDevice(processors=132), precision)
    shapes = (rows, depth), (depth, columns), (rows, columns)
    a, b, c = (DeviceArray(None, 256, shape, np.dtype("float32")) for shape in shapes)
    plan = multiplied(MatMul(), a, b, c, gpu)
    assert plan is not None
    return plan.launches[-1]


def test_few_results_of_long_sums_keep_many_blocks_busy() -> None:
    tile, parts = Sizes(1, 64, 256, 12800).best(132)
    assert parts > 1 and Sizes(1, 64, 256, 12800).tiles(tile) * parts > 100
    assert "product<tile<4, 32" in launched(1, 4096, 4096, "float32").unit.expression
    assert "product<tile<16, 16" in launched(64, 10, 128, "bf16").unit.expression


def test_large_products_are_made_in_large_tiles() -> None:
    assert "<plain_sums<128, 128" in launched(1024, 1024, 1024, "float32").unit.expression
    assert "<tensor_sums<128, 128" in launched(1024, 1024, 1024, "tf32").unit.expression
    assert "BF16" in launched(1024, 1024, 1024, "bf16").unit.expression
    assert "PAIRS" in launched(4096, 4096, 4096, "bf16").unit.expression


@pytest.mark.parametrize("tile", TILES)
def test_shared_memory_that_every_gpu_has(tile: Tile) -> None:
    assert max(tile.shared(a, b) for a in (False, True) for b in (False, True)) <= 99 << 10
    assert tile.threads % 32 == 0 and tile.stage % 4 == 0 and ceil(tile.threads / 1024) == 1


@every_schedule
@pytest.mark.parametrize("rows, columns, depth", [(9, 6, 40), (20, 1, 9), (8, 12, 900)])
def test_a_formula_rides_on_the_product(
    rows: int, columns: int, depth: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    y, bias, more, gate = (Operand(i) for i in range(4))
    formula = Elementwise(e.maximum(y + bias, 0) * gate + more, 4, title="all kinds")
    a, b, skip = wave(2, rows, depth), wave(2, depth, columns), wave(2, rows, columns)
    arrays = (a, b, wave(columns), skip, wave(2, rows, 1))
    monkeypatch.setattr(fused, "computed", lambda *_: None)
    check(Fused(MatMul(), formula, 0), *arrays, tolerance=3e-6, seed=seed, processors=8)
