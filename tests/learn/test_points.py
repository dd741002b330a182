"""Metrics of points, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphdsl
from graphdsl.ir import BATCH, POINTS, Array, DType, TensorType, TypeRuleError
from graphdsl.learn import METRICS, Pair, Reading
from graphdsl.learn.points import OfPoints
from graphdsl.report import Source

NAN = float("nan")
TRUE = np.array([[[0.2, 0.4], [0.6, 0.4], [0.4, 0.8]], [[0.0, 0.0], [0.3, 0.4], [0.5, NAN]], [[NAN, 0.1]] * 3])
SAID = np.array([[[0.2, 0.5], [0.6, 0.4], [0.4, 0.6]], [[0.0, 0.1], [0.3, 0.4], [7.0, 9.0]], [[1.0, 1.0]] * 3])
"""Of the first the eyes are 0.4 apart and errors are 0.1, 0, 0.2; of the second they are 0.5 apart, one is unknown."""


def value(name: str, **settings: Any) -> float:
    made: Any = METRICS[name].make(between=(0, 1), **settings)
    parts: list[Array] = [made.observe(Pair(Reading.NUMBERS, SAID[i : i + 1], TRUE[i : i + 1])) for i in range(3)]
    return float(made.value(made.merge(parts)))


def test_errors_are_in_units_of_the_eyes() -> None:
    first, second = (0.1 + 0 + 0.2) / 3 / 0.4, (0.1 + 0) / 2 / 0.5
    assert value("normalised_error") == pytest.approx((first + second) / 2)
    assert value("failure_rate", above=0.2) == 0.5
    assert value("failure_rate") == 1.0


def test_pictures_that_are_not_square() -> None:
    """Twice as wide as high: what lies between the eyes is twice as long, errors downwards are not."""
    wide, high = (0.1 + 0 + 0.2) / 3 / 0.8, (0.1 + 0) / 2 / np.hypot(0.6, 0.4)
    assert value("normalised_error", picture=(48, 96)) == pytest.approx((wide + high) / 2)


def test_nothing_to_judge_by() -> None:
    made = METRICS["normalised_error"].make(between=(0, 1))
    assert np.isnan(made.value(made.observe(Pair(Reading.NUMBERS, SAID[2:], TRUE[2:]))))


@pytest.mark.parametrize("between", [(0, 3), (0, 0), (1,), (0, 1, 2)])
def test_the_unit_is_two_points_that_are_there(between: tuple[int, ...]) -> None:
    points = TensorType((BATCH, 3, 2), DType.FLOAT32, POINTS)
    made = METRICS["normalised_error"].make(between=between)
    with pytest.raises(TypeRuleError, match="names two of the 3 points"):
        made.reading(points, points)


def test_it_judges_points_alone() -> None:
    plain = TensorType((BATCH, 3, 2))
    with pytest.raises(TypeRuleError, match=r"judges points, got a target of float\[3, 2\]"):
        METRICS["failure_rate"].make(between=(0, 1)).reading(plain, plain)
    points = TensorType((BATCH, 3, 2), DType.FLOAT32, POINTS)
    assert METRICS["failure_rate"].make(between=(0, 1)).reading(plain, points) is Reading.NUMBERS


def test_a_page_shows_how_it_is_written() -> None:
    """What the help shows where the setting is left out."""
    assert METRICS["normalised_error"].example == "normalised_error([36, 45])"
    assert METRICS["failure_rate"].example == "failure_rate([36, 45])"


@pytest.mark.parametrize(
    ("inputs", "setting", "size"),
    [
        ("input a: float[48, 96, 1]", "", (48, 96)),
        ("input a: float[48, 96, 1]", ", picture=10x20", (10, 20)),
        ("input a: float[48, 96, 1]\ninput b: float[7]", "", (48, 96)),
        ("input a, b: float[48, 96, 1]", "", None),
        ("input a: float[H, W, 1]", "", None),
    ],
)
def test_the_size_of_pictures_is_known_from_the_input(inputs: str, setting: str, size: tuple[int, int] | None) -> None:
    text = f"""{inputs}
target points: point[2]
output found = a -> conv(3, 3) -> global_avg_pool -> landmarks(2)
train {{ loss = [found, points] -> mse
  metrics = [[found, points] -> normalised_error([0, 1]{setting}), [found, points] -> failure_rate([0, 1]{setting})] }}
"""
    (plan,) = graphdsl.Model(Source("net.dag", text)).plans
    assert [watch.metric.picture for watch in plan.watches if isinstance(watch.metric, OfPoints)] == [size, size]
    pair = Pair(Reading.NUMBERS, np.array([[[0.25, 0.5], [0.5, 0.5]]]), np.array([[[0.5, 0.5], [0.5, 1.0]]]))
    (watch, _) = plan.watches
    far = {(48, 96): (24 + 24) / 2 / 24, (10, 20): 0.5 * (5 + 5) / 5, None: (0.25 + 0.5) / 2 / 0.5}
    assert watch.metric.value(watch.metric.observe(pair)) == pytest.approx(far[size])
