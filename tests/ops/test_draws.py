"""Tensors drawn at random: how they are spread, that they can be drawn again, and the gradient through a sample."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ir import BATCH, LAYERS, Array, Builder, Graph, Place, Role, TensorType
from graphdsl.model import Model
from graphdsl.ops import COUNTER, formula, sum_over
from graphdsl.passes import Mode, gradient, specialise
from graphdsl.report import Failed, Source
from tests.support.evaluate import evaluate

SHAPE = (4000, 3)
MEAN = np.tile(np.array([-1.0, 0.0, 2.0]), (SHAPE[0], 1))
LOG_VARIANCE = np.tile(np.log(np.array([0.25, 1.0, 4.0])), (SHAPE[0], 1))


def sampled(mode: Mode, **settings: object) -> Graph:
    """y, and the sum of its squares as a loss."""
    b = Builder()
    with b.within(Place(path="code")):
        mean, log_variance = (b.input(n, TensorType((BATCH, 3))) for n in ("mean", "log_variance"))
        y = LAYERS["sample_normal"].make(b, mean, log_variance, **settings)
        squares = formula(b, lambda v: v * v, y, title="squares")
    b.result("y", Role.OUTPUT, y)
    b.result("total", Role.LOSS, sum_over(b, squares, (0, 1)))
    return specialise(b.finish(), mode)


def fed(counter: int = 3) -> dict[str, Array]:
    return {"mean": MEAN, "log_variance": LOG_VARIANCE, COUNTER: np.array(counter, np.int64)}


@pytest.mark.parametrize(
    ("mode", "settings"),
    [(Mode.TRAINING, {}), (Mode.TRAINING, {"in_use": "sample"}), (Mode.INFERENCE, {"in_use": "sample"})],
)
def test_samples_have_the_mean_and_the_variance(mode: Mode, settings: dict[str, object]) -> None:
    y = evaluate(sampled(mode, **settings), fed())["output", "y"]
    np.testing.assert_allclose(y.mean(axis=0), MEAN[0], atol=0.1)
    np.testing.assert_allclose(y.var(axis=0), np.exp(LOG_VARIANCE[0]), rtol=0.08)
    assert abs(np.corrcoef(y.T)[0, 1]) < 0.05


def test_in_use_a_sample_is_the_mean() -> None:
    assert np.array_equal(evaluate(sampled(Mode.INFERENCE), fed())["output", "y"], MEAN)


def test_the_gradient_flows_into_mean_and_variance() -> None:
    """Of y = mean + exp(v / 2) * noise, with the noise that y tells of."""
    step = gradient(sampled(Mode.TRAINING), ["mean", "log_variance"])
    found = evaluate(step, fed())
    y = found["output", "y"]
    np.testing.assert_allclose(found["gradient", "mean"], 2 * y, rtol=1e-6)
    np.testing.assert_allclose(found["gradient", "log_variance"], y * (y - MEAN), rtol=1e-4, atol=1e-6)


def test_the_same_counter_draws_the_same() -> None:
    first, again, other = (evaluate(sampled(Mode.TRAINING), fed(c))["output", "y"] for c in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.any(first == other)


DRAWS = (
    "a = random_normal(2x3)\nb = random_normal(2x3)\noutput y = [a, b] -> concat\noutput u = random_uniform(5, -1, 3)"
)


def model_of(text: str) -> Model:
    return Model(Source("spec.dag", text))


def test_a_source_draws_for_itself_and_for_every_sample() -> None:
    model = model_of(DRAWS)
    outputs = model.draw(500)
    y, u = outputs["y"], outputs["u"]
    assert y.shape == (500, 2, 6)
    assert u.shape == (500, 5)
    assert len(np.unique(y)) == y.size
    assert abs(y.mean()) < 0.05
    assert y.std() == pytest.approx(1, abs=0.03)
    assert u.min() >= -1
    assert 2.95 < u.max() < 3
    assert np.array_equal(model_of(DRAWS).draw(500)["y"], y)
    assert not np.any(model.draw(500, seed=1)["y"] == y)


@pytest.mark.triggers("E0809")
def test_what_reads_data_is_not_drawn() -> None:
    both = "input x: float[3]\noutput seen = x -> dense(3)\noutput made = random_normal(4) -> dense(2)"
    assert set(model_of(both).draw(2)) == {"made"}
    with pytest.raises(Failed, match=r"E0809.*`seen` reads `x`"):
        model_of(both.rpartition("\n")[0]).draw(2)


def test_in_double_precision_noise_is_double() -> None:
    text = "output y = random_normal(3) -> dense(2)\ntrain { precision = float64  loss = [y, y * y] -> mse  steps = 2 }"
    model = model_of(text)
    model.fit(runs=None, shown=False)
    assert model.draw(4)["y"].dtype == np.float64
