"""Alike calls in one launch: the same numbers, and never past a call that needs, or overwrites, what they touch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.backends.cuda.calls import Native
from graphdsl.backends.cuda.many import Together, together
from graphdsl.backends.cuda.order import steps_of
from graphdsl.ir import Array, Call, DType
from graphdsl.ops import Elementwise, Formulas
from graphdsl.ops.expression import Operand
from tests.support.cuda.checks import SCHEDULES, needs_compiler
from tests.support.cuda.simulated import SimulatedDevice

pytestmark = needs_compiler

X, Y = Operand(0), Operand(1)
SUM = Elementwise(X + Y * 0.5, 2)
BOTH = Formulas((X * 0.9 + Y, X - Y * 0.1), 2)


class Bench:
    """Tensors on a simulated GPU, and calls on them."""

    def __init__(self, schedule: int = 0) -> None:
        self.machine = CudaBackend(SimulatedDevice(seed=schedule, processors=2))
        self.calls: list[Native] = []

    def tensor(self, array: Array) -> DeviceArray:
        view = self.machine.view(self.machine.alloc(array.nbytes), 0, array.shape, DType(array.dtype.name))
        self.machine.upload(view, array)
        return view

    def call(self, op: Elementwise | Formulas, inputs: Sequence[DeviceArray], outputs: Sequence[DeviceArray]) -> None:
        made = self.machine.kernel(Call("", op, (), ()), inputs, outputs)
        assert isinstance(made, Native)
        self.calls.append(made)

    def launches(self) -> list[str]:
        return [x.unit.expression for c in together(self.calls, self.machine.device) for x in c.plan.launches]


def rows(*sizes: int) -> list[Array]:
    return [np.random.default_rng(n).standard_normal(n).astype(np.float32) for n in sizes]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_same_numbers(schedule: int) -> None:
    bench, sizes = Bench(schedule), (4, 1028, 16, 40_000)
    pairs = [(a, np.sin(a)) for a in rows(*sizes)]
    views = [(bench.tensor(a), bench.tensor(b)) for a, b in pairs]
    for a, b in views:
        bench.call(BOTH, (a, b), (a, b))
    assert bench.launches() == ["elementwise_many<4>"]
    bench.machine.sequence(bench.calls)()
    for (a, b), (first, second) in zip(pairs, views, strict=True):
        np.testing.assert_allclose(bench.machine.download(first), a * 0.9 + b, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(bench.machine.download(second), a - b * 0.1, rtol=1e-6, atol=1e-6)


def test_lengths_that_are_no_steps_of_four() -> None:
    bench = Bench()
    views = [(bench.tensor(a), bench.tensor(a + 1), bench.tensor(a)) for a in rows(5, 6, 1027)]
    for a, b, y in views:
        bench.call(SUM, (a, b), (y,))
    assert len(bench.launches()) == 1
    bench.machine.sequence(bench.calls)()
    for a, b, y in views:
        expected = bench.machine.download(a) + bench.machine.download(b) * np.float32(0.5)
        np.testing.assert_allclose(bench.machine.download(y), expected, rtol=1e-6)


def test_what_is_needed_is_there() -> None:
    """A call that reads what a member makes, or writes what it reads, comes between them."""
    bench = Bench()
    a, b, c, d, e = (bench.tensor(x) for x in rows(8, 8, 8, 8, 8))
    bench.call(SUM, (a, b), (c,))
    bench.call(BOTH, (c, d), (c, d))
    bench.call(SUM, (a, b), (e,))
    assert len(bench.launches()) == 3
    bench.call(SUM, (b, a), (d,))
    assert bench.launches() == ["elementwise<1, 4, u32>", "elementwise<1, 4, u32>", "elementwise_many<4>"]


def test_calls_that_wait_for_each_other_stay_apart() -> None:
    bench = Bench()
    a, b, c = (bench.tensor(x) for x in rows(8, 8, 8))
    bench.call(SUM, (a, b), (c,))
    bench.call(SUM, (c, b), (a,))
    assert len(bench.launches()) == 2
    calls = together(bench.calls, bench.machine.device)
    assert [step.after for step in steps_of(calls)] == [(), (0,)]
    assert not any(isinstance(call, Together) for call in calls)
