"""Every loss against numbers worked out by hand; masks, weights, refusals; and the stable forms."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np
import pytest

from graphdsl.ir import (
    BATCH,
    LAYERS,
    LOSSES,
    Array,
    Builder,
    DType,
    Graph,
    Role,
    TensorType,
    TypeRuleError,
    indices,
    symbol,
)
from graphdsl.passes import gradient, simplify
from tests.support.evaluate import evaluate

T = symbol("T")
ENDS = {"binary_crossentropy": "sigmoid", "categorical_crossentropy": "softmax", "kl_divergence": "softmax"}


def graph_of(
    name: str, prediction: TensorType, target: TensorType, *, weight: TensorType | None = None, **settings: object
) -> Graph:
    """The loss of x (after a softmax or sigmoid where it wants probabilities) against t; weight: the type of w."""
    b = Builder()
    x = b.input("x", prediction)
    p = LAYERS[ENDS[name]].make(b, x) if name in ENDS else x
    given = {"sample_weight": b.input("w", weight)} if weight else {}
    value = LOSSES[name].make(b, p, b.input("t", target), **given, **settings)
    assert value.type == TensorType(())
    b.result("total", Role.LOSS, value)
    return b.finish()


def pair(name: str, x: Array, t: Array, w: Array | None = None, **settings: object) -> float:
    """The loss of arrays whose first axis is the batch, as written and as simplified, which must agree."""
    types = [TensorType((BATCH, *a.shape[1:])) for a in (x, t)]
    weight = TensorType((BATCH, *w.shape[1:])) if w is not None else None
    graph = graph_of(name, types[0], types[1], weight=weight, **settings)
    feeds = {"x": x, "t": t, **({} if w is None else {"w": w})}
    value = float(evaluate(graph, feeds)["loss", "total"])
    assert float(evaluate(simplify(graph), feeds)["loss", "total"]) == pytest.approx(value, rel=1e-6)
    return value


def scores(*probabilities: list[float]) -> Array:
    """What softmax turns into these probabilities."""
    return np.log(np.array(probabilities))


X = np.array([[1.0, 2.0], [3.0, -1.0]])
Y = np.array([[0.0, 4.0], [3.0, 1.5]])


# --- by hand ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("mse", {}, (1 + 4 + 0 + 6.25) / 4),
        ("mae", {}, (1 + 2 + 0 + 2.5) / 4),
        ("huber", {}, (0.5 + 1.5 + 0 + 2) / 4),
        ("huber", {"delta": 2.0}, (0.5 + 2 + 0 + 2 * 1.5) / 4),
    ],
)
def test_losses_of_numbers(name: str, settings: dict[str, object], expected: float) -> None:
    assert pair(name, X, Y, **settings) == pytest.approx(expected)


def test_relative_errors() -> None:
    x, t = np.array([[1.0], [3.0], [-3.0]]), np.array([[2.0], [2.0], [-4.0]])
    assert pair("mape", x, t) == pytest.approx((0.5 + 0.5 + 0.25) / 3)
    assert pair("mape", np.array([[2e-7]]), np.array([[0.0]])) == pytest.approx(2), "0 counts as 1e-7"


def test_hinge() -> None:
    x, side = np.array([[0.5], [-2.0], [3.0]]), np.array([[1.0], [1.0], [-1.0]])
    assert pair("hinge", x, side) == pytest.approx((0.5 + 3 + 4) / 3)


def test_binary_crossentropy() -> None:
    x, t = np.array([[0.0], [log(3)], [log(3)]]), np.array([[1.0], [1.0], [0.0]])
    each = [log(2), -log(0.75), -log(0.25)]
    assert pair("binary_crossentropy", x, t) == pytest.approx(sum(each) / 3)
    assert pair("binary_crossentropy", x, t, class_weights=(1.0, 10.0)) == pytest.approx(
        (10 * each[0] + 10 * each[1] + each[2]) / 3
    )
    smooth = [log(2), -0.9 * log(0.75) - 0.1 * log(0.25), -0.1 * log(0.75) - 0.9 * log(0.25)]
    assert pair("binary_crossentropy", x, t, label_smoothing=0.2) == pytest.approx(sum(smooth) / 3)


def test_categorical_crossentropy_of_probabilities() -> None:
    x, t = scores([0.5, 0.25, 0.25], [0.1, 0.1, 0.8]), np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
    each = [-log(0.25), -0.5 * log(0.1) - 0.5 * log(0.8)]
    assert pair("categorical_crossentropy", x, t) == pytest.approx(sum(each) / 2)
    weighted = pair("categorical_crossentropy", x, t, class_weights=(1.0, 2.0, 5.0))
    assert weighted == pytest.approx((2 * each[0] + 3 * each[1]) / 2)
    third = 0.3 / 3
    smooth = -0.7 * log(0.25) - third * (log(0.5) + 2 * log(0.25))
    assert pair("categorical_crossentropy", x[:1], t[:1], label_smoothing=0.3) == pytest.approx(smooth)


def test_kl_divergence() -> None:
    x, t = scores([0.5, 0.25, 0.25]), np.array([[0.5, 0.5, 0.0]])
    assert pair("kl_divergence", x, t) == pytest.approx(0.5 * log(2))
    assert pair("kl_divergence", x, np.array([[0.5, 0.25, 0.25]])) == pytest.approx(0, abs=1e-12)


# --- whole numbers as targets ----------------------------------------------------------------------------------------


def of_classes(name: str, x: Array, t: list[int], classes: int, **settings: object) -> float:
    target = TensorType((BATCH,), DType.INT32, indices(classes))
    graph = graph_of(name, TensorType((BATCH, x.shape[1])), target, **settings)
    return float(evaluate(simplify(graph), {"x": x, "t": np.array(t, np.int32)})["loss", "total"])


def test_a_class_is_as_good_as_its_one_hot() -> None:
    x = scores([0.5, 0.25, 0.25], [0.1, 0.1, 0.8])
    settings = {"class_weights": (1.0, 2.0, 5.0), "label_smoothing": 0.1}
    given = pair("categorical_crossentropy", x, np.eye(3)[[1, 2]], **settings)
    assert of_classes("categorical_crossentropy", x, [1, 2], 3, **settings) == pytest.approx(given)


@pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.2, "class_weights": (1.0, 3.0)}])
def test_yes_and_no_may_be_classes(settings: dict[str, object]) -> None:
    x = np.array([[0.3], [-1.2]])
    given = pair("binary_crossentropy", x, np.array([[1.0], [0.0]]), **settings)
    assert of_classes("binary_crossentropy", x, [1, 0], 2, **settings) == pytest.approx(given)


def test_hinge_takes_class_0_as_minus_1() -> None:
    x = np.array([[0.3], [-1.2]])
    assert of_classes("hinge", x, [1, 0], 2) == pytest.approx(pair("hinge", x, np.array([[1.0], [-1.0]])))


# --- what counts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("w", [np.array([2.0, 0.0]), np.array([[2.0], [0.0]]), np.array([[2.0, 2.0], [0.0, 0.0]])])
def test_a_sample_weight_of_2_is_the_sample_twice(w: Array) -> None:
    assert pair("mse", X, Y, w) == pytest.approx(pair("mse", X[:1], Y[:1]))


def test_steps_behind_the_end_do_not_count() -> None:
    graph = graph_of("mse", TensorType((BATCH, T, 2)), TensorType((BATCH, T, 2)))
    x, t = np.ones((2, 4, 2)), np.zeros((2, 4, 2))
    x[0, 1], x[1, 2:] = 3, 1e6
    lengths = np.array([4, 2], np.int32)
    found = evaluate(gradient(graph, ["x"]), {"x": x, "t": t, "lengths/T": lengths})
    assert found["loss", "total"] == pytest.approx((3 + 9 + 2) / 6)
    assert not found["gradient", "x"][1, 2:].any()


def test_a_class_at_every_step() -> None:
    target = TensorType((BATCH, T), DType.INT32, indices(3))
    graph = graph_of("categorical_crossentropy", TensorType((BATCH, T, 3)), target)
    x = np.stack([scores([0.5, 0.25, 0.25], [0.1, 0.1, 0.8]), scores([0.2, 0.4, 0.4], [1.0, 1.0, 1.0])])
    feeds = {"x": x, "t": np.array([[0, 2], [1, 0]], np.int32), "lengths/T": np.array([2, 1], np.int32)}
    expected = -(log(0.5) + log(0.8) + log(0.4)) / 3
    assert evaluate(simplify(graph), feeds)["loss", "total"] == pytest.approx(expected)


# --- stable forms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "expected"), [("categorical_crossentropy", 2000.0), ("binary_crossentropy", 750.0)])
def test_certain_and_wrong_is_finite_and_has_a_gradient(name: str, expected: float) -> None:
    x = np.array([[1000.0, -1000.0]], np.float32)
    t = np.array([[0.0, 1.0]] if name == "categorical_crossentropy" else [[0.0, 0.5]], np.float32)
    graph = gradient(simplify(graph_of(name, *[TensorType((BATCH, 2))] * 2)), ["x"])
    found = evaluate(graph, {"x": x, "t": t})
    assert found["loss", "total"] == pytest.approx(expected)
    assert np.isfinite(found["gradient", "x"]).all()
    assert found["gradient", "x"].any()


def test_the_joined_graph_holds_neither_softmax_nor_probabilities() -> None:
    target = TensorType((BATCH,), DType.INT32, indices(3))
    graph = simplify(graph_of("categorical_crossentropy", TensorType((BATCH, 3)), target))
    names = [node.op.name for _, node in graph.items()]
    assert "softmax_crossentropy" in names
    assert "softmax" not in names
    binary = simplify(graph_of("binary_crossentropy", *[TensorType((BATCH, 3))] * 2))
    assert "binary_crossentropy" not in [node.op.name for _, node in binary.items()]


# --- refusals --------------------------------------------------------------------------------------------------------


def refused(make: Callable[[], object], code: str, operand: int | None, said: str, help: str = "") -> None:
    with pytest.raises(TypeRuleError) as caught:
        make()
    assert (caught.value.code, caught.value.operand) == (code, operand)
    assert said in caught.value.message
    assert help in caught.value.help


def made(name: str, prediction: TensorType, target: TensorType, **settings: object) -> Callable[[], object]:
    b = Builder()
    return lambda: LOSSES[name].make(b, b.input("x", prediction), b.input("t", target), **settings)


TEN = TensorType((BATCH, 10))
ONE = TensorType((BATCH, 1))
LABEL = TensorType((BATCH,), DType.INT32, indices(10))


@pytest.mark.parametrize("name", sorted(ENDS))
def test_scores_are_refused_where_probabilities_are_wanted(name: str) -> None:
    refused(made(name, TEN, TEN), "E0303", 0, "needs probabilities, got plain float[10]", f"with `{ENDS[name]}`")


def test_head_size_against_classes() -> None:
    twelve = TensorType((BATCH, 12))
    refused(
        lambda: graph_of("categorical_crossentropy", twelve, LABEL),
        "E0304",
        0,
        "12 outputs, the target 10 classes",
        "`dense(10)`",
    )
    refused(lambda: graph_of("binary_crossentropy", ONE, LABEL), "E0304", 1, "the target has 10", "`softmax`")


@pytest.mark.parametrize("name", ["mse", "mae", "mape", "huber", "hinge", "binary_crossentropy"])
def test_shapes_must_be_equal(name: str) -> None:
    flat = TensorType((BATCH,))
    said = "got a prediction of float[1] for a target of float"
    refused(lambda: graph_of(name, ONE, flat), "E0304", 1, said, "declare the target as float[1]")
    refused(lambda: graph_of(name, TEN, ONE), "E0304", 1, "float[10]", "`dense(1)`")


def test_classes_are_no_numbers() -> None:
    refused(made("mse", ONE, LABEL), "E0303", 1, "compares float numbers, got int(10)", "`categorical_crossentropy`")


def test_settings_that_do_not_fit() -> None:
    refused(
        lambda: graph_of("categorical_crossentropy", TEN, LABEL, class_weights=(1.0, 2.0)),
        "E0305",
        None,
        "2 class weights",
    )
    other = TensorType((BATCH, 3))
    refused(lambda: graph_of("mse", TEN, TEN, weight=other), "E0301", None, "sample_weight needs a float")


@pytest.mark.parametrize(
    ("name", "settings"),
    [("categorical_crossentropy", {}), ("categorical_crossentropy", {"label_smoothing": 0.2}), ("kl_divergence", {})],
)
def test_classes_behind_the_end_do_not_count(name: str, settings: dict[str, float]) -> None:
    x, t = np.array([[0.3, 1.0, -1.0], [2.0, 0.5, 1000.0]]), np.array([[0.2, 0.5, 0.3], [0.9, 0.1, 1000.0]])
    free = TensorType((BATCH, T))
    graph = graph_of(name, free, free, **settings)
    fed = {"x": x, "t": t, "lengths/T": np.array([3, 2], np.int32)}
    alone = [pair(name, x[i : i + 1, :n], t[i : i + 1, :n], **settings) for i, n in enumerate((3, 2))]
    for each in (graph, simplify(graph)):
        assert float(evaluate(each, fed)["loss", "total"]) == pytest.approx(np.mean(alone))
