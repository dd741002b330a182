"""Normalisation: statistics of the batch, running averages, frozen layers, sequences of different lengths."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ir import BATCH, LAYERS, Builder, ModalOperator, Place, Role, TensorType, TypeRuleError, rebuild, symbol
from tests.support.evaluate import built, evaluate, parameters

X = np.array([[1.0, 10.0], [3.0, 10.0], [5.0, 40.0], [7.0, 100.0]])


def modal(graph, mode):
    """graph with its modal operators replaced by their training or inference form."""

    def rule(b, name, node, operands):
        return getattr(node.op, mode)(b, operands) if isinstance(node.op, ModalOperator) else None

    return rebuild(graph, rule)


def normed(name, *shape, **settings):
    return built(lambda b, x: LAYERS[name].make(b, x, **settings), TensorType((BATCH, *shape)))


def test_training_takes_the_statistics_of_the_batch():
    y = evaluate(modal(normed("batch_norm", 2), "training"), {"x0": X})["output", "y"]
    np.testing.assert_allclose(y, (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-5))


def test_running_averages_move_a_tenth_toward_the_batch_with_its_unbiased_variance():
    results = evaluate(modal(normed("batch_norm", 2), "training"), {"x0": X})
    np.testing.assert_allclose(results["update", "mean"], 0.1 * X.mean(0))
    np.testing.assert_allclose(results["update", "variance"], 0.9 + 0.1 * X.var(0, ddof=1))


def test_inference_takes_the_running_averages_and_changes_nothing():
    weights = {"mean": np.array([4.0, 0.0]), "variance": np.array([4.0, 1.0]), "gamma": np.array([2.0, 1.0])}
    results = evaluate(modal(normed("batch_norm", 2, eps=1e-12), "inference"), {"x0": X, **weights})
    np.testing.assert_allclose(results["output", "y"], (X - [4, 0]) * [1, 1])
    assert list(results) == [("output", "y")]


def test_gamma_and_beta_learn_the_averages_do_not():
    graph = normed("batch_norm", 8, 8, 3)
    assert (parameters(graph), parameters(graph, trainable=False)) == (6, 6)


@pytest.mark.parametrize(("scale", "center"), [(True, False), (False, True), (False, False)])
@pytest.mark.parametrize("mode", ["training", "inference"])
def test_gamma_and_beta_may_be_left_out(mode, scale, center):
    graph = normed("batch_norm", 2, scale=scale, center=center)
    weights = {"gamma": np.array([2.0, 3.0])} if scale else {}
    weights |= {"beta": np.array([5.0, 7.0])} if center else {}
    assert parameters(graph) == 2 * len(weights)
    y = evaluate(modal(graph, mode), {"x0": X, **weights})["output", "y"]
    plain = evaluate(modal(normed("batch_norm", 2), mode), {"x0": X})["output", "y"]
    np.testing.assert_allclose(y, plain * weights.get("gamma", 1) + weights.get("beta", 0))


def test_a_frozen_layer_serves_while_the_others_train():
    b = Builder()
    x = b.input("x0", TensorType((BATCH, 2)))
    with b.within(Place(frozen=True)):
        y = LAYERS["batch_norm"].make(b, x)
    b.result("y", Role.OUTPUT, y)
    results = evaluate(modal(b.finish(), "training"), {"x0": X})
    assert list(results) == [("output", "y")]
    np.testing.assert_allclose(results["output", "y"], X, rtol=1e-5)


def test_steps_behind_a_sequences_end_do_not_count():
    x = np.array([[1.0, 3.0, 99.0], [5.0, 7.0, 9.0]])[..., None]
    graph = modal(normed("batch_norm", symbol("T"), 1), "training")
    results = evaluate(graph, {"x0": x, "lengths/T": np.array([2, 3], np.int32)})
    real = np.array([1.0, 3, 5, 7, 9])
    np.testing.assert_allclose(results["update", "mean"], 0.1 * real.mean())
    np.testing.assert_allclose(results["update", "variance"], 0.9 + 0.1 * real.var(ddof=1))
    assert results["output", "y"][0, 2, 0] == 0


@pytest.mark.parametrize("free", ["H", "W", "HW"])
def test_no_axis_that_is_free_counts_behind_the_end(free):
    x = np.sin(np.arange(24.0)).reshape(2, 3, 4, 1)
    shape = [symbol(name) if name in free else size for name, size in (("H", 3), ("W", 4))]
    ends = {"H": [3, 2], "W": [1, 4]}
    lengths = {f"lengths/{name}": np.array(ends[name], np.int32) for name in free}
    graph = modal(normed("batch_norm", *shape, 1), "training")
    results = evaluate(graph, {"x0": x, **lengths})
    boxes = [[ends[name][i] if name in free else size for name, size in (("H", 3), ("W", 4))] for i in (0, 1)]
    real = np.concatenate([sample[:high, :wide].ravel() for sample, (high, wide) in zip(x, boxes, strict=True)])
    np.testing.assert_allclose(results["update", "mean"], 0.1 * real.mean())
    np.testing.assert_allclose(results["update", "variance"], 0.9 + 0.1 * real.var(ddof=1))


def test_one_sample_has_a_variance_of_zero():
    results = evaluate(modal(normed("batch_norm", 2), "training"), {"x0": X[:1]})
    assert results["output", "y"].tolist() == [[0, 0]]
    np.testing.assert_allclose(results["update", "variance"], [0.9, 0.9])


def test_layer_norm_is_over_the_features_of_one_place():
    x = np.sin(np.arange(24.0)).reshape(2, 3, 4)
    y = evaluate(normed("layer_norm", 3, 4), {"x0": x, "gamma": np.full(4, 2.0)})["output", "y"]
    expected = 2 * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, expected)


@pytest.mark.parametrize("name", ["batch_norm", "layer_norm"])
def test_features_must_be_known(name):
    with pytest.raises(TypeRuleError) as error:
        normed(name, 3, symbol("T"))
    assert error.value.code == "E0401"


def test_a_shared_batch_norm_follows_both_uses():
    b = Builder()
    left, right = (b.input(name, TensorType((BATCH, 2))) for name in ("left", "right"))
    for number, x in enumerate((left, right), 1):
        with b.within(Place(path=f"n_{number}", weights="n", reuse=True)):
            b.result(f"y{number}", Role.OUTPUT, LAYERS["batch_norm"].make(b, x, momentum=0.5))
    got = evaluate(modal(b.finish(), "training"), {"left": X, "right": 2 * X})
    once = 0.5 * X.mean(0)
    np.testing.assert_allclose(got["update", "n/mean"], 0.5 * once + 0.5 * (2 * X).mean(0))
