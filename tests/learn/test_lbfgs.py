"""L-BFGS against PyTorch's, on a function that curves and on gradients that belong to none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphdsl.ir import Array, DType
from graphdsl.learn import Optimizer
from tests.learn.test_optimizers import begin, built, made, stepped

Slope = Callable[[Array, int], Array]
SHAPE = (3, 4)
AXES = np.linspace(0.2, 3, 12).reshape(SHAPE)


def curved(w: Array, step: int) -> Array:
    """The gradient of sum(AXES / 2 w² + w⁴ / 40) + 0.1 (sum w)²."""
    return np.asarray(AXES * w + 0.1 * w**3 + 0.2 * w.sum())


def wild(w: Array, step: int) -> Array:
    return np.random.default_rng(step).normal(size=SHAPE)


def walked(optimizer: Optimizer, slope: Slope, steps: int, dtype: DType = DType.FLOAT64) -> list[Array]:
    graph = built(optimizer, [SHAPE], dtype)
    weights = {**begin(graph), "w0": start().astype(dtype.numpy)}
    seen = []
    for step in range(steps):
        rate = np.asarray(optimizer.schedule, dtype.numpy)
        weights = stepped(graph, weights, {"g0": slope(weights["w0"], step).astype(dtype.numpy), "rate": rate})
        seen.append(weights["w0"])
    return seen


def start() -> Array:
    return np.random.default_rng(3).normal(size=SHAPE)


@pytest.mark.parametrize(
    ("slope", "settings"),
    [(curved, {}), (curved, {"lr": 0.5, "history": 3}), (curved, {"history": 1}), (wild, {"lr": 0.1, "history": 4})],
)
def test_like_torch(slope: Slope, settings: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    parameter = torch.nn.Parameter(torch.tensor(start()))
    history = settings.get("history", 10)
    theirs = torch.optim.LBFGS([parameter], lr=settings.get("lr", 1.0), max_iter=1, history_size=history)
    for step, ours in enumerate(walked(made("lbfgs", **settings), slope, 15)):
        parameter.grad = torch.tensor(slope(parameter.detach().numpy(), step))
        theirs.step(lambda: torch.tensor(0.0))
        np.testing.assert_allclose(ours, parameter.detach().numpy(), rtol=1e-7, atol=1e-9, err_msg=f"step {step}")


def test_it_finds_the_valley_sooner_than_plain_steps() -> None:
    """At the end the gradient is 100 times smaller than where twelve plain steps of the best length lead."""
    bent, plain = walked(made("lbfgs"), curved, 12)[-1], start()
    for step in range(12):
        plain = plain - 0.35 * curved(plain, step)
    assert np.abs(curved(bent, 0)).max() * 100 < np.abs(curved(plain, 0)).max()


def test_single_precision() -> None:
    single = walked(made("lbfgs"), curved, 12, DType.FLOAT32)
    assert single[-1].dtype == np.float32
    np.testing.assert_allclose(single[-1], walked(made("lbfgs"), curved, 12)[-1], atol=1e-5)


def test_the_first_step_is_short() -> None:
    (first,) = walked(made("lbfgs"), curved, 1)
    assert np.abs(first - start()).sum() == pytest.approx(1)
