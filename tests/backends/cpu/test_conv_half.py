"""3x3 convolutions of stride 2 by Winograd's way, and their gradients: every border, tail, split of the work and
finish; how far they round; where the way is taken."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from graphdsl.backends.cpu import choice, conv_half
from graphdsl.backends.cpu.choice import typical
from graphdsl.backends.cpu.conv import backward, forward
from graphdsl.backends.cpu.conv_half import convolution, kernel_gradient, preferred
from graphdsl.backends.cpu.epilogue import Finish, finish_of
from graphdsl.backends.cpu.gathering import moments_of, sums_of
from graphdsl.backends.cpu.library import Library, load
from graphdsl.backends.cpu.program import table
from graphdsl.backends.cpu.task import Machine, Plan
from graphdsl.ir import Array
from graphdsl.ops import Elementwise, Fused
from graphdsl.ops.conv import Conv, ConvInputGradient, ConvKernelGradient
from graphdsl.ops.expression import Apply, Literal, Operand
from tests.support.kernels import demand_untouched, every_isa, guarded

pytestmark = every_isa

ERROR = 3e-5
"""The largest error there may be, relative to the largest result."""

Pads = tuple[tuple[int, int], tuple[int, int]]
ONES: Pads = ((1, 1), (1, 1))
PADS: list[Pads] = [ONES, ((0, 1), (0, 1)), ((0, 0), (1, 0)), ((1, 0), (0, 0))]
SHAPES = [(1, 3, 3), (1, 5, 9), (2, 16, 30), (3, 29, 15), (5, 14, 28)]
CHANNELS = [(1, 1), (3, 16), (16, 5), (24, 40), (33, 70)]
NOTHING = Finish()


def some(*shape: int, seed: int = 0) -> Array:
    """Numbers amid memory that may not be touched."""
    array, *_ = guarded(shape, np.dtype(np.float32), 4)
    array[...] = np.random.default_rng((seed, *shape)).standard_normal(shape)
    return array


def machine(isa: str) -> Machine:
    return Machine(load(isa), load(isa).threads)


def ops(pad: Pads, size: tuple[int, ...]) -> tuple[Conv, ConvInputGradient, ConvKernelGradient]:
    settings = ((2, 2), pad, (1, 1), 1)
    return Conv(*settings), ConvInputGradient(*settings, size), ConvKernelGradient(*settings, (3, 3))


def run(isa: str, plan: Plan | None) -> None:
    assert plan is not None
    table(load(isa), (*plan.once, *plan.steps))()


def compare(found: Array, wanted: Array, error: float = ERROR) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max(initial=0) <= error * np.abs(wanted).max(initial=1e-30)


def wide(*arrays: Array) -> list[Array]:
    return [a.astype(np.float64) for a in arrays]


def demand_all(isa: str, x: Array, kernel: Array, pad: Pads, error: float = ERROR) -> None:
    """All three, beside whose results nothing is written."""
    op, back, gradient = ops(pad, x.shape[1:3])
    wanted = op.reference(*wide(x, kernel))
    y, memory = guarded(wanted.shape, np.dtype(np.float32))
    run(isa, convolution(op, x, kernel, y, machine(isa), back=False, finish=NOTHING, after=None))
    compare(y, wanted, error)
    demand_untouched(y, memory)
    dy, dk = some(*wanted.shape, seed=2), np.empty_like(kernel)
    dx, memory = guarded(x.shape, np.dtype(np.float32))
    run(isa, convolution(back, dx, kernel, dy, machine(isa), back=True, finish=NOTHING, after=None))
    compare(dx, back.reference(*wide(dy, kernel)), error)
    demand_untouched(dx, memory)
    run(isa, kernel_gradient(gradient, x, dy, dk, machine(isa)))
    compare(dk, gradient.reference(*wide(x, dy)), error)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("channels", CHANNELS, ids=str)
def test_all_three(isa: str, shape: tuple[int, int, int], channels: tuple[int, int]) -> None:
    for pad in PADS:
        demand_all(isa, some(*shape, channels[0]), some(3, 3, *channels, seed=1), pad)


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("channels", [5, 40])
def test_finishes(isa: str, channels: int, back: bool) -> None:
    read, kernel = some(3, 8, 9, 6), some(3, 3, *((channels, 6) if back else (6, channels)))
    op = ops(ONES, (16, 17))[1] if back else ops(ONES, ())[0]
    plain = op.reference(*wide(read, kernel))
    bias, add, mask = some(channels), some(*plain.shape, seed=1), some(*plain.shape, seed=2)
    for with_bias, with_add, with_low, with_mask in product((False, True), repeat=4):
        made = np.empty(plain.shape, np.float32)
        finish = Finish(
            bias if with_bias else None,
            add if with_add else None,
            0.0 if with_low else -np.inf,
            mask if with_mask else None,
        )
        x, y = (made, read) if back else (read, made)
        run(isa, convolution(op, x, kernel, y, machine(isa), back=back, finish=finish, after=None))
        wanted = plain + with_bias * bias.astype(np.float64) + with_add * add.astype(np.float64)
        wanted = np.maximum(wanted, 0) if with_low else wanted
        compare(made, np.where(mask > 0, wanted, 0) if with_mask else wanted)


@pytest.mark.parametrize("back", [False, True])
def test_formulas_ride(isa: str, back: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tiles do not know is done to results while they are near, or after the call."""
    monkeypatch.setattr("graphdsl.backends.cpu.conv.by_halves", lambda *_: True)
    op = ops(ONES, (18, 31))[1] if back else ops(ONES, ())[0]
    formula = Elementwise(Apply("multiply", (Operand(0), Apply("add", (Operand(1), Literal(2.0))))), 2)
    read, kernel = some(3, *((9, 16) if back else (18, 31)), 12), some(3, 3, 12, 12)
    plain = op.reference(*wide(read, kernel))
    other, made = some(*plain.shape, seed=1), np.empty(plain.shape, np.float32)
    finish = finish_of(Fused(op, formula, 0), [other], made)
    assert finish.formula is not None
    run(isa, (backward if back else forward)(op, read, kernel, made, machine(isa), finish))  # type: ignore[operator]
    compare(made, plain * (other.astype(np.float64) + 2))


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("channels", [5, 40])
def test_what_is_gathered(isa: str, channels: int, back: bool) -> None:
    """Moments, and sums of results times what others differ by; of results that are finished."""
    read, kernel = some(4, *((9, 16) if back else (17, 32)), 6), some(3, 3, *((channels, 6) if back else (6, channels)))
    op = ops(ONES, (17, 32))[1] if back else ops(ONES, ())[0]
    plain = op.reference(*wide(read, kernel))
    mask, other, mean = some(*plain.shape, seed=1), some(*plain.shape, seed=2), some(channels)
    wanted, axes = np.where(mask > 0, plain, 0), (0, 1, 2)
    made, found = np.empty(plain.shape, np.float32), [np.empty(channels, np.float32) for _ in range(3)]
    x, y = (made, read) if back else (read, made)
    products = [Operand(0), Operand(0) * Operand(1), Operand(0) * (Operand(1) - Operand(2))]
    sums = sums_of(products, made, [other, mean], found)
    assert sums is not None
    for gathered in (moments_of(found[:2]), sums):
        plan = convolution(
            *(op, x, kernel, y, machine(isa)), back=back, finish=Finish(mask=mask), after=None, gathered=gathered
        )
        run(isa, plan)
        run(isa, plan)  # nothing of a run may be left in the next
        compare(made, wanted)
        if gathered is sums:
            compare(np.stack(found), np.stack([(wanted * f).sum(axes) for f in (1, other, other - mean)]))
        else:
            compare(np.stack(found[:2]), np.stack([wanted.mean(axes), wanted.var(axes)]))


@pytest.mark.parametrize("near", [1, 1 << 30])
def test_blocks(isa: str, monkeypatch: pytest.MonkeyPatch, near: int) -> None:
    """Blocks of few tiles and of many."""
    monkeypatch.setattr(conv_half, "NEAR", near)
    monkeypatch.setattr(conv_half, "KERNEL_NEAR", near)
    demand_all(isa, some(15, 30, 31, 9), some(3, 3, 9, 20), ONES)


@pytest.mark.parametrize("channels", [16, 64, 256])
@pytest.mark.parametrize("positive", [False, True])
def test_error(isa: str, channels: int, positive: bool) -> None:
    """See the README of the backend."""
    x = some(1, 28, 28, channels)
    if positive:
        np.abs(x, out=x)
    demand_all(isa, x, some(3, 3, channels, 16), ONES, 2e-5)


def test_nan_is_seen(isa: str) -> None:
    x, kernel = some(1, 12, 12, 4), some(3, 3, 4, 4)
    x[0, 4, 4, 1] = np.nan
    y = np.empty((1, 6, 6, 4), np.float32)
    run(isa, convolution(ops(ONES, ())[0], x, kernel, y, machine(isa), back=False, finish=Finish(low=0.0), after=None))
    assert np.isnan(y[0, 2, 2]).all()


def common(library: Library, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine without tiles of a typical speed."""
    monkeypatch.setattr(choice, "_known", {choice.name_of(library): typical(Machine(library, library.threads))})
    return Machine(replace(library, tiles=False), library.threads)


def test_chosen_where_it_pays(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = common(load(isa), monkeypatch)
    op = ops(ONES, ())[0]

    def chosen(machine: Machine, batch: int, side: int, channels: int, op: Conv = op, window: int = 3) -> bool:
        x, y = (np.empty((batch, n, n, channels), np.float32) for n in (side, side // 2))
        return preferred(op, x, (window, window), y, machine, kernel=False)

    assert chosen(plain, 32, 28, 128) and chosen(plain, 8, 56, 64)
    assert not chosen(plain, 1, 14, 512) and not chosen(plain, 8, 56, 8) and not chosen(plain, 32, 16, 16)
    assert not chosen(replace(plain, fast=False), 32, 28, 128)
    assert not chosen(plain, 32, 28, 128, window=5) and not chosen(plain, 32, 28, 128, replace(op, groups=2))
    assert not chosen(plain, 32, 28, 128, replace(op, stride=(2, 1)))
    assert not chosen(plain, 32, 28, 128, replace(op, pad=((2, 2), (2, 2))))
