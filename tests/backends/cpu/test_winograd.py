"""Winograd convolutions and their gradients: every border, tail, split of the work and finish; how far they round."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from graphdsl.backends.cpu.epilogue import Finish
from graphdsl.backends.cpu.library import load
from graphdsl.backends.cpu.program import table
from graphdsl.backends.cpu.task import Machine, Plan
from graphdsl.backends.cpu.winograd import convolution, kernel_gradient
from graphdsl.ir import Array
from graphdsl.ops.conv import Conv, ConvInputGradient, ConvKernelGradient
from tests.support.kernels import demand_untouched, every_isa, guarded

pytestmark = every_isa

ERROR = 1e-5
"""The largest error there may be, relative to the largest result."""

Pads = tuple[tuple[int, int], tuple[int, int]]
PADS: list[Pads] = [((0, 0), (0, 0)), ((1, 1), (1, 1)), ((2, 2), (2, 2)), ((0, 2), (1, 0)), ((2, 1), (0, 1))]
SHAPES = [(1, 4, 4), (3, 6, 5), (2, 9, 17), (1, 14, 14), (5, 7, 7)]
CHANNELS = [(1, 1), (3, 16), (16, 5), (24, 40), (33, 70)]


def some(*shape: int, seed: int = 0) -> Array:
    """Numbers amid memory that may not be touched."""
    array, *_ = guarded(shape, np.dtype(np.float32), 4)
    array[...] = np.random.default_rng((seed, *shape)).standard_normal(shape)
    return array


def machine(isa: str) -> Machine:
    return Machine(load(isa), load(isa).threads)


def run(isa: str, plan: Plan) -> None:
    table(load(isa), (*plan.once, *plan.steps))()


def compare(found: Array, wanted: Array, error: float = ERROR) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max(initial=0) <= error * np.abs(wanted).max(initial=1e-30)


def wide(*arrays: Array) -> list[Array]:
    return [a.astype(np.float64) for a in arrays]


@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("channels", CHANNELS, ids=str)
def test_all_three(isa: str, shape: tuple[int, int, int], channels: tuple[int, int], staged: bool) -> None:
    for pad in PADS:
        settings = ((1, 1), pad, (1, 1), 1)
        before = (pad[0][0], pad[1][0])
        x, kernel = some(*shape, channels[0]), some(3, 3, *channels, seed=1)
        wanted = Conv(*settings).reference(*wide(x, kernel))
        y, memory = guarded(wanted.shape, np.dtype(np.float32))
        run(isa, convolution(x, kernel, y, before, machine(isa), staged=staged))
        compare(y, wanted)
        demand_untouched(y, memory)

        dy = some(*wanted.shape, seed=2)
        dx, dk = np.empty_like(x), np.empty_like(kernel)
        around = (2 - before[0], 2 - before[1])
        run(isa, convolution(dy, kernel, dx, around, machine(isa), flipped=True, staged=staged))
        compare(dx, ConvInputGradient(*settings, x.shape[1:3]).reference(*wide(dy, kernel)))
        run(isa, kernel_gradient(x, dy, dk, before, machine(isa), staged=staged))
        compare(dk, ConvKernelGradient(*settings, (3, 3)).reference(*wide(x, dy)))


@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize("channels", [5, 40])
def test_finishes(isa: str, channels: int, staged: bool) -> None:
    x, kernel = some(2, 7, 9, 6), some(3, 3, 6, channels)
    plain = Conv((1, 1), ((1, 1), (1, 1)), (1, 1), 1).reference(*wide(x, kernel))
    bias, add, mask = some(channels), some(*plain.shape, seed=1), some(*plain.shape, seed=2)
    for with_bias, with_add, with_low, with_mask in product((False, True), repeat=4):
        y = np.empty(plain.shape, np.float32)
        finish = Finish(
            bias if with_bias else None,
            add if with_add else None,
            0.0 if with_low else -np.inf,
            mask if with_mask else None,
        )
        run(isa, convolution(x, kernel, y, (1, 1), machine(isa), finish=finish, staged=staged))
        wanted = plain + with_bias * bias.astype(np.float64) + with_add * add.astype(np.float64)
        wanted = np.maximum(wanted, 0) if with_low else wanted
        compare(y, np.where(mask > 0, wanted, 0) if with_mask else wanted)


@pytest.mark.parametrize("tiles", [1, 3, 1000])
def test_chunks(isa: str, monkeypatch: pytest.MonkeyPatch, tiles: int) -> None:
    """Where all tiles are too many for memory, they are taken in turn."""
    monkeypatch.setattr("graphdsl.backends.cpu.winograd.STAGED", tiles)
    x, kernel, dy = some(2, 9, 13, 20), some(3, 3, 20, 36), some(2, 9, 13, 36)
    y, dk = np.empty(dy.shape, np.float32), np.empty(kernel.shape, np.float32)
    settings = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    run(isa, convolution(x, kernel, y, (1, 1), machine(isa), staged=True))
    run(isa, kernel_gradient(x, dy, dk, (1, 1), machine(isa), staged=True))
    compare(y, Conv(*settings).reference(*wide(x, kernel)))
    compare(dk, ConvKernelGradient(*settings, (3, 3)).reference(*wide(x, dy)))


def test_fixed_kernels_are_transformed_once(isa: str) -> None:
    x, kernel = some(1, 8, 8, 4), some(3, 3, 4, 4)
    y = np.empty((1, 8, 8, 4), np.float32)
    plan = convolution(x, kernel, y, (1, 1), machine(isa), staged=False, fixed=True)
    assert plan.once
    run(isa, plan)
    compare(y, Conv((1, 1), ((1, 1), (1, 1)), (1, 1), 1).reference(*wide(x, kernel)))


@pytest.mark.parametrize("channels", [16, 64, 256, 512])
@pytest.mark.parametrize("positive", [False, True])
def test_error(isa: str, channels: int, positive: bool) -> None:
    """Within a few units of what plain float32 sums are off; see the README of the backend."""
    x, kernel = some(1, 16, 16, channels), some(3, 3, channels, 16)
    if positive:
        np.abs(x, out=x)
    dy, y, dk = some(1, 16, 16, 16), np.empty((1, 16, 16, 16), np.float32), np.empty(kernel.shape, np.float32)
    settings = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    run(isa, convolution(x, kernel, y, (1, 1), machine(isa), staged=channels > 64))
    run(isa, kernel_gradient(x, dy, dk, (1, 1), machine(isa), staged=channels > 64))
    compare(y, Conv(*settings).reference(*wide(x, kernel)), 5e-6)
    compare(dk, ConvKernelGradient(*settings, (3, 3)).reference(*wide(x, dy)), 5e-6)


def test_nan_is_seen(isa: str) -> None:
    x, kernel = some(1, 8, 8, 4), some(3, 3, 4, 4)
    x[0, 2, 2, 1] = np.nan
    y = np.empty((1, 8, 8, 4), np.float32)
    run(isa, convolution(x, kernel, y, (1, 1), machine(isa), finish=Finish(low=0.0), staged=False))
    assert np.isnan(y[0, 1:4, 1:4]).all()
    assert np.isfinite(y[0, :, 4:]).all()
