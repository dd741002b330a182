"""Convolutions in AMX tiles, where the processor has them: borders, strides, odd channels, what rides along."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends.cpu import conv_amx
from graphdsl.backends.cpu.backend import CpuBackend
from graphdsl.backends.cpu.library import available, load
from graphdsl.ir import Array, Operator
from graphdsl.ops import Conv, ConvInputGradient, Elementwise, Fused, FusedMoments
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Operand
from tests.support.calls import close, exact, made

pytestmark = pytest.mark.skipif("amx" not in available(), reason="this processor has no AMX tiles")

TOLERANCE = 2e-5
"""Relative to the largest result: products are off by 2^-16 at most, and their errors differ in sign."""

SHAPES = [
    # batch, height, width, channels, filters, window, stride, pad, dilation
    (2, 8, 8, 32, 32, 3, 1, 1, 1),
    (2, 9, 7, 16, 20, 3, 1, 1, 1),
    (1, 14, 14, 3, 64, 7, 2, 3, 1),
    (2, 10, 10, 40, 33, 1, 1, 0, 1),
    (3, 11, 9, 24, 70, 3, 2, 1, 1),
    (2, 12, 12, 20, 50, 5, 1, 0, 1),
    (2, 16, 16, 32, 16, 1, 2, 0, 1),
    (2, 13, 13, 16, 32, 3, 1, 2, 2),
    (1, 1, 300, 7, 5, 1, 1, 0, 1),
    (1, 40, 70, 5, 17, 3, 1, 0, 1),
    (2, 13, 13, 16, 32, 3, 2, 2, 2),
    (3, 17, 13, 32, 16, 3, 3, 1, 1),
    (2, 23, 23, 16, 32, 3, 3, 5, 2),
    (2, 30, 30, 64, 48, 2, 3, 4, 1),
    (2, 75, 60, 64, 48, 3, 2, 1, 1),
    (1, 57, 53, 64, 16, 5, 3, 2, 1),
    (1, 9, 9, 300, 40, 1, 1, 0, 1),
]


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles also where they are not worth it."""
    monkeypatch.setattr(conv_amx, "WORTH", 1e9)


def _wave(shape: tuple[int, ...], seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _setting(shape: tuple[int, ...]) -> tuple[Conv, Array, Array, Array]:
    """The convolution, x, kernel, and something of the shape of its results."""
    batch, height, width, channels, filters, window, stride, pad, dilation = shape
    op = Conv((stride, stride), ((pad, pad), (pad, pad)), (dilation, dilation), 1)
    x, kernel = _wave((batch, height, width, channels), 1), _wave((window, window, channels, filters), 2)
    return op, x, kernel, _wave(op.reference(x, kernel).shape, 3)


def _agree(op: Operator, arrays: list[Array]) -> None:
    machine = CpuBackend(load("amx"))
    results = made(machine, op, arrays)
    for result, expected in zip(results, exact(op, arrays), strict=True):
        close(result, expected, TOLERANCE)
    assert [r.tobytes() for r in results] == [r.tobytes() for r in made(machine, op, arrays)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_both_ways(shape: tuple[int, ...]) -> None:
    op, x, kernel, y = _setting(shape)
    _agree(op, [x, kernel])
    _agree(op.for_input(x.shape[1:-1]), [y, kernel])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_rides_along(shape: tuple[int, ...]) -> None:
    op, x, kernel, skip = _setting(shape)
    a, b, c = (Operand(i) for i in range(3))
    residual = Elementwise(e.maximum(a + b + c, 0), 3, title="residual")
    mask = Elementwise(e.where(a > 0, b, 0), 2, title="mask")
    smooth = Elementwise(a * e.tanh(b), 2, title="smooth")
    bias = _wave((kernel.shape[-1],), 4)
    _agree(Fused(op, residual, 0), [x, kernel, bias, skip])
    _agree(Fused(op, smooth, 0), [x, kernel, skip])
    back = op.for_input(x.shape[1:-1])
    assert isinstance(back, ConvInputGradient)
    _agree(Fused(back, mask, 1), [skip, kernel, x])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_moments(shape: tuple[int, ...]) -> None:
    op, x, kernel, _ = _setting(shape)
    shifted = Elementwise(Operand(0) + Operand(1), 2, title="add_bias")
    _agree(FusedMoments(op), [x, kernel])
    _agree(FusedMoments(Fused(op, shifted, 0)), [x, kernel, np.float32(30) + _wave((kernel.shape[-1],), 4)])
