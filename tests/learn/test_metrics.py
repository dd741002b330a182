"""Metrics against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from graphdsl.ir import BATCH, PLAIN, PROBABILITIES, PROBABILITY, DType, TensorType, TypeRuleError, indices, symbol
from graphdsl.learn import METRICS, Pair, Reading, reading_of, steps_that_exist

SOFTMAX = TensorType((BATCH, 3), kind=PROBABILITIES)
CLASS = TensorType((BATCH,), DType.INT32, indices(3))
SIGMOID = TensorType((BATCH, 1), kind=PROBABILITY)
NUMBER = TensorType((BATCH, 1))

SCORES = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.4, 0.35, 0.25]])
TRUTH = np.array([0, 1, 1, 2])
CLASSES = Pair(Reading.CLASSES, SCORES, TRUTH)
YES_NO = Pair(
    Reading.YES_NO, np.array([[0.9], [0.8], [0.4], [0.3], [0.8]]), np.array([[1.0], [0.0], [1.0], [0.0], [1.0]])
)
NUMBERS = Pair(Reading.NUMBERS, np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [4.0], [1.0]]))


def value(name: str, *pairs: Pair, **settings: object) -> float:
    metric = METRICS[name].make(**settings)
    found: float = metric.value(metric.merge([metric.observe(p) for p in pairs]))
    return found


@pytest.mark.parametrize(
    ("name", "pair", "settings", "expected"),
    [
        ("accuracy", CLASSES, {}, 2 / 4),
        ("accuracy", YES_NO, {}, 3 / 5),
        ("accuracy", YES_NO, {"threshold": 0.85}, 3 / 5),
        ("top", CLASSES, {"k": 1}, 2 / 4),
        ("top", CLASSES, {"k": 2}, 3 / 4),
        ("top", CLASSES, {"k": 3}, 1.0),
        ("mae", NUMBERS, {}, 5 / 3),
        ("mape", NUMBERS, {}, (0 + 2 / 4 + 3 / 1) / 3),
        ("mse", NUMBERS, {}, 13 / 3),
        ("precision", YES_NO, {}, 2 / 3),
        ("recall", YES_NO, {}, 2 / 3),
        ("f1", YES_NO, {}, 2 / 3),
        ("precision", CLASSES, {}, (1 / 2 + 1 + 0) / 3),
        ("recall", CLASSES, {}, (1 + 1 / 2 + 0) / 3),
        ("f1", CLASSES, {}, (2 / 3 + 2 / 3 + 0) / 3),
        ("recall", CLASSES, {"of": 1}, 1 / 2),
        ("precision", YES_NO, {"of": 0}, 1 / 2),
        ("precision", YES_NO, {"of": 1}, 2 / 3),
        # the truth was given 0.6, 0.5, 0.2 and 0.25
        ("bits_per_character", CLASSES, {}, -math.log2(0.6 * 0.5 * 0.2 * 0.25) / 4),
        ("perplexity", CLASSES, {}, (0.6 * 0.5 * 0.2 * 0.25) ** (-1 / 4)),
        # positives 0.9 0.4 0.8, negatives 0.8 0.3: of six comparisons 4 are won, one is even
        ("auc", YES_NO, {}, 4.5 / 6),
    ],
)
def test_value(name: str, pair: Pair, settings: dict[str, object], expected: float) -> None:
    assert value(name, pair, **settings) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["accuracy", "precision", "recall", "f1", "auc"])
def test_batches_make_no_difference(name: str) -> None:
    halves = [Pair(Reading.CLASSES, SCORES[a:b], TRUTH[a:b]) for a, b in ((0, 1), (1, 4))]
    assert value(name, *halves) == pytest.approx(value(name, CLASSES))


def test_padded_steps_do_not_count() -> None:
    real = steps_that_exist(np.array([2, 1]), 2)
    scores = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.3, 0.7], [0.9, 0.1]]])
    pair = Pair(Reading.CLASSES, scores, np.array([[0, 1], [0, 1]]), real)
    assert value("accuracy", pair) == pytest.approx(2 / 3)
    assert value("mae", Pair(Reading.NUMBERS, scores, np.zeros_like(scores), real)) == pytest.approx(0.5)


def test_one_hot_truth() -> None:
    assert value("accuracy", Pair(Reading.ONE_HOT, SCORES, np.eye(3)[TRUTH])) == pytest.approx(0.5)


def test_area_needs_both_sides() -> None:
    assert math.isnan(value("auc", Pair(Reading.YES_NO, np.array([[0.2], [0.3]]), np.ones((2, 1)))))


def test_ties_go_to_the_smaller_class() -> None:
    pair = Pair(Reading.CLASSES, np.full((2, 3), 1 / 3), np.array([0, 2]))
    assert value("top", pair, k=1) == pytest.approx(0.5)
    assert value("accuracy", pair) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("prediction", "target", "reading"),
    [
        (SOFTMAX, CLASS, Reading.CLASSES),
        (SOFTMAX, TensorType((BATCH, 3)), Reading.ONE_HOT),
        (SIGMOID, NUMBER, Reading.YES_NO),
        (SIGMOID, TensorType((BATCH,), DType.INT32, indices(2)), Reading.YES_NO),
        (NUMBER, NUMBER, Reading.NUMBERS),
        (
            TensorType((BATCH, symbol("T"), 5)),
            TensorType((BATCH, symbol("T")), DType.INT32, indices(5)),
            Reading.CLASSES,
        ),
    ],
)
def test_reading(prediction: TensorType, target: TensorType, reading: Reading) -> None:
    assert reading_of(prediction, target) is reading


@pytest.mark.parametrize(
    ("name", "prediction", "target"),
    [
        ("accuracy", NUMBER, NUMBER),
        ("top", SIGMOID, NUMBER),
        ("mse", SOFTMAX, CLASS),
        ("accuracy", SOFTMAX, TensorType((BATCH, 4))),
        ("accuracy", SIGMOID, CLASS),
        ("f1", TensorType((BATCH, 4), kind=PLAIN), TensorType((BATCH, 4))),
    ],
)
def test_heads_that_a_metric_cannot_judge(name: str, prediction: TensorType, target: TensorType) -> None:
    metric = METRICS[name].make(**({"k": 5} if name == "top" else {}))
    with pytest.raises(TypeRuleError) as caught:
        metric.reading(prediction, target)
    assert caught.value.code == "E0303"


@pytest.mark.parametrize("word", ["bits_per_character", "perplexity"])
def test_surprise_is_of_probabilities(word: str) -> None:
    metric = METRICS[word].make()
    assert metric.reading(SOFTMAX, CLASS) is Reading.CLASSES
    with pytest.raises(TypeRuleError, match="probabilities"):
        metric.reading(TensorType((BATCH, 3)), CLASS)
