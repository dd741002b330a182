"""Depthwise convolutions and both gradients against float64, on every instruction set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graphdsl.backends.cpu import depthwise
from graphdsl.backends.cpu.backend import CpuBackend
from graphdsl.backends.cpu.library import load
from graphdsl.ir import Array, Operator
from graphdsl.ops import Elementwise, Fused
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Operand
from tests.backends.cpu.sliding import convolution, noise
from tests.support.calls import close, exact, made
from tests.support.kernels import every_isa

A, B, C = (Operand(i) for i in range(3))
FORMULAS = [
    Elementwise(e.maximum(A + B, 0), 2, title="add_bias+relu"),
    Elementwise(e.where(B > 0, A, 0), 2, title="relu_gradient"),
    Elementwise(e.tanh(A * B) + C, 3, title="other"),
]


def _check(op: Operator, operands: list[Array], isa: str, threads: int) -> None:
    machine = CpuBackend(load(isa))
    machine.machine = replace(machine.machine, threads=threads)
    (result,), (expected,) = made(machine, op, operands), exact(op, operands)
    close(result, expected, 2e-5)


@pytest.fixture(params=["alone", "shared"], autouse=True)
def _sharing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "shared":
        monkeypatch.setattr(depthwise, "SERIAL", 0)


@every_isa
@pytest.mark.parametrize("seed", range(40))
def test_random_windows(seed: int, isa: str) -> None:
    rng = np.random.default_rng(seed)
    channels, plain = int(rng.choice([1, 3, 5, 8, 16, 17, 20, 33, 64])), seed % 2 == 0
    size = int(rng.choice([3, 5]))
    window = (size, size) if plain else tuple(int(v) for v in rng.integers(1, 6, rng.integers(1, 3)))
    case = convolution(rng, channels, channels, channels, window, plain=plain)
    x, kernel, y = (noise(rng, *shape) for shape in (case.x, case.kernel, case.y))
    threads = int(rng.integers(1, 4))
    _check(case.op, [x, kernel], isa, threads)
    _check(case.op.for_input(case.x[1:-1]), [y, kernel], isa, threads)
    _check(case.op.for_kernel(window), [x, y], isa, threads)


@every_isa
@pytest.mark.parametrize("channels", [3, 40])
@pytest.mark.parametrize("formula", FORMULAS, ids=lambda f: f.title)
def test_formulas_ride_along(formula: Elementwise, channels: int, isa: str) -> None:
    rng = np.random.default_rng(1)
    case = convolution(rng, channels, channels, channels, (3, 3), plain=True)
    x, kernel, full = (noise(rng, *shape) for shape in (case.x, case.kernel, case.y))
    bias = noise(rng, channels)
    others = {"add_bias+relu": [bias], "relu_gradient": [full], "other": [bias, full]}[formula.title]
    _check(Fused(case.op, formula, 0), [x, kernel, *others], isa, 2)
