"""5x5 convolutions by Winograd's way, and their gradients: every border, tail, split of the work and finish; how far
they round."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from graphdsl.backends.cpu import conv_five
from graphdsl.backends.cpu.conv import backward, forward
from graphdsl.backends.cpu.conv_five import convolution, kernel_gradient
from graphdsl.backends.cpu.epilogue import Finish, finish_of
from graphdsl.backends.cpu.library import load
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
PADS: list[Pads] = [((0, 0), (0, 0)), ((2, 2), (2, 2)), ((4, 4), (4, 4)), ((0, 3), (1, 0)), ((5, 1), (0, 2))]
SHAPES = [(1, 5, 5), (3, 8, 6), (2, 9, 17), (5, 12, 12)]
CHANNELS = [(1, 1), (3, 16), (16, 5), (24, 40), (33, 70)]
NOTHING = Finish()


def some(*shape: int, seed: int = 0) -> Array:
    """Numbers amid memory that may not be touched."""
    array, *_ = guarded(shape, np.dtype(np.float32), 4)
    array[...] = np.random.default_rng((seed, *shape)).standard_normal(shape)
    return array


def machine(isa: str) -> Machine:
    return Machine(load(isa), load(isa).threads)


def run(isa: str, plan: Plan | None) -> None:
    assert plan is not None
    table(load(isa), (*plan.once, *plan.steps))()


def compare(found: Array, wanted: Array, error: float = ERROR) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max(initial=0) <= error * np.abs(wanted).max(initial=1e-30)


def wide(*arrays: Array) -> list[Array]:
    return [a.astype(np.float64) for a in arrays]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("channels", CHANNELS, ids=str)
def test_all_three(isa: str, shape: tuple[int, int, int], channels: tuple[int, int]) -> None:
    for pad in PADS:
        settings = ((1, 1), pad, (1, 1), 1)
        x, kernel = some(*shape, channels[0]), some(5, 5, *channels, seed=1)
        op, back = Conv(*settings), ConvInputGradient(*settings, x.shape[1:3])
        wanted = op.reference(*wide(x, kernel))
        y, memory = guarded(wanted.shape, np.dtype(np.float32))
        run(isa, convolution(op, x, kernel, y, machine(isa), back=False, finish=NOTHING, after=None))
        compare(y, wanted)
        demand_untouched(y, memory)

        dy, dk = some(*wanted.shape, seed=2), np.empty_like(kernel)
        dx, memory = guarded(x.shape, np.dtype(np.float32))
        run(isa, convolution(back, dx, kernel, dy, machine(isa), back=True, finish=NOTHING, after=None))
        compare(dx, back.reference(*wide(dy, kernel)))
        demand_untouched(dx, memory)
        gradient = ConvKernelGradient(*settings, (5, 5))
        run(isa, kernel_gradient(gradient, x, dy, dk, machine(isa)))
        compare(dk, gradient.reference(*wide(x, dy)))


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("channels", [5, 40])
def test_finishes(isa: str, channels: int, back: bool) -> None:
    settings = ((1, 1), ((2, 2), (2, 2)), (1, 1), 1)
    read, kernel = some(3, 7, 9, 6), some(5, 5, *((channels, 6) if back else (6, channels)))
    op = ConvInputGradient(*settings, (7, 9)) if back else Conv(*settings)
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
    monkeypatch.setattr("graphdsl.backends.cpu.conv.by_fives", lambda *_: True)
    settings = ((1, 1), ((2, 2), (2, 2)), (1, 1), 1)
    op = ConvInputGradient(*settings, (9, 11)) if back else Conv(*settings)
    formula = Elementwise(Apply("multiply", (Operand(0), Apply("add", (Operand(1), Literal(2.0))))), 2)
    read, kernel, other = some(3, 9, 11, 12), some(5, 5, 12, 12), some(3, 9, 11, 12, seed=1)
    made = np.empty(read.shape, np.float32)
    finish = finish_of(Fused(op, formula, 0), [other], made)
    assert finish.formula is not None
    run(isa, (backward if back else forward)(op, read, kernel, made, machine(isa), finish))  # type: ignore[operator]
    compare(made, op.reference(*wide(read, kernel)) * (other.astype(np.float64) + 2))


@pytest.mark.parametrize("near", [1, 1 << 30])
def test_blocks(isa: str, monkeypatch: pytest.MonkeyPatch, near: int) -> None:
    """Blocks of few tiles and of many."""
    monkeypatch.setattr(conv_five, "NEAR", near)
    settings = ((1, 1), ((2, 2), (2, 2)), (1, 1), 1)
    x, kernel, dy = some(7, 17, 18, 9), some(5, 5, 9, 20), some(7, 17, 18, 20)
    y, dx, dk = np.empty(dy.shape, np.float32), np.empty(x.shape, np.float32), np.empty(kernel.shape, np.float32)
    op, back, gradient = (
        Conv(*settings),
        ConvInputGradient(*settings, (17, 18)),
        ConvKernelGradient(*settings, (5, 5)),
    )
    run(isa, convolution(op, x, kernel, y, machine(isa), back=False, finish=NOTHING, after=None))
    run(isa, convolution(back, dx, kernel, dy, machine(isa), back=True, finish=NOTHING, after=None))
    run(isa, kernel_gradient(gradient, x, dy, dk, machine(isa)))
    compare(y, op.reference(*wide(x, kernel)))
    compare(dx, back.reference(*wide(dy, kernel)))
    compare(dk, gradient.reference(*wide(x, dy)))


@pytest.mark.parametrize("channels", [16, 64, 256])
@pytest.mark.parametrize("positive", [False, True])
def test_error(isa: str, channels: int, positive: bool) -> None:
    """See the README of the backend."""
    x, kernel = some(1, 16, 16, channels), some(5, 5, channels, 16)
    if positive:
        np.abs(x, out=x)
    dy, y = some(1, 16, 16, 16), np.empty((1, 16, 16, 16), np.float32)
    dx, dk = np.empty(x.shape, np.float32), np.empty(kernel.shape, np.float32)
    settings = ((1, 1), ((2, 2), (2, 2)), (1, 1), 1)
    op, back, gradient = (
        Conv(*settings),
        ConvInputGradient(*settings, (16, 16)),
        ConvKernelGradient(*settings, (5, 5)),
    )
    run(isa, convolution(op, x, kernel, y, machine(isa), back=False, finish=NOTHING, after=None))
    run(isa, convolution(back, dx, kernel, dy, machine(isa), back=True, finish=NOTHING, after=None))
    run(isa, kernel_gradient(gradient, x, dy, dk, machine(isa)))
    compare(y, op.reference(*wide(x, kernel)), 2e-5)
    compare(dx, back.reference(*wide(dy, kernel)), 2e-5)
    compare(dk, gradient.reference(*wide(x, dy)), 2e-5)


def test_nan_is_seen(isa: str) -> None:
    x, kernel = some(1, 12, 12, 4), some(5, 5, 4, 4)
    x[0, 4, 4, 1] = np.nan
    y = np.empty((1, 8, 8, 4), np.float32)
    op = Conv((1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    run(isa, convolution(op, x, kernel, y, machine(isa), back=False, finish=Finish(low=0.0), after=None))
    assert np.isnan(y[0, :5, :5]).all()
