"""Sums that convolutions in AMX tiles gather of their results: every form, phases of strides, many threads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graphdsl.backends.cpu import conv_amx
from graphdsl.backends.cpu.backend import CpuBackend, Native
from graphdsl.backends.cpu.library import available, load
from graphdsl.ir import Array, Call, Operator
from graphdsl.ops import Conv, ConvInputGradient, Elementwise, Fused, FusedSums
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Expression, Operand
from tests.support.calls import close, exact, made

pytestmark = pytest.mark.skipif("amx" not in available(), reason="this processor has no AMX tiles")

TOLERANCE = 2e-5
"""Relative to the largest result, as for convolutions in tiles."""
SIGNS = 0.2
"""Sums lose digits where numbers of both signs meet: of the root of how many there are."""

y, x, mean, x2, mean2 = (Operand(i) for i in range(5))
FORMS: dict[str, tuple[tuple[Expression, ...], int]] = {
    "plain": ((y,), 1),
    "norm": ((y, (x - mean) * y), 3),
    "two norms": ((y, (x - mean) * y, y * (x2 - mean2)), 5),
    "products alone": ((y * x, (x - mean) * y), 3),
    "out of order": (((x - mean) * y, y), 3),
}
SHAPES = [
    # batch, height, width, channels, filters, window, stride, pad
    (2, 8, 8, 32, 32, 3, 1, 1),
    (3, 9, 7, 20, 16, 3, 1, 1),
    (2, 10, 10, 33, 40, 1, 1, 0),
    (3, 11, 9, 70, 24, 3, 2, 1),
    (2, 16, 16, 16, 32, 2, 2, 0),
    (1, 12, 13, 50, 20, 5, 2, 2),
    (9, 20, 20, 16, 16, 3, 1, 1),
]
STEPS = ["conv_amx", "gathered_sums"]


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles also where they are not worth it."""
    monkeypatch.setattr(conv_amx, "WORTH", 1e9)


def _wave(shape: tuple[int, ...], seed: int, around: float = 0) -> Array:
    return (around + np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def _case(shape: tuple[int, ...], finish: str, form: str) -> tuple[FusedSums, list[Array]]:
    """The input gradient, finished so, and its sums."""
    batch, height, width, channels, filters, window, stride, pad = shape
    conv = Conv((stride, stride), ((pad, pad), (pad, pad)), (1, 1), 1)
    kernel, whole = _wave((window, window, channels, filters), 1), (batch, height, width, channels)
    gradient = _wave(conv.reference(np.zeros(whole, np.float32), kernel).shape, 2)
    back = conv.for_input((height, width))
    assert isinstance(back, ConvInputGradient)
    arrays, producer = [gradient, kernel], _finished(back, finish)
    arrays += [_wave(whole, 3 + i) for i in range(producer.others if isinstance(producer, Fused) else 0)]
    formulas, arity = FORMS[form]
    for i in range(arity // 2):
        arrays += [_wave(whole, 5 + i, 4), _wave((1, 1, 1, channels) if i else (channels,), 7 + i, 4)]
    return FusedSums(producer, formulas, arity), arrays


def _finished(back: ConvInputGradient, finish: str) -> Operator:
    a, b, c = (Operand(i) for i in range(3))
    known = {
        "mask": Elementwise(e.where(a > 0, b, 0), 2, title="mask"),
        "add": Elementwise(b + a, 2, title="add"),
        "both": Elementwise(e.where(a > 0, b + c, 0), 3, title="both"),
    }
    return Fused(back, known[finish], 1) if finish in known else back


def _steps(machine: CpuBackend, op: FusedSums, arrays: list[Array]) -> list[str]:
    """The names of what C runs, without the packing of weights."""
    outputs = [np.empty(t.shape, np.float32) for t in exact(op, arrays)]
    native = machine.kernel(Call("sums", op, (), ()), arrays, outputs)
    assert isinstance(native, Native)
    names = [type(s.task).__name__.removesuffix("_task") for s in native.plan.steps]
    return [n for n in names if not n.endswith("_pack")]


def _agree(op: FusedSums, arrays: list[Array], threads: int) -> None:
    machine = CpuBackend(load("amx"))
    machine.machine = replace(machine.machine, threads=threads)
    steps = _steps(machine, op, arrays)
    assert [s for i, s in enumerate(steps) if s not in steps[:i]] == STEPS
    results = made(machine, op, arrays)
    count = results[0].size / results[0].shape[-1]
    expected = exact(op, arrays)
    close(results[0], expected[0], TOLERANCE)
    scale = float(np.abs(expected[0]).max()) * max(1.0, *(float(np.abs(a).max()) for a in arrays[2:] or arrays))
    for result, sums in zip(results[1:], expected[1:], strict=True):
        assert result.shape == sums.shape
        np.testing.assert_allclose(result, sums, rtol=TOLERANCE, atol=TOLERANCE * scale * (1 + SIGNS * count**0.5))
    assert [r.tobytes() for r in results] == [r.tobytes() for r in made(machine, op, arrays)]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_finishes_by_threads(shape: tuple[int, ...], threads: int) -> None:
    for finish in ("none", "mask", "add", "both"):
        _agree(*_case(shape, finish, "norm"), threads)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forms(shape: tuple[int, ...], form: str) -> None:
    _agree(*_case(shape, "both", form), 2)


def test_forward_sums_ride_too() -> None:
    conv = Conv((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    _agree(FusedSums(conv, (y,), 1), [_wave((2, 9, 9, 32), 1), _wave((3, 3, 32, 32), 2)], 2)


@pytest.mark.parametrize("formula", [y * y, x, (x + mean) * y, e.tanh(y), (mean - x) * x])
def test_other_forms_are_summed_after(formula: Expression) -> None:
    op, arrays = _case(SHAPES[0], "mask", "norm")
    other = replace(op, formulas=(y, formula))
    machine = CpuBackend(load("amx"))
    assert "gathered_sums" not in _steps(machine, other, arrays)
    for result, expected in zip(made(machine, other, arrays), exact(other, arrays), strict=True):
        close(result, expected, 10 * TOLERANCE)


def test_results_without_taps_are_summed_after() -> None:
    """A window of one pixel and a stride of 2: most results are what is added to them alone."""
    op, arrays = _case((2, 8, 8, 16, 32, 1, 2, 0), "add", "norm")
    machine = CpuBackend(load("amx"))
    assert "gathered_sums" not in _steps(machine, op, arrays)
    for result, expected in zip(made(machine, op, arrays), exact(op, arrays), strict=True):
        close(result, expected, 10 * TOLERANCE)


def test_nan_reaches_the_sums() -> None:
    op, arrays = _case(SHAPES[0], "both", "norm")
    arrays[3][1, 2, 3, 4] = np.nan
    arrays[2][1, 2, 3, 4] = 1
    sums = made(CpuBackend(load("amx")), op, arrays)[1:]
    for result in sums:
        assert np.isnan(result[0, 0, 0]).nonzero()[0].tolist() == [4]
