"""Convolutions and input gradients: strides, dilations, groups, borders, tails, alone and with what rides on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from graphdsl.backends.cpu import choice, conv_amx, sweep
from graphdsl.ir import Array
from graphdsl.ops import Conv, ConvInputGradient, Elementwise, Fused
from graphdsl.ops import expression as e
from tests.support.kernels import check, every_isa

pytestmark = [every_isa, pytest.mark.usefixtures("split")]

A, C, D = (e.Operand(i) for i in range(3))
FORMULAS = {
    "bias": (Elementwise(A + C, 2), 0, "b"),
    "bias+relu": (Elementwise(e.maximum(C + A, 0), 2), 0, "b"),
    "add+bias+relu": (Elementwise(e.maximum(A + C + D, 0), 3), 1, "fb"),
    "mask": (Elementwise(e.where(A > 0, C, 0), 2), 1, "f"),
    "add+mask": (Elementwise(e.where(A > 0, C + D, 0), 3), 2, "ff"),
    "tanh": (Elementwise(e.tanh(A * C + D), 3), 0, "bf"),
}
"""A formula, the result's place in it, and its other operands: b a bias, f a full tensor."""


@pytest.fixture(params=["alone", "shared", "gathered"])
def split(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small work is done by one thread; shared: by all of them, in small blocks; gathered: from windows side by side.
    No Winograd, no AMX tiles."""
    for module in (choice, conv_amx):
        monkeypatch.setattr(module, "WORTH", 0)
    if request.param != "alone":
        for name, value in (("SMALL", 0), ("PACKED", 0), ("BLOCK", 2000), ("LINE", 7), ("LONG", 100)):
            monkeypatch.setattr(sweep, name, value)
    if request.param == "gathered":
        for name, value in (("FAR", 1), ("LOW", 1), ("MANY_WEIGHTS", 0), ("FILTERS", 0)):
            monkeypatch.setattr(sweep, name, value)
    return str(request.param)


def some(*shape: int) -> Array:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def both(isa: str, op: Conv, x: Sequence[int], kernel: Sequence[int]) -> None:
    """The convolution and its input gradient."""
    y = op.reference(some(*x), some(*kernel))
    check(isa, op, some(*x), some(*kernel))
    check(isa, op.for_input(tuple(x[1:-1])), some(*y.shape), some(*kernel))


@pytest.mark.parametrize("channels", [(1, 20), (3, 16), (5, 50), (20, 33), (16, 97), (64, 7)], ids=str)
@pytest.mark.parametrize("window", [(1, 1), (3, 3), (5, 4)], ids=str)
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 1)], ids=str)
def test_sizes(isa: str, channels: tuple[int, int], window: tuple[int, int], stride: tuple[int, int]) -> None:
    kernel = (*window, *channels)
    for pad in (((0, 0), (0, 0)), ((1, 1), (1, 1)), ((2, 0), (0, 3))):
        for size in ((7, 9), (6, 17)):
            both(isa, Conv(stride, pad, (1, 1), 1), (3, *size, channels[0]), kernel)


@pytest.mark.parametrize("dilation", [(1, 1), (2, 1), (2, 3), (4, 4)], ids=str)
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (2, 3), (4, 2)], ids=str)
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_settings(isa: str, dilation: tuple[int, int], stride: tuple[int, int], groups: int) -> None:
    for pad in (((0, 0), (0, 0)), ((1, 4), (2, 0))):
        both(isa, Conv(stride, pad, dilation, groups), (2, 10, 11, 6), (3, 2, 6 // groups, 12))


@pytest.mark.parametrize("pad", [(0, 0), (2, 2), (4, 0), (5, 6)], ids=str)
@pytest.mark.parametrize("stride", [1, 2, 5])
def test_sequences(isa: str, pad: tuple[int, int], stride: int) -> None:
    for dilation in (1, 2):
        both(isa, Conv((stride,), (pad,), (dilation,), 1), (2, 40, 5), (4, 5, 18))
    both(isa, Conv((stride,), (pad,), (1,), 1), (1, 300, 9), (5, 9, 6))


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("stride", [1, 2])
def test_formulas(isa: str, formula: str, stride: int) -> None:
    op = Conv((stride, stride), ((1, 1), (1, 1)), (1, 1), 1)
    for x, kernel in (((3, 9, 8, 5), (3, 3, 5, 40)), ((2, 8, 11, 40), (1, 1, 40, 6))):
        y = op.reference(some(*x), some(*kernel))
        back = op.for_input(x[1:-1])
        for producer, given, made in ((op, x, y.shape), (back, y.shape, x)):
            assert isinstance(producer, Conv | ConvInputGradient)
            how, place, operands = FORMULAS[formula]
            others = (some(made[-1]) if o == "b" else np.cos(some(*made)) - 0.5 for o in operands)
            check(isa, Fused(producer, how, place), some(*given), some(*kernel), *others, tolerance=1e-5)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("stride", [1, 2])
def test_long_sums(isa: str, formula: str, stride: int) -> None:
    """Short lines, and more weights than the first cache holds."""
    op = Conv((stride, stride), ((1, 1), (1, 1)), (1, 1), 1)
    x, kernel = (1, 7, 7, 65), (3, 3, 65, 70)
    how, place, operands = FORMULAS[formula]
    y = op.reference(some(*x), some(*kernel)).shape
    others = (some(y[-1]) if o == "b" else np.cos(some(*y)) - 0.5 for o in operands)
    check(isa, Fused(op, how, place), some(*x), some(*kernel), *others, tolerance=5e-5)


@pytest.mark.parametrize("formula", FORMULAS)
def test_winograd(isa: str, formula: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "WORTH", 1e9)
    how, place, operands = FORMULAS[formula]
    for before in (0, 1, 2):
        op, x, kernel = Conv((1, 1), ((before, 1), (1, before)), (1, 1), 1), (2, 9, 8, 5), (3, 3, 5, 40)
        y = op.reference(some(*x), some(*kernel)).shape
        for producer, given, made in ((op, x, y), (op.for_input(x[1:-1]), y, x)):
            others = (some(made[-1]) if o == "b" else np.cos(some(*made)) - 0.5 for o in operands)
            check(isa, Fused(producer, how, place), some(*given), some(*kernel), *others, tolerance=2e-4)


def test_nothing(isa: str) -> None:
    op = Conv((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    check(isa, op, some(0, 4, 4, 3), some(3, 3, 3, 5))


def test_not_a_number(isa: str) -> None:
    x = some(1, 9, 9, 3)
    x[0, 4, 4, 1] = np.nan
    x[0, 8, 8, 1] = np.inf
    op = Conv((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    how, place, _ = FORMULAS["bias+relu"]
    check(isa, Fused(op, how, place), x, some(3, 3, 3, 20), some(20))
