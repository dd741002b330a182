"""Random numbers: the same for the same key and counter, and as random as they should be."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ir import BATCH, LAYERS, Array, Builder, Graph, Place, Role, TensorType, Value
from graphdsl.ops import COUNTER, RandomUniform, key_of, sum_over
from graphdsl.passes import Mode, gradient, specialise
from tests.support.evaluate import built, evaluate

X = TensorType((BATCH, 1000))
ONES = np.ones((50, 1000), np.float32)
MASK = 2**64 - 1


def disturbed(layer: str, amount: float, mode: Mode = Mode.TRAINING, place: str = "drop") -> Graph:
    def make(b: Builder, x: Value) -> Value:
        with b.within(Place(path=place)):
            made: Value = LAYERS[layer].make(b, x, amount)
            return made

    return specialise(built(make, X), mode)


def output(graph: Graph, counter: int = 0) -> Array:
    return evaluate(graph, {"x0": ONES, COUNTER: np.array(counter, np.int64)})["output", "y"]


def mix(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


@pytest.mark.parametrize(("key", "counter"), [(0, 0), (2**63 - 1, 12), (key_of("class/dropout_1"), 2**40)])
def test_numbers_follow_the_recipe(key: int, counter: int) -> None:
    """The page of random_uniform, in Python's whole numbers that never wrap by themselves."""
    golden = 0x9E3779B97F4A7C15
    start = mix((key + golden * (counter + 1)) & MASK)
    expected = [(mix((start + golden * (i + 1)) & MASK) >> 40) * 2.0**-24 for i in range(6)]
    made = RandomUniform(key, (2, 3)).reference(np.array(counter, np.int64))
    assert made.dtype == np.float32
    assert made.ravel().tolist() == expected


def test_numbers_are_spread_evenly() -> None:
    made = RandomUniform(7, (100, 1000)).reference(np.array(1, np.int64)).astype(np.float64)
    assert made.min() >= 0
    assert made.max() < 1
    counts, _ = np.histogram(made, 20, (0, 1))
    assert np.abs(counts / 5000 - 1).max() < 0.06
    assert abs(np.corrcoef(made.ravel()[:-1], made.ravel()[1:])[0, 1]) < 0.01


@pytest.mark.parametrize("rate", [0.25, 0.5, 0.9])
def test_dropout_drops_as_many_as_it_says_and_keeps_the_mean(rate: float) -> None:
    y = output(disturbed("dropout", rate))
    assert (y == 0).mean() == pytest.approx(rate, abs=0.01)
    np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=1e-6)
    assert y.mean() == pytest.approx(1, abs=0.03)


def test_dropout_draws_again_at_every_step_and_alike_at_the_same() -> None:
    graph = disturbed("dropout", 0.5)
    assert np.array_equal(output(graph, 3), output(graph, 3))
    assert not np.array_equal(output(graph, 3), output(graph, 4))


def test_two_dropouts_draw_for_themselves() -> None:
    first, second = (output(disturbed("dropout", 0.5, place=p)) for p in ("class/dropout_1", "class/dropout_2"))
    assert (first == second).mean() == pytest.approx(0.5, abs=0.02)


def test_the_gradient_flows_where_the_numbers_did() -> None:
    graph = disturbed("dropout", 0.5)
    b = Builder()
    x = b.input("x0", X)
    with b.within(Place(path="drop")):
        y = LAYERS["dropout"].make(b, x, 0.5)
    b.result("total", Role.LOSS, sum_over(b, y, (0, 1)))
    step = gradient(specialise(b.finish(), Mode.TRAINING), ["x0"])
    d = evaluate(step, {"x0": ONES, COUNTER: np.array(5, np.int64)})["gradient", "x0"]
    np.testing.assert_array_equal(d, output(graph, 5))


@pytest.mark.parametrize("layer", ["dropout", "gaussian_noise"])
def test_in_use_nothing_happens(layer: str) -> None:
    graph = disturbed(layer, 0.5, Mode.INFERENCE)
    assert list(graph) == ["x0"]


@pytest.mark.parametrize("layer", ["dropout", "gaussian_noise"])
def test_an_amount_of_nothing_does_nothing(layer: str) -> None:
    assert list(disturbed(layer, 0.0)) == ["x0"]


def test_gaussian_noise_is_normal() -> None:
    noise = output(disturbed("gaussian_noise", 0.3)).astype(np.float64) - 1
    assert np.isfinite(noise).all()
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(0.3, rel=0.02)
    assert (np.abs(noise) < 0.3).mean() == pytest.approx(0.6827, abs=0.01)
