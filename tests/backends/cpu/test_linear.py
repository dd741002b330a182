"""Products of matrices on compiled kernels: every way to transpose, tails, many and few rows, long and short sums."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends.cpu import linear
from graphdsl.ir import Array
from graphdsl.ops import Elementwise, Fused, MatMul
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Operand
from tests.support.kernels import check, compute, machine, with_tiles

SIZES = [
    (1, 1, 1),
    (3, 5, 2),
    (32, 64, 32),
    (32, 32, 10),
    (33, 17, 31),
    (8, 300, 129),
    (9, 500, 64),
    (1, 700, 1000),
    (17, 230, 530),
    (128, 33, 1),
    (1100, 40, 50),
    (40, 2500, 24),
]
"""Rows, depth, columns."""


@pytest.fixture(params=["alone", "shared"])
def parted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "shared":
        monkeypatch.setattr(linear, "SERIAL", 0)


@pytest.fixture(params=["vectors", "tiles"])
def exact(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """How exact results are where products are taken so: tiles take numbers as pairs of bfloat16."""
    tiles = request.param == "tiles"
    monkeypatch.setattr(linear, "WORTH", 1e9 if tiles else 0.0)
    monkeypatch.setattr(linear, "SHORT", 1)
    isa = request.node.callspec.params["isa"]
    if tiles and not machine(isa).library.tiles:
        pytest.skip(f"no tiles with {isa}")
    return 3e-5 if tiles else 3e-6


def _matrix(rows: int, columns: int, turned: bool, *leading: int) -> Array:
    shape = (*leading, columns, rows) if turned else (*leading, rows, columns)
    return np.random.default_rng(rows + columns).standard_normal(shape).astype(np.float32)


@with_tiles
@pytest.mark.parametrize("turned_a", [False, True])
@pytest.mark.parametrize("turned_b", [False, True])
@pytest.mark.usefixtures("parted")
def test_products_of_all_sizes(isa: str, turned_a: bool, turned_b: bool, exact: float) -> None:
    for rows, depth, columns in SIZES:
        left, right = _matrix(rows, depth, turned_a), _matrix(depth, columns, turned_b)
        check(isa, MatMul(turned_a, turned_b), left, right, tolerance=exact)


@with_tiles
@pytest.mark.usefixtures("parted")
def test_many_matrices(isa: str, exact: float) -> None:
    for leading in ((3,), (2, 5), (1, 1)):
        check(isa, MatMul(), _matrix(7, 30, False, *leading), _matrix(30, 20, False, *leading), tolerance=exact)
        left, right = _matrix(7, 30, True, *leading), _matrix(30, 20, True, *leading)
        check(isa, MatMul(True, True), left, right, tolerance=exact)


@with_tiles
@pytest.mark.parametrize("parts", [(1, 1, 1, 2), (1, 1, 2, 1), (1, 2, 1, 1), (2, 1, 1, 1), (1, 3, 2, 2)])
def test_every_cut_gives_the_same(
    isa: str, parts: tuple[int, ...], exact: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear.Sizes, "parts", lambda *_: parts)
    monkeypatch.setattr(linear.Sizes, "parts_in_tiles", lambda *_: parts)
    for turned in (False, True):
        for rows, depth, columns in ((40, 50, 70), (3, 900, 200), (1, 2, 3)):
            left, right = _matrix(rows, depth, turned), _matrix(depth, columns, turned)
            check(isa, MatMul(turned, turned), left, right, tolerance=exact)


@with_tiles
def test_sums_of_nothing_are_zeros(isa: str) -> None:
    check(isa, MatMul(), np.zeros((3, 0), np.float32), np.zeros((0, 4), np.float32))
    check(isa, MatMul(True, True), np.zeros((0, 3), np.float32), np.zeros((4, 0), np.float32))
    check(isa, MatMul(), np.zeros((0, 3), np.float32), np.zeros((3, 4), np.float32))


@with_tiles
def test_infinity_and_no_number_stay_in_their_rows(isa: str) -> None:
    a, b = _matrix(20, 30, False), _matrix(30, 40, False)
    a[3, 4], a[5, 6], b[0, 7] = np.inf, np.nan, np.nan
    check(isa, MatMul(), a, b)


@with_tiles
def test_the_same_bits_every_time(isa: str) -> None:
    a, b = _matrix(40, 6000, False), _matrix(6000, 33, False)
    first, second = compute(isa, MatMul(), a, b), compute(isa, MatMul(), a, b)
    np.testing.assert_array_equal(first[0], second[0])


A, B, C = Operand(0), Operand(1), Operand(2)
FORMULAS = [
    (A + B, 2, ("row",)),
    (e.maximum(A + B, 0), 2, ("row",)),
    (e.maximum(A + B + C, 0), 3, ("row", "full")),
    (e.where(A > 0, B, 0), 2, ("full",)),
    (A + B, 2, ("full",)),
    (e.tanh(A * B) + C, 3, ("one", "row")),
    (e.tanh(A), 1, ()),
    (A * B, 2, ("column",)),
]


@with_tiles
@pytest.mark.parametrize("tree, arity, shapes", FORMULAS)
@pytest.mark.parametrize("rows, depth, columns", [(5, 6, 7), (40, 20, 1), (1, 300, 50), (100, 5000, 33), (30, 40, 128)])
@pytest.mark.usefixtures("parted")
def test_formulas_ride_on_products(
    isa: str, tree: e.Expression, arity: int, shapes: tuple[str, ...], rows: int, depth: int, columns: int, exact: float
) -> None:
    place = 1 if isinstance(tree, e.Apply) and tree.function == "where" else 0
    known = {"row": (columns,), "full": (rows, columns), "one": (), "column": (rows, 1)}
    others = [np.asarray(np.cos(np.arange(np.prod(known[s]))).reshape(known[s]), np.float32) for s in shapes]
    op = Fused(MatMul(), Elementwise(tree, arity), place)
    left = _matrix(rows, depth, False) / np.float32(np.sqrt(depth))
    check(isa, op, left, _matrix(depth, columns, False), *others, tolerance=2 * exact)
