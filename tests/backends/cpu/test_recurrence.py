"""LSTM and GRU on compiled kernels: units that fill vectors and that do not, few and many rows, lengths, directions."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends.cpu import recurrence
from graphdsl.ir import Array
from graphdsl.ops import Gru, GruGradient, Lstm, LstmGradient
from tests.support.kernels import check, compute, machine, with_tiles

SIZES = [(1, 1, 1, 1), (2, 5, 4, 3), (7, 12, 20, 16), (13, 9, 3, 32), (5, 4, 17, 50), (60, 3, 64, 40), (1, 30, 8, 20)]
"""Batch, steps, features, units."""
GATES: dict[type, int] = {Lstm: 4, Gru: 3}

cells = pytest.mark.parametrize("cell", [Lstm, Gru])
directions = pytest.mark.parametrize("reverse", [False, True])
padding = pytest.mark.parametrize("padded", [False, True])


@pytest.fixture(params=["alone", "shared"])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "shared":
        monkeypatch.setattr(recurrence, "SERIAL", 0)


@pytest.fixture(params=["vectors", "tiles"])
def exact(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """How exact results are where products are taken so: tiles take numbers as pairs of bfloat16."""
    tiles = request.param == "tiles"
    monkeypatch.setattr(recurrence, "TILE_ROWS", 1 if tiles else 1 << 30)
    isa = request.node.callspec.params["isa"]
    if tiles and not machine(isa).library.tiles:
        pytest.skip(f"no tiles with {isa}")
    return 5e-5 if tiles else 5e-6


def wave(*shape: int) -> Array:
    return np.random.default_rng(shape).uniform(-1.5, 1.5, shape).astype(np.float32)


def given(cell: type, batch: int, time: int, features: int, units: int) -> list[Array]:
    """x, kernel, recurrent, biases."""
    width = GATES[cell] * units
    weights = wave(features, width) / np.float32(np.sqrt(features)), wave(units, width) / np.float32(units)
    return [wave(batch, time, features), *weights, wave(width), *[wave(width) / 2] * (cell is Gru)]


def lengths_of(batch: int, time: int, padded: bool) -> tuple[Array, ...]:
    return ((np.arange(batch) * 7 % (time + 1)).astype(np.int32),) if padded else ()


@with_tiles
@cells
@directions
@padding
@pytest.mark.usefixtures("threads")
def test_forward(isa: str, cell: type[Lstm] | type[Gru], reverse: bool, padded: bool, exact: float) -> None:
    for batch, time, features, units in SIZES:
        arrays = given(cell, batch, time, features, units)
        check(isa, cell(reverse), *arrays, *lengths_of(batch, time, padded), tolerance=exact)


@with_tiles
@cells
@directions
@padding
@pytest.mark.parametrize("steps, last", [(True, True), (False, True), (True, False)])
@pytest.mark.usefixtures("threads")
def test_gradient(
    isa: str, cell: type[Lstm] | type[Gru], reverse: bool, padded: bool, steps: bool, last: bool, exact: float
) -> None:
    op = (LstmGradient if cell is Lstm else GruGradient)(reverse, steps, last)
    for batch, time, features, units in SIZES:
        arrays, lengths = given(cell, batch, time, features, units), lengths_of(batch, time, padded)
        hidden, _, gates, kept = cell(reverse).reference(*arrays, *lengths)
        arrived = [wave(batch, time, units)] * steps + [wave(batch, units)] * last
        check(isa, op, *arrays[:3], hidden, gates, kept, *arrived, *lengths, tolerance=2 * exact)


@with_tiles
@cells
@directions
@padding
def test_steps_in_blocks(
    isa: str, cell: type[Lstm] | type[Gru], reverse: bool, padded: bool, exact: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurrence, "BLOCK", 1 << 13)
    op = (LstmGradient if cell is Lstm else GruGradient)(reverse, True, True)
    for batch, time, features, units in ((9, 23, 5, 7), (4, 8, 3, 16)):
        arrays, lengths = given(cell, batch, time, features, units), lengths_of(batch, time, padded)
        hidden, _, gates, kept = cell(reverse).reference(*arrays, *lengths)
        arrived = wave(batch, time, units), wave(batch, units)
        check(isa, op, *arrays[:3], hidden, gates, kept, *arrived, *lengths, tolerance=2 * exact)


@with_tiles
@cells
def test_only_what_is_asked_for(isa: str, cell: type[Lstm] | type[Gru]) -> None:
    arrays = given(cell, 7, 5, 6, 20)
    every = compute(isa, cell(), *arrays)
    for gives in ((1,), (0,), (0, 2, 3), (3,)):
        for found, place in zip(compute(isa, cell(gives=gives), *arrays), gives, strict=True):
            np.testing.assert_array_equal(found, every[place])


@with_tiles
def test_without_bias(isa: str) -> None:
    check(isa, Lstm(biased=False), *given(Lstm, 5, 6, 7, 20)[:3], tolerance=5e-6)


@with_tiles
@cells
def test_large_numbers_and_no_number(isa: str, cell: type[Lstm] | type[Gru], exact: float) -> None:
    arrays = given(cell, 4, 3, 8, 16)
    arrays[0] *= np.float32(300)
    check(isa, cell(), *arrays, tolerance=300 * exact)
    arrays[0][1, 1, 5] = np.nan
    check(isa, cell(), *arrays, tolerance=300 * exact)


@with_tiles
@cells
def test_padding_may_hold_anything(isa: str, cell: type[Lstm] | type[Gru], exact: float) -> None:
    arrays, lengths = given(cell, 3, 6, 5, 18), np.array([6, 2, 0], np.int32)
    arrays[0][1, 2:], arrays[0][2] = np.nan, np.inf
    check(isa, cell(), *arrays, lengths, tolerance=2 * exact)
    hidden, last, gates, kept = cell().reference(*arrays, lengths)
    op = (LstmGradient if cell is Lstm else GruGradient)(False, True, True)
    check(isa, op, *arrays[:3], hidden, gates, kept, hidden + 1, last, lengths, tolerance=2 * exact)
