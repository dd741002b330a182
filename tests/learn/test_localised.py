"""Metrics of one object with its box, and of targets that are unknown in part, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphdsl.ir import BATCH, PARTIAL, PROBABILITIES, Array, DType, TensorType, TypeRuleError
from graphdsl.learn import METRICS, Pair, Reading

NAN = float("nan")
VECTOR = TensorType((BATCH, 7))
PLACE = TensorType((BATCH, 7), DType.FLOAT32, PARTIAL)
TRUE = np.array([[1, 0.5, 0.5, 0.4, 0.4, 1, 0], [0, *[NAN] * 6], [1, 0.2, 0.2, 0.2, 0.2, 0, 1], [NAN] * 7])


def value(name: str, said: Array, true: Array, reading: Reading = Reading.NUMBERS, **settings: Any) -> float:
    made = METRICS[name].make(**settings)
    halves = [Pair(reading, said[part], true[part]) for part in (slice(0, 2), slice(2, None))]
    return float(made.value(made.merge([made.observe(pair) for pair in halves])))


def test_a_sample_is_right_as_a_whole() -> None:
    said = np.nan_to_num(TRUE)
    said[1, 1:] = 9.0
    assert value("localisation_accuracy", said, TRUE) == 1.0
    for entry, wrong in ((0, 0.4), (1, 0.75), (6, 2.0)):
        other = said.copy()
        other[0, entry] = wrong
        assert value("localisation_accuracy", other, TRUE) == pytest.approx(2 / 3)
    other = said.copy()
    other[0, 1], other[1, 0] = 0.55, 0.6
    assert value("localisation_accuracy", other, TRUE) == pytest.approx(2 / 3)
    assert value("localisation_accuracy", other, TRUE, iou=0.8) == pytest.approx(1 / 3)
    assert np.isnan(value("localisation_accuracy", said, np.full_like(TRUE, NAN)))


def test_it_needs_a_box_and_classes() -> None:
    made = METRICS["localisation_accuracy"].make()
    assert made.reading(VECTOR, PLACE) is Reading.NUMBERS
    short = TensorType((BATCH, 5))
    with pytest.raises(TypeRuleError, match="judges `\\[p"):
        made.reading(short, short)


def test_unknown_entries_are_left_out() -> None:
    true = np.array([[1.0, NAN], [NAN, NAN], [0.0, 4.0]])
    said = np.array([[2.0, 5.0], [7.0, 7.0], [0.0, 1.0]])
    assert value("mae", said, true) == pytest.approx((1 + 0 + 3) / 3)
    assert value("mse", said, true) == pytest.approx((1 + 0 + 9) / 3)
    assert value("mape", said, true) == pytest.approx((1 + 0 + 3 / 4) / 3)
    yes = np.array([[0.9, 0.2], [0.9, 0.9], [0.9, 0.8]])
    assert value("accuracy", yes, np.clip(true, 0, 1), Reading.YES_NO) == pytest.approx(2 / 3)
    with pytest.raises(TypeRuleError, match="needs all of its target"):
        METRICS["top"].make(k=1).reading(TensorType((BATCH, 7), DType.FLOAT32, PROBABILITIES), PLACE)
