"""Targets of which entries are unknown: these reach neither loss nor gradient, by a bit, wherever that is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphdsl.backends import Backend, backend
from graphdsl.backends.cpu.library import available
from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.ir import BATCH, LAYERS, LOSSES, PARTIAL, Array, Builder, DType, Role, TensorType, TypeRuleError, indices
from graphdsl.lang import elaborate
from graphdsl.learn import OPTIMIZERS
from graphdsl.model.words import VOCABULARY
from graphdsl.passes import apply, gradient, simplify, training
from graphdsl.report import Source
from graphdsl.runtime import Compiled, Executor
from tests.support.cuda.checks import needs_compiler
from tests.support.cuda.simulated import SimulatedDevice
from tests.support.evaluate import built, evaluate

NAN = float("nan")
RANDOM = np.random.default_rng(5)
SKIPPING = ["mse", "mae", "huber", "binary_crossentropy"]
X = np.array([[0.9, 0.5, 0.4, 0.2, 0.1, 0.3, 0.8, 0.1], [0.2, 7.0, -3.0, 4.0, 5.0, 0.6, 0.3, 0.2]])
T = np.array([[1.0, 0.4, 0.6, 0.3, 0.3, 0.0, 1.0, 0.0], [0.0, *[NAN] * 7]])
"""A car, and a picture in which nothing is: the lecture's y = [1, bx, by, bh, bw, 0, 1, 0] and [0, ?, ?, …]."""


def judged(name: str, x: Array, t: Array, **settings: Any) -> tuple[float, Array]:
    """The loss of x, behind a sigmoid where it wants probabilities, and its gradient."""
    b = Builder()
    put = b.input("x", TensorType((BATCH, *x.shape[1:]), DType.FLOAT64))
    said = LAYERS["sigmoid"].make(b, put) if name == "binary_crossentropy" else put
    truth = b.input("t", TensorType((BATCH, *t.shape[1:]), DType.FLOAT64, PARTIAL))
    b.result("total", Role.LOSS, LOSSES[name].make(b, said, truth, **settings))
    made = evaluate(gradient(simplify(b.finish()), ["x"]), {"x": x, "t": t})
    return float(made["loss", "total"]), made["gradient", "x"]


def test_the_lecture_by_hand() -> None:
    """All eight squares of the car, and of the empty picture that of p; then the mean over the two."""
    loss, slope = judged("localisation", X, T)
    assert loss == pytest.approx((((X[0] - T[0]) ** 2).sum() + 0.2**2) / 2, rel=1e-12)
    np.testing.assert_allclose(slope[0], X[0] - T[0])
    np.testing.assert_allclose(slope[1], [0.2, 0, 0, 0, 0, 0, 0, 0])


def test_only_what_is_asked_counts() -> None:
    """Numbers in place of the `?` of an empty picture change nothing, and a `?` of a full one is left out."""
    other = T.copy()
    other[1, 1:] = RANDOM.normal(size=7)
    for one, two in zip(judged("localisation", X, T), judged("localisation", X, other), strict=True):
        np.testing.assert_array_equal(one, two)
    other[0, 5:] = NAN
    assert judged("localisation", X, other)[0] == pytest.approx((((X[0] - T[0]) ** 2)[:5].sum() + 0.04) / 2)
    other[:, 0] = NAN
    assert judged("localisation", X, other)[0] == 0.0


@pytest.mark.parametrize("name", SKIPPING)
def test_a_loss_is_that_of_the_known_entries_alone(name: str) -> None:
    x, t = RANDOM.normal(size=(4, 6)), RANDOM.random((4, 6))
    gone = RANDOM.random((4, 6)) < 0.4
    loss, slope = judged(name, x, np.where(gone, NAN, t))
    alone, known = judged(name, x[~gone][:, None], t[~gone][:, None])
    assert loss == pytest.approx(alone, rel=1e-12)
    assert (slope[gone] == 0).all()
    np.testing.assert_allclose(slope[~gone], known[:, 0])
    assert judged(name, x, np.full_like(t, NAN))[0] == 0.0


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "localisation"])
def test_nothing_that_is_said_of_the_unknown_counts(name: str) -> None:
    """Not even where its square is beyond float."""
    x, t = np.array([[0.3, 1e200]]), np.array([[0.8, NAN]])
    loss, slope = judged(name, x, t)
    assert loss == judged(name, x[:, :1], t[:, :1])[0] if name != "localisation" else loss == pytest.approx(0.25)
    assert np.isfinite(slope).all() and slope[0, 1] == 0 and slope[0, 0] < 0


@pytest.mark.parametrize("name", [*SKIPPING, "localisation"])
def test_the_slope_is_that_of_the_loss(name: str) -> None:
    x, t = RANDOM.normal(size=(6, 8)), RANDOM.random((6, 8))
    t[:, 0] = [0, 1, 0, 1, 1, 0]
    t[RANDOM.random((6, 8)) < 0.3] = NAN
    along = RANDOM.normal(size=x.shape)
    ends = [judged(name, x + sign * 1e-6 * along, t)[0] for sign in (1, -1)]
    slope = float((judged(name, x, t)[1] * along).sum())
    assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(slope, rel=1e-6)


# --- where it is computed --------------------------------------------------------------------------------------------

SPEC = """
input  x: float[5]
target truth: float?[8]
target far: float?[4]
said = x -> dense(16) -> tanh
output place = said -> dense(8)
output near = said -> dense(4)
train { loss = [[place, truth] -> localisation, [near, far] -> mse, [near, far] -> huber] }
"""
MACHINES: dict[str, Callable[[], Backend]] = {
    "reference": lambda: backend("reference"),
    "cpu": lambda: backend("cpu"),
    "simulated": lambda: CudaBackend(SimulatedDevice()),
}


def steps(machine: Backend, truth: Array, far: Array) -> list[Array]:
    """The losses and the weights of three steps."""
    graph = elaborate(Source("unknown.dag", SPEC), VOCABULARY).graph
    step = Compiled(apply(graph, training(OPTIMIZERS["sgd"].make(lr=0.1))), Executor(machine), seed=3)
    x = np.random.default_rng(0).normal(size=(4, 5))
    fed = {name: np.asarray(a, np.float32) for name, a in {"x": x, "truth": truth, "far": far}.items()}
    losses = [np.asarray(step.run(fed | {"train/rate": np.float32(0.1)})["loss/total"]) for _ in range(3)]
    weights = step.executor.weights.snapshot()
    return [*losses, *(weights[name] for name in sorted(weights))]


@pytest.mark.parametrize(
    "name",
    [
        "reference",
        pytest.param("cpu", marks=pytest.mark.skipif(not available(), reason="no compiled kernels")),
        pytest.param("simulated", marks=needs_compiler),
    ],
)
def test_unknown_entries_change_no_bit(name: str) -> None:
    truth, far = RANDOM.random((4, 8)), RANDOM.random((4, 4))
    truth[:, 0], far[2, 1:] = [1, 0, 0, 1], NAN
    unknown = truth.copy()
    unknown[1:3, 1:] = NAN
    made, expected = steps(MACHINES[name](), unknown, far), steps(MACHINES[name](), truth, far)
    assert all(np.isfinite(array).all() for array in made)
    for one, two in zip(made, expected, strict=True):
        np.testing.assert_array_equal(one, two)
    for one, two in zip(made, steps(backend("reference"), unknown, far), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


# --- refusals and the box --------------------------------------------------------------------------------------------


def refused(name: str, x: TensorType, t: TensorType) -> TypeRuleError:
    b = Builder()
    with pytest.raises(TypeRuleError) as caught:
        LOSSES[name].make(b, b.input("x", x), b.input("t", t))
    return caught.value


@pytest.mark.parametrize("name", ["mape", "hinge", "overlap_loss", "logits_matching"])
def test_losses_that_need_all_of_their_target_say_so(name: str) -> None:
    known, partial = TensorType((BATCH, 4)), TensorType((BATCH, 4), DType.FLOAT32, PARTIAL)
    error = refused(name, known, partial)
    assert (error.code, error.operand) == ("E0303", 1)


def test_localisation_needs_a_vector() -> None:
    assert refused("localisation", TensorType((BATCH, 1)), TensorType((BATCH, 1))).code == "E0304"
    assert refused("localisation", TensorType((BATCH, 2, 2)), TensorType((BATCH, 2, 2))).code == "E0304"
    whole = TensorType((BATCH,), DType.INT32, indices(2))
    assert refused("localisation", TensorType((BATCH, 2)), whole).code == "E0303"


def test_what_was_located_is_a_candidate() -> None:
    def found(b: Builder, x: Any) -> Any:
        return LAYERS["nms"].make(b, (LAYERS["located"].make(b, x),), score=0.5)

    made = evaluate(
        built(found, TensorType((BATCH, 8), DType.FLOAT64)), {"x0": np.array([[0.9, 0.1, 0.2, 0.3, 0.4, 0, 1, 0]])}
    )
    np.testing.assert_allclose(made["output", "y"][0, 0], [0.1, 0.2, 0.3, 0.4, 0.9, 1])
    with pytest.raises(TypeRuleError, match="located reads"):
        built(found, TensorType((BATCH, 5)))
