"""Formulas that convolutions in AMX tiles work out on the way, and how they run where these do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graphdsl.backends.cpu import ahead, conv, conv_amx
from graphdsl.backends.cpu.backend import CpuBackend, Native
from graphdsl.backends.cpu.choice import Way
from graphdsl.backends.cpu.library import available, load
from graphdsl.ir import Array, Call, DType, Operator, TensorType
from graphdsl.ops import Ahead, Conv, Elementwise, Fused, FusedMoments, FusedSums
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Operand
from tests.support.calls import close, exact

pytestmark = pytest.mark.skipif("amx" not in available(), reason="this processor has no AMX tiles")

SHAPES = [
    # batch, height, width, channels, filters, window, stride, pad, dilation
    (7, 8, 8, 32, 32, 3, 1, 1, 1),
    (6, 9, 7, 16, 20, 3, 1, 1, 1),
    (5, 40, 30, 40, 33, 3, 1, 1, 1),
    (5, 14, 14, 3, 64, 7, 2, 3, 1),
    (5, 10, 10, 40, 33, 1, 1, 0, 1),
    (1, 10, 13, 24, 33, 1, 1, 0, 1),
    (6, 11, 9, 24, 70, 3, 2, 1, 1),
    (5, 12, 12, 20, 50, 5, 1, 0, 1),
    (5, 17, 16, 32, 16, 1, 2, 0, 1),
    (5, 16, 16, 32, 16, 1, 3, 0, 1),
    (5, 55, 55, 24, 16, 3, 8, 0, 1),
    (5, 13, 13, 16, 32, 3, 1, 2, 2),
    (1, 9, 9, 16, 32, 3, 1, 1, 1),
]
X, Y, A, B = (Operand(i) for i in range(4))
NORM = Elementwise(e.maximum(X * Y + A, 0), 3, title="batch_norm+relu")
SHARE = Elementwise(X * Y + A * B, 4, title="batch_norm_gradient")


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is not worth it."""
    monkeypatch.setattr(conv_amx, "WORTH", 1e9)
    monkeypatch.setattr(conv_amx, "BLOCK", 20 << 10)
    monkeypatch.setattr(ahead, "LARGE", 0)
    monkeypatch.setattr(ahead, "MANY", 1)


@pytest.fixture(autouse=True)
def _never_by_winograd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which would be quicker is measured, and not what is tested here."""
    monkeypatch.setattr(conv, "convolution_way", lambda *_, **__: Way.DIRECT)


def _wave(shape: tuple[int, ...], seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _run(op: Operator, arrays: list[Array], threads: int, over: int = -1) -> tuple[bool, list[Array]]:
    """Whether the convolution makes x, and the results. over: the operand that x is written over."""
    machine = CpuBackend(load("amx"))
    machine.machine = replace(machine.machine, threads=threads)
    types = op.type(*(TensorType(a.shape, DType(a.dtype.name)) for a in arrays))
    assert isinstance(types, tuple)
    inputs = [a.copy() for a in arrays]
    outputs = [np.full(t.bind({}), np.nan, np.float32) for t in types]
    if over >= 0:
        outputs[0] = inputs[over]
    kernel = machine.kernel(Call(op.name, op, (), ()), inputs, outputs)
    assert isinstance(kernel, Native)
    machine.sequence([kernel])()
    return any(getattr(step.task, "before", None) for step in kernel.plan.steps), outputs


def _agree(op: Ahead, arrays: list[Array]) -> None:
    wanted = exact(op, arrays)
    for threads in (1, 2, 5):
        rides, results = _run(op, arrays, threads)
        assert rides or len(arrays[0]) < threads, "the formula runs apart"
        for result, expected in zip(results, wanted, strict=True):
            close(result, expected, 3e-5)
        for over in (-1, 0):
            assert [r.tobytes() for r in results] == [r.tobytes() for r in _run(op, arrays, threads, over)[1]]


def _setting(shape: tuple[int, ...]) -> tuple[Conv, Array, Array, Array]:
    """The convolution, what x is made of, the kernel, and something of the shape of the results."""
    batch, height, width, channels, filters, window, stride, pad, dilation = shape
    op = Conv((stride, stride), ((pad, pad), (pad, pad)), (dilation, dilation), 1)
    x, kernel = _wave((batch, height, width, channels), 1), _wave((window, window, channels, filters), 2)
    return op, x, kernel, _wave(op.reference(x, kernel).shape, 3)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward(shape: tuple[int, ...]) -> None:
    op, x, kernel, skip = _setting(shape)
    norm = [x, _wave((1, 1, 1, shape[3]), 4), _wave((shape[3],), 5)]
    residual = Fused(op, Elementwise(e.maximum(X + Y, 0), 2, title="residual"), 0)
    _agree(Ahead(NORM, FusedMoments(op), 0), [*norm, kernel])
    _agree(Ahead(NORM, residual, 0), [*norm, kernel, skip])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_backward(shape: tuple[int, ...]) -> None:
    op, x, kernel, y = _setting(shape)
    share = [y, _wave((shape[4],), 4), _wave(y.shape, 5), np.array(0.5, np.float32)]
    back = op.for_input(x.shape[1:-1])
    masked = Fused(back, Elementwise(e.where(Y > 0, X, 0), 2, title="relu_gradient"), 0)
    _agree(Ahead(SHARE, back, 0), [*share, kernel])
    _agree(Ahead(SHARE, FusedSums(masked, (X, X * Y), 2), 0), [*share, kernel, x, x])
