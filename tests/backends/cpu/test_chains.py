"""Flat formulas that run together: nothing is read too late or written too early."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from graphdsl.backends.cpu.backend import CpuBackend
from graphdsl.backends.cpu.chains import Made, Together, arranged
from graphdsl.ir import Array, Call
from graphdsl.ops import Elementwise, Sum
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Expression, Operand
from tests.support.kernels import every_isa, machine

A, B, C = (Operand(i) for i in range(3))


class Program:
    """Calls over stretches of one memory."""

    def __init__(self, backend: CpuBackend, floats: int) -> None:
        self.backend = backend
        self.memory = np.linspace(-1, 1, floats, dtype=np.float32)
        self.calls: list[tuple[Elementwise | Sum, list[Array], Array]] = []

    def at(self, start: int, *shape: int) -> Array:
        return self.memory[start : start + int(np.prod(shape))].reshape(shape)

    def add(self, tree: Expression, inputs: Sequence[Array], output: Array) -> None:
        self.calls.append((Elementwise(tree, len(inputs)), list(inputs), output))

    def kernels(self) -> list[Made]:
        return [self.backend.kernel(Call("f", op, (), ()), i, [o]) for op, i, o in self.calls]  # type: ignore[misc]

    def order(self) -> list[tuple[int, ...]]:
        """Which calls run together."""
        found = arranged(self.kernels(), self.backend.machine)
        return [part.members if isinstance(part, Together) else (part,) for part in found]

    def check(self) -> None:
        """One by one and together the memory ends alike."""
        begin = self.memory.copy()
        for op, inputs, output in self.calls:
            output[...] = op.reference(*inputs)
        wanted = self.memory.copy()
        self.memory[...] = begin
        self.backend.sequence(self.kernels())()  # type: ignore[arg-type]
        np.testing.assert_allclose(self.memory, wanted, rtol=1e-5, atol=1e-6)


def learning(backend: CpuBackend, sizes: Sequence[int], *, reuse: bool) -> Program:
    """For each weight its gradient, then momentum and step. reuse: the gradients lie in the same place."""
    p = Program(backend, 100 + 5 * sum(sizes) + 16)
    rate, place = p.at(0), 1
    for size in sizes:
        w, v, raw = (p.at(place + i * size, size, 1) for i in range(3))
        place += 3 * size
        gradient = p.at(p.memory.size - max(sizes) if reuse else place, size, 1)
        place += 0 if reuse else size
        p.calls.append((Sum((1,)), [np.concatenate([raw, raw], 1)], gradient))
        p.add(0.9 * A + B, [v, gradient], v)
        p.add(A - C * B, [w, v, rate], w)
    return p


@every_isa
def test_weights_learn_in_one_step(isa: str) -> None:
    p = learning(machine(isa), (40, 3000, 7), reuse=False)
    assert p.order() == [(0,), (3,), (6,), (1, 2, 4, 5, 7, 8)]
    p.check()


@every_isa
def test_gradients_are_used_before_their_place_is_taken(isa: str) -> None:
    p = learning(machine(isa), (40, 3000, 7), reuse=True)
    assert p.order() == [(0,), (1, 2), (3,), (4, 5), (6,), (7, 8)]
    p.check()


@every_isa
def test_single_numbers_come_before_what_reads_them(isa: str) -> None:
    p = Program(machine(isa), 4000)
    steps, correction, x, y = p.at(0), p.at(1), p.at(8, 1500), p.at(1600, 1500)
    p.add(A * 0.5, [x], x)
    p.add(A + 1, [steps], steps)
    p.add(e.exp(A), [steps], correction)
    p.add(A * B, [x, correction], y)
    assert p.order() == [(1, 2), (0, 3)]
    p.check()


@every_isa
def test_shifted_memory_is_no_chain(isa: str) -> None:
    """Elements that overlap other than one by one are worked off one formula after another."""
    p = Program(machine(isa), 9000)
    p.add(A + 1, [p.at(0, 4000)], p.at(0, 4000))
    p.add(A * 2, [p.at(1, 4000)], p.at(4500, 4000))
    assert p.order() == [(0,), (1,)]
    p.check()


@every_isa
@pytest.mark.parametrize("seed", range(60))
def test_random_programs(isa: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = [1, 64, 64, 3000]
    p = Program(machine(isa), 16_000)
    starts = [int(rng.integers(0, 12_000)) // 4 * 4 for _ in range(6)]

    def place(size: int) -> Array:
        return p.at(int(rng.choice(starts)), size)

    for _ in range(14):
        size = int(rng.choice(sizes))
        if rng.random() < 0.3:
            x, y = place(64), place(1)
            if not np.shares_memory(x, y):
                p.calls.append((Sum((0,)), [x], y))
            continue
        inputs = [place(size if rng.random() < 0.8 else 1) for _ in range(2)]
        output = place(size)
        same = [a.shape == output.shape and a.ctypes.data == output.ctypes.data for a in inputs]
        if all(s or not np.shares_memory(a, output) for a, s in zip(inputs, same, strict=True)):
            p.add(e.tanh(A) * 0.5 + B, inputs, output)
    p.check()
