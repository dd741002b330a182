"""LSTM and GRU on our kernels: units that fill quads and that do not, one and several samples a block, lengths,
directions, weights in registers and in shared memory, a launch for all steps and one for each."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends.cuda import linear, recurrence
from graphdsl.backends.cuda.launcher import Gpu
from graphdsl.backends.cuda.recurrence import Walk, recurrence_args, recurrence_gradient_args
from graphdsl.ir import Array
from graphdsl.ops import Gru, GruGradient, Lstm, LstmGradient
from tests.support.cuda import budget
from tests.support.cuda.kernels import check, computed, every_schedule, needs_compiler, wave
from tests.support.cuda.simulated import SimulatedDevice

SIZES = [(1, 1, 1, 1), (2, 5, 4, 3), (3, 4, 9, 16), (9, 3, 3, 33), (5, 2, 8, 20)]
"""Batch, steps, features, units; nine samples are two a block, where there are four processors."""
GATES: dict[type, int] = {Lstm: 4, Gru: 3}
EXACT = 5e-6

pytestmark = needs_compiler
cells = pytest.mark.parametrize("cell", [Lstm, Gru])
directions = pytest.mark.parametrize("reverse", [False, True])
padding = pytest.mark.parametrize("padded", [False, True])


@pytest.fixture(params=["whole", "steps"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "steps":
        monkeypatch.setattr(recurrence, "FEW", 0)


def given(cell: type, batch: int, time: int, features: int, units: int) -> list[Array]:
    """x, kernel, recurrent, biases."""
    width = GATES[cell] * units
    weights = wave(features, width) / np.float32(np.sqrt(features)), wave(units, width) / np.float32(units)
    return [wave(batch, time, features), *weights, wave(width), *[wave(width) / 2] * (cell is Gru)]


def lengths_of(batch: int, time: int, padded: bool) -> tuple[Array, ...]:
    return ((np.arange(batch) * 7 % (time + 1)).astype(np.int32),) if padded else ()


def kept(cell: type[Lstm] | type[Gru], reverse: bool, arrays: list[Array], lengths: tuple[Array, ...]) -> list[Array]:
    """What the way back gets of the way forward."""
    hidden, _, gates, own = cell(reverse).reference(*arrays, *lengths)
    return [*arrays[:3], hidden, gates, own]


def gradient(cell: type[Lstm] | type[Gru], reverse: bool, steps: bool, last: bool) -> LstmGradient | GruGradient:
    return (LstmGradient if cell is Lstm else GruGradient)(reverse, steps, last)


@every_schedule
@cells
@directions
@padding
@pytest.mark.usefixtures("way")
def test_forward(cell: type[Lstm] | type[Gru], reverse: bool, padded: bool, seed: int) -> None:
    for batch, time, features, units in SIZES:
        arrays = given(cell, batch, time, features, units)
        check(cell(reverse), *arrays, *lengths_of(batch, time, padded), tolerance=EXACT, seed=seed)


@every_schedule
@cells
@directions
@padding
@pytest.mark.parametrize("steps, last", [(True, True), (False, True), (True, False)])
@pytest.mark.usefixtures("way")
def test_gradient(
    cell: type[Lstm] | type[Gru], reverse: bool, padded: bool, steps: bool, last: bool, seed: int
) -> None:
    for batch, time, features, units in SIZES:
        arrays, lengths = given(cell, batch, time, features, units), lengths_of(batch, time, padded)
        arrived = [wave(batch, time, units)] * steps + [wave(batch, units)] * last
        operands = (*kept(cell, reverse, arrays, lengths), *arrived, *lengths)
        check(gradient(cell, reverse, steps, last), *operands, tolerance=2 * EXACT, seed=seed)


@cells
@pytest.mark.parametrize("units", [100, 136])
def test_weights_in_shared_memory_and_a_launch_a_step(cell: type[Lstm] | type[Gru], units: int) -> None:
    arrays, arrived = given(cell, 2, 2, 3, units), wave(2, 2, units)
    check(cell(), *arrays, tolerance=EXACT)
    check(gradient(cell, False, True, False), *kept(cell, False, arrays, ()), arrived, tolerance=2 * EXACT)


@cells
@pytest.mark.usefixtures("way")
def test_only_the_last_state_is_asked_for(cell: type[Lstm] | type[Gru]) -> None:
    arrays = given(cell, 3, 4, 5, 6)
    for gives in ((1,), (0,), (1, 3), (2,)):
        check(cell(gives=gives), *arrays, *lengths_of(3, 4, True), tolerance=EXACT)


@every_schedule
@directions
@padding
@pytest.mark.parametrize("precision, exact", [("float32", 2 * EXACT), ("tf32", 2e-3)])
def test_gradients_of_weights_in_large_tiles(
    reverse: bool, padded: bool, precision: str, exact: float, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the left factor's lines are steps of sequences."""
    monkeypatch.setattr(linear, "_cycles", lambda *_: 0.0)
    arrays, lengths = given(Lstm, 7, 6, 5, 8), lengths_of(7, 6, padded)
    operands = (*kept(Lstm, reverse, arrays, lengths), wave(7, 8), *lengths)
    op = LstmGradient(reverse, False, True, (1, 2))
    check(op, *operands, tolerance=exact, precision=precision, seed=seed, processors=1)


@pytest.mark.usefixtures("way")
def test_without_a_bias() -> None:
    x, kernel, recurrent, _ = given(Lstm, 3, 4, 5, 6)
    check(Lstm(biased=False), x, kernel, recurrent, tolerance=EXACT)


@cells
@directions
@pytest.mark.usefixtures("way")
def test_rubbish_at_padded_steps_is_not_read(cell: type[Lstm] | type[Gru], reverse: bool) -> None:
    arrays, lengths = given(cell, 4, 5, 3, 6), lengths_of(4, 5, True)
    clean = kept(cell, reverse, arrays, lengths)
    rubbish = arrays[0].copy()
    rubbish[np.arange(5) >= lengths[0][:, None]] = np.nan
    for dirty, right in zip(
        computed(cell(reverse), rubbish, *arrays[1:], *lengths),
        computed(cell(reverse), *arrays, *lengths),
        strict=True,
    ):
        np.testing.assert_array_equal(dirty, right)
    op, arrived = gradient(cell, reverse, True, True), (wave(4, 5, 6), wave(4, 6))
    made = computed(op, rubbish, *clean[1:], *arrived, *lengths)
    assert all(np.isfinite(m).all() for m in made)


@budget.needs_compiler
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("batch, units", [(100, 96), (4, 128)])
def test_registers_are_enough(cell: str, batch: int, units: int) -> None:
    """The largest of those that keep all weights in registers, and of the others."""
    for back, struct in ((False, recurrence_args), (True, recurrence_gradient_args)):
        launch = Walk(cell, batch, 1, units, False, back).whole(struct(), Gpu(SimulatedDevice()))
        assert launch.shared + 4096 <= 160 << 10
        budget.within(launch.unit, architectures=["sm_80", "sm_90a"])


def test_one_launch_only_where_a_block_can_keep_the_weights() -> None:
    large, small = Gpu(SimulatedDevice()), Gpu(SimulatedDevice())
    small.device.shared = 99 << 10
    walks = [Walk("lstm", 4, 9, units, reverse=False) for units in (64, 128, 129)]
    assert [walk.few(large) for walk in walks] == [True, True, False]
    assert [walk.few(small) for walk in walks] == [True, False, False]
