"""Sums, means and variances in C: any axes, any stretching, made sums and tiles, one thread and several."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from graphdsl.backends.cpu import reduce
from graphdsl.backends.cpu.library import load
from graphdsl.backends.cpu.task import Machine
from graphdsl.ir import Array, Call
from graphdsl.ops import Broadcast, Moments, Reduced, Standardize, Sum
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Expression, Operand
from tests.support.kernels import check, compute, every_isa

A, B, C, D = (Operand(i) for i in range(4))
MASKED = e.where(A > 0, B, 0)
FORMULAS: list[tuple[tuple[Expression, ...], int]] = [
    ((A,), 1),
    ((B, (A - C) * B), 3),
    ((e.maximum(A + B, 0),), 2),
    ((MASKED, (C - D) * MASKED), 4),
    ((e.exp(A), A), 1),
    ((A * B, A, B, A - B, A + B), 2),
    ((e.tanh(A) * B, C), 3),
]
SIZES = [1, 2, 3, 5, 8, 16, 17, 33, 70, 300]


def draw(rng: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A shape and some of its axes."""
    while True:
        shape = tuple(int(rng.choice(SIZES)) for _ in range(int(rng.integers(1, 5))))
        axes = tuple(a for a in range(len(shape)) if rng.random() < 0.55)
        if axes and prod(shape) < 300_000:
            return shape, axes


@every_isa
@pytest.mark.parametrize("shared", [False, True], ids=["alone", "shared"])
@pytest.mark.parametrize("seed", range(40))
def test_random_sums(isa: str, seed: int, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if shared:
        monkeypatch.setattr(reduce, "SERIAL_ELEMENTS", 0)
    rng = np.random.default_rng(seed)
    shape, axes = draw(rng)
    formulas, arity = FORMULAS[int(rng.integers(len(FORMULAS)))]
    arrays = []
    for place in range(arity):
        own = [1 if place and rng.random() < 0.3 else s for s in shape]
        own = own[int(rng.integers(0, len(own) + 1)) :] if place and rng.random() < 0.3 else own
        arrays.append(np.array(rng.normal(size=own) + rng.choice([0, 3]), np.float32))
    op = Reduced(axes, formulas, arity)
    wide = [a.astype(np.float64) for a in arrays]
    sizes = Reduced(axes, tuple(abs(f) for f in formulas), arity).reference(*wide)
    for found, wanted, size in zip(compute(isa, op, *arrays), op.reference(*wide), sizes, strict=True):
        assert (np.abs(found - wanted) <= 2e-6 * size + 1e-6).all()


@every_isa
@pytest.mark.parametrize("shared", [False, True], ids=["alone", "shared"])
@pytest.mark.parametrize("seed", range(30))
def test_random_moments(isa: str, seed: int, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if shared:
        monkeypatch.setattr(reduce, "SERIAL_ELEMENTS", 0)
    rng = np.random.default_rng(seed)
    shape, axes = draw(rng)
    far = float(rng.choice([0, 3, 1000]))
    x = np.array(rng.normal(size=shape) + far, np.float32)
    mean, variance = compute(isa, Moments(axes), x)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(axes, keepdims=True), rtol=3e-7, atol=3e-7)
    np.testing.assert_allclose(variance, wide.var(axes, keepdims=True), rtol=3e-6, atol=1e-9 + (far * 1e-7) ** 2)


@every_isa
def test_nothing_cancels_where_blocks_differ(isa: str) -> None:
    rng = np.random.default_rng(0)
    x = np.array(rng.normal(size=(4000, 24)), np.float32)
    x[:130] += 5000
    x[700:900] -= 300
    wide = x.astype(np.float64)
    np.testing.assert_allclose(compute(isa, Moments((0,)), x)[1], wide.var(0, keepdims=True), rtol=2e-6)


@every_isa
def test_long_sums_keep_their_digits(isa: str) -> None:
    x = np.full((300_000, 3), 0.1, np.float32)
    for axes in ((0,), (0, 1)):
        (found,) = compute(isa, Sum(axes), x)
        np.testing.assert_allclose(found, x.astype(np.float64).sum(axes, keepdims=True), rtol=2e-6)


@every_isa
def test_what_is_no_number_spreads_no_further(isa: str) -> None:
    x = np.ones((70, 33), np.float32)
    x[3, 5], x[4, 7] = np.nan, np.inf
    for axes in ((0,), (1,)):
        check(isa, Sum(axes), x)
        found, wanted = compute(isa, Moments(axes), x)[1], Moments(axes).reference(x)[1]
        np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))


@every_isa
@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 3, 2)])
def test_sums_of_nothing(isa: str, shape: tuple[int, ...]) -> None:
    check(isa, Sum((0,)), np.zeros(shape, np.float32))


@every_isa
def test_standardize(isa: str) -> None:
    x = np.sin(1.7 * np.arange(4 * 6 * 40, dtype=np.float32)).reshape(4, 6, 40)
    lengths = np.array([6, 0, 2, 5], np.int32)
    check(isa, Standardize((0, 1), 1e-3), x, tolerance=1e-5)
    check(isa, Standardize((2,), 1e-3), x, tolerance=1e-5)
    check(isa, Standardize((0, 1), 1e-3, (1,)), x, lengths, tolerance=1e-5)
    check(isa, Standardize((0, 1, 2), 1e-3, (1, 2)), x[..., None], lengths, lengths * 5, tolerance=1e-5)


@every_isa
def test_stretching(isa: str) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 1, 3)
    check(isa, Broadcast((4, 2, 5, 3)), x)
    check(isa, Broadcast((2, 5, 3)), (x * 16_777_217).astype(np.int32))


@every_isa
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_sharing_gives_the_same_bits_again(isa: str, threads: int) -> None:
    """Sums of so many threads, run twice; each thread adds in its own place."""
    library = load(isa)
    rng = np.random.default_rng(0)
    for shape, axes in (((5000, 16), (0,)), ((64, 2000), (0,)), ((3, 4000), (1,)), ((40, 50, 30), (0, 2))):
        x = np.array(rng.normal(size=shape), np.float32)
        out = [np.zeros(x.sum(axes, keepdims=True).shape, np.float32) for _ in range(2)]
        runs = [_bound(x, axes, o, Machine(library, threads)) for o in out]
        assert runs[0] == runs[1]


def _bound(x: Array, axes: tuple[int, ...], out: Array, machine: Machine) -> tuple[str, ...]:
    plan = reduce.sums(Call("sum", Sum(axes), (0,), (1,)), [x], [out], machine)
    assert plan is not None
    return tuple(str((s.serial, s.own, s.shared)) for s in plan.steps)
