"""What rides on Winograd convolutions: formulas that make what they read, moments and sums of what they make."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graphdsl.backends.cpu import ahead, conv
from graphdsl.backends.cpu.backend import CpuBackend, Native
from graphdsl.backends.cpu.choice import Way
from graphdsl.backends.cpu.library import load
from graphdsl.backends.cpu.program import table
from graphdsl.ir import Array, Call, DType, Operator, TensorType
from graphdsl.ops import Ahead, Conv, Elementwise, Fused, FusedMoments, FusedSums
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Operand
from tests.support.calls import close, exact
from tests.support.kernels import every_isa

TOLERANCE = 3e-5
SHAPES = [
    # batch, height, width, channels, filters, pad
    (7, 8, 8, 32, 32, 1),
    (6, 9, 7, 16, 20, 1),
    (5, 14, 13, 40, 33, 1),
    (9, 5, 6, 17, 70, 0),
    (40, 7, 7, 16, 16, 2),
    (1, 22, 22, 16, 48, 1),
]
X, Y, A, B = (Operand(i) for i in range(4))
NORM = Elementwise(e.maximum(X * Y + A, 0), 3, title="batch_norm+relu")
SHARE = Elementwise(X * Y + A * B, 4, title="batch_norm_gradient")
MASK = Elementwise(e.where(Y > 0, X, 0), 2, title="relu_gradient")
ADD = Elementwise(X + Y, 2, title="residual")

pytestmark = every_isa


@pytest.fixture(params=[Way.NEAR, Way.FAR], ids=lambda way: str(way.value))
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    """Also where it is not worth it."""
    monkeypatch.setattr(conv, "convolution_way", lambda *_, **__: request.param)
    monkeypatch.setattr(ahead, "LARGE", 0)
    monkeypatch.setattr(ahead, "MANY", 1)
    return Way(request.param)


def _wave(shape: tuple[int, ...], seed: int, around: float = 0) -> Array:
    return (around + np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def _run(isa: str, op: Operator, arrays: list[Array], alone: bool, over: int = -1) -> tuple[list[str], list[Array]]:
    """What rides, and the results. alone: on one thread; over: the operand that the first result is written over."""
    machine = CpuBackend(load(isa))
    types = op.type(*(TensorType(a.shape, DType(a.dtype.name)) for a in arrays))
    assert isinstance(types, tuple)
    inputs = [a.copy() for a in arrays]
    outputs = [np.full(t.bind({}), np.nan, np.float32) for t in types]
    if over >= 0:
        outputs[0] = inputs[over]
    kernel = machine.kernel(Call(op.name, op, (), ()), inputs, outputs)
    assert isinstance(kernel, Native)
    steps = [replace(step, serial=alone) for step in kernel.plan.steps]
    for _ in range(2):  # nothing of a run may be left in the next
        for into, array in zip(inputs, arrays, strict=True):
            into[...] = array
        table(machine.library, steps)()
    tasks = [step.task for step in kernel.plan.steps]
    made = ["before"] * any(getattr(t, "before", None) for t in tasks)
    return made + ["gathered"] * any(getattr(t, "gathers", 0) for t in tasks), outputs


def _agree(isa: str, op: Operator, arrays: list[Array], riding: set[str]) -> None:
    """riding: what must, where threads have pictures of their own."""
    wanted = exact(op, arrays)
    for alone in (True, False):
        rides, results = _run(isa, op, arrays, alone)
        assert riding <= set(rides) or len(arrays[0]) < load(isa).threads
        scale = max(float(np.abs(wanted[i]).max()) for i in range(len(wanted) - 2))
        for result, expected in zip(results[:-2], wanted[:-2], strict=True):
            close(result, expected, TOLERANCE)
        for result, expected in zip(results[-2:], wanted[-2:], strict=True):
            roots = results[-3].size / result.size
            bound = TOLERANCE * (np.abs(expected).max() + scale**2 * max(1.0, roots**0.5))
            assert np.abs(result - expected).max() <= bound
        for over in (-1, 0) if isinstance(op, Ahead) else (-1,):
            again = _run(isa, op, arrays, alone, over)[1]
            assert [r.tobytes() for r in results] == [r.tobytes() for r in again]


def _setting(shape: tuple[int, ...]) -> tuple[Conv, Array, Array, Array]:
    """The convolution, what x is made of, the kernel, and something of the shape of the results."""
    batch, height, width, channels, filters, pad = shape
    op = Conv((1, 1), ((pad, pad), (pad, pad)), (1, 1), 1)
    x, kernel = _wave((batch, height, width, channels), 1), _wave((3, 3, channels, filters), 2)
    return op, x, kernel, _wave(op.reference(x, kernel).shape, 3)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward(isa: str, way: Way, shape: tuple[int, ...]) -> None:
    op, x, kernel, skip = _setting(shape)
    norm = [x, _wave((1, 1, 1, shape[3]), 4), _wave((shape[3],), 5)]
    before = {"before"} if way is Way.NEAR else set()
    _agree(isa, FusedMoments(op), [x, kernel], {"gathered"})
    _agree(isa, Ahead(NORM, FusedMoments(op), 0), [*norm, kernel], {"gathered", *before})
    _agree(isa, Ahead(NORM, FusedMoments(Fused(op, ADD, 0)), 0), [*norm, kernel, skip], {"gathered", *before})


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_backward(isa: str, way: Way, shape: tuple[int, ...]) -> None:
    op, x, kernel, y = _setting(shape)
    mean = _wave((1, 1, 1, shape[3]), 6, 4)
    share = [y, _wave((shape[4],), 4), _wave(y.shape, 5), np.array(0.5, np.float32)]
    masked = Fused(op.for_input(x.shape[1:-1]), MASK, 0)
    sums = FusedSums(masked, (X, X * (Y - A)), 3)
    before = {"before"} if way is Way.NEAR else set()
    _agree(isa, sums, [y, kernel, x, _wave(x.shape, 7, 4), mean], {"gathered"})
    _agree(isa, Ahead(SHARE, sums, 0), [*share, kernel, x, _wave(x.shape, 7, 4), mean], {"gathered", *before})


def test_every_form_of_sums(isa: str, way: Way) -> None:
    op, x, kernel, y = _setting(SHAPES[2])
    back, mean, other = op.for_input(x.shape[1:-1]), _wave((x.shape[3],), 6, 4), _wave((1, 1, 1, x.shape[3]), 8, 4)
    factors = [_wave(x.shape, 7, 4), mean, _wave(x.shape, 9, 4), other]
    more = Operand(4)
    _agree(isa, FusedSums(back, (X, (Y - A) * X, X * (B - more)), 5), [y, kernel, *factors], {"gathered"})
    _agree(isa, FusedSums(Fused(back, ADD, 0), (X, X * Y), 2), [y, kernel, x, x], {"gathered"})


def test_a_mean_far_from_zero_costs_no_digits(isa: str, way: Way) -> None:
    """Moments are taken around the first result."""
    op, x, kernel, _ = _setting(SHAPES[0])
    far = np.full((32,), 1e3, np.float32)
    biased = FusedMoments(Fused(op, ADD, 0))
    (*_, variance), (*_, wanted) = _run(isa, biased, [x, kernel, far], False)[1], exact(biased, [x, kernel, far])
    assert np.abs(variance - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_nan_reaches_the_sums(isa: str, way: Way) -> None:
    op, x, kernel, y = _setting(SHAPES[0])
    other = _wave(x.shape, 7)
    other[1, 2, 3, 4] = np.nan
    *_, found = _run(isa, FusedSums(op.for_input((8, 8)), (X, X * Y), 2), [y, kernel, other], False)[1]
    assert np.isnan(found[0, 0, 0]).nonzero()[0].tolist() == [4]
