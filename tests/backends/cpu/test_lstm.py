"""LSTM on compiled kernels: units that fill vectors and that do not, few and many rows, lengths, both directions."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends.cpu import recurrence
from graphdsl.ir import Array
from graphdsl.ops import Lstm, LstmGradient
from tests.support.kernels import check, every_isa

SIZES = [(1, 1, 1), (2, 5, 3), (7, 12, 16), (13, 9, 32), (5, 4, 50), (3, 30, 20), (60, 3, 40)]
"""Batch, steps, units."""


@pytest.fixture(params=["alone", "shared"])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "shared":
        monkeypatch.setattr(recurrence, "SERIAL", 0)


def wave(*shape: int) -> Array:
    return np.random.default_rng(shape).uniform(-1.5, 1.5, shape).astype(np.float32)


def lengths_of(batch: int, time: int, given: bool) -> tuple[Array, ...]:
    return ((np.arange(batch) * 7 % (time + 1)).astype(np.int32),) if given else ()


@every_isa
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.usefixtures("threads")
def test_forward(isa: str, reverse: bool, padded: bool) -> None:
    for batch, time, units in SIZES:
        x, recurrent = wave(batch, time, 4 * units), wave(units, 4 * units) / np.float32(units)
        check(isa, Lstm(reverse), x, recurrent, *lengths_of(batch, time, padded), tolerance=3e-6)


@every_isa
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("steps, last", [(True, True), (False, True), (True, False)])
@pytest.mark.usefixtures("threads")
def test_gradient(isa: str, reverse: bool, padded: bool, steps: bool, last: bool) -> None:
    for batch, time, units in SIZES:
        x, recurrent = wave(batch, time, 4 * units), wave(units, 4 * units) / np.float32(units)
        lengths = lengths_of(batch, time, padded)
        hidden, _, gates, cells = Lstm(reverse).reference(x, recurrent, *lengths)
        arrived = [wave(batch, time, units)] * steps + [wave(batch, units)] * last
        op = LstmGradient(reverse, steps, last)
        check(isa, op, recurrent, hidden, gates, cells, *arrived, *lengths, tolerance=5e-6)


@every_isa
def test_large_gates_and_no_number(isa: str) -> None:
    x, recurrent = wave(4, 3, 64) * np.float32(200), wave(16, 64)
    check(isa, Lstm(), x, recurrent, tolerance=1e-5)
    x[1, 1, 5], x[2, 0, 20], x[3, 0, 40] = np.nan, np.inf, -np.inf
    check(isa, Lstm(), x, recurrent, tolerance=1e-5)
