"""Metrics of texts against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from graphdsl.ir import BATCH, PROBABILITIES, DType, Kind, TensorType, TypeRuleError, indices, symbol
from graphdsl.learn import METRICS, Pair, Reading, edits, reading_of

T, L = symbol("T"), symbol("L")
SAID = TensorType((BATCH, T), DType.INT32, Kind("text", 5))
TRUE = TensorType((BATCH, L), DType.INT32, indices(5))
FRAMES = TensorType((BATCH, T, 6), kind=PROBABILITIES)

# 1 2 0 3 for 1 2 0 3, 1 1 for 1 2 3, nothing for 4 0 4
PAIR = Pair(
    Reading.TEXT,
    np.array([[1, 2, 0, 3, -1], [1, 1, -1, -1, -1], [-1, -1, -1, -1, -1]], np.int32),
    np.array([[1, 2, 0, 3], [1, 2, 3, 0], [4, 0, 4, 0]], np.int32),
    np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 0]], bool),
)


def value(name: str, *pairs: Pair, **settings: object) -> float:
    metric = METRICS[name].make(**settings)
    found: float = metric.value(metric.merge([metric.observe(p) for p in pairs]))
    return found


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("edit_distance", {}, (0 + 2 + 3) / 3),
        ("character_error_rate", {}, 5 / 10),
        ("sequence_accuracy", {}, 1 / 3),
        # the words of the truth: 12 3 | 123 | 4 4; of what was said: 12 3 | 11 | none
        ("word_error_rate", {"space": 0}, (0 + 1 + 2) / 5),
    ],
)
def test_value(name: str, settings: dict[str, object], expected: float) -> None:
    assert value(name, PAIR, **settings) == pytest.approx(expected)
    halves = [Pair(PAIR.reading, PAIR.prediction[a:b], PAIR.target[a:b], PAIR.real[a:b]) for a, b in ((0, 1), (1, 3))]
    assert value(name, *halves, **settings) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("said", "true", "count"),
    [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("ab", "ba", 2)],
)
def test_edits(said: str, true: str, count: int) -> None:
    assert edits(said, true) == count


def test_nothing_to_judge_by_is_nan() -> None:
    empty = Pair(Reading.TEXT, np.full((1, 2), -1), np.zeros((1, 0), np.int32))
    assert math.isnan(value("character_error_rate", empty))
    assert value("edit_distance", empty) == 0


def test_texts_are_read_and_frames_are_not() -> None:
    assert reading_of(SAID, TRUE) is Reading.TEXT
    assert reading_of(FRAMES, TRUE) is Reading.FRAMES
    assert METRICS["character_error_rate"].make().reading(SAID, TRUE) is Reading.TEXT
    with pytest.raises(TypeRuleError, match="a text that was read off frames") as caught:
        METRICS["character_error_rate"].make().reading(FRAMES, TRUE)
    assert "ctc_greedy" in caught.value.help
    with pytest.raises(TypeRuleError):
        METRICS["accuracy"].make().reading(SAID, TRUE)
