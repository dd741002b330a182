"""Callbacks, fed with epochs by hand: what they ask for, and when."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from graphdsl.learn import (
    CALLBACKS,
    Action,
    Callback,
    Ended,
    EpochDone,
    Keep,
    Memory,
    Restore,
    Save,
    ScaleRate,
    Stop,
)
from graphdsl.report import Failed


def epochs(
    callback: Callback, losses: Sequence[float], name: str = "valid.loss", rate: float = 0.1
) -> list[list[Action]]:
    """What the callback asks for after each epoch, up to the one that stops. Its memory survives being written down."""
    memory: Memory = {}
    asked: list[list[Action]] = []
    history: list[dict[str, float]] = []
    for number, loss in enumerate(losses, 1):
        history.append({"loss": 1.0, name: loss, "rate": rate})
        higher = frozenset({"valid.digit.accuracy"})
        event = EpochDone("train", number, len(losses), number * 10, history[-1], higher, tuple(history), None)
        asked.append(list(callback.on_epoch(event, memory)))
        memory = json.loads(json.dumps(memory))
        if any(isinstance(action, Stop) for action in asked[-1]):
            break
    asked.append(list(callback.on_end(Ended("train", len(asked), ""), memory)))
    return asked


def made(name: str, **settings: object) -> Callback:
    callback: Callback = CALLBACKS[name].make(**settings)
    return callback


def test_checkpoint_saves_the_best() -> None:
    assert epochs(made("checkpoint", which="best"), [3, 2, 2.5, 1]) == [
        [Save("best")],
        [Save("best")],
        [],
        [Save("best")],
        [],
    ]


def test_checkpoint_knows_what_is_better() -> None:
    best = made("checkpoint", which="best", monitor="valid.digit.accuracy")
    assert epochs(best, [0.5, 0.4, 0.6], "valid.digit.accuracy") == [[Save("best")], [], [Save("best")], []]


def test_checkpoint_every_n() -> None:
    assert epochs(made("checkpoint", every=2), [1, 1, 1, 1])[:4] == [[], [Save("epoch_2")], [], [Save("epoch_4")]]


def test_checkpoint_must_be_told_when() -> None:
    with pytest.raises(Failed, match="E0611"):
        made("checkpoint")


def test_early_stop_waits_stops_and_goes_back() -> None:
    asked = epochs(made("early_stop", patience=2), [3, 2, 2.5, 2.2, 9])
    assert asked[:3] == [[Keep("early_stop")], [Keep("early_stop")], []]
    assert asked[3] == [Stop("valid.loss has not become better than 2 since epoch 2")]
    assert asked[4] == [Restore("early_stop")]


def test_early_stop_goes_back_when_epochs_run_out_too() -> None:
    assert epochs(made("early_stop", patience=5), [3, 2, 2.5])[-1] == [Restore("early_stop")]
    assert epochs(made("early_stop", patience=5), [3, 2])[-1] == []


def test_early_stop_wants_more_than_a_hair() -> None:
    assert isinstance(epochs(made("early_stop", patience=1, least=0.1), [3, 2.95])[1][0], Stop)


def test_nan_is_never_better_and_gives_way_to_a_number() -> None:
    best = made("checkpoint", which="best")
    assert epochs(best, [float("nan"), 2, float("nan"), 1])[:4] == [[Save("best")], [Save("best")], [], [Save("best")]]


def test_early_stop_does_not_wait_for_a_number_that_stays_nan() -> None:
    asked = epochs(made("early_stop", patience=2), [float("nan")] * 5)
    assert isinstance(asked[2][0], Stop)


def test_reduce_on_plateau() -> None:
    asked = epochs(made("reduce_on_plateau", patience=2), [3, 3, 3, 3, 3])
    assert asked == [[], [], [ScaleRate(0.1)], [], [ScaleRate(0.1)], []]


def test_reduce_on_plateau_cools_down_and_has_a_floor() -> None:
    asked = epochs(made("reduce_on_plateau", patience=1, cooldown=2), [3, 3, 3, 3, 3])
    assert asked == [[], [ScaleRate(0.1)], [], [], [ScaleRate(0.1)], []]
    assert epochs(made("reduce_on_plateau", patience=1, floor=0.05), [3, 3, 3]) == [[]] * 4


@pytest.mark.triggers("E0610")
def test_an_unknown_number_is_named() -> None:
    with pytest.raises(Failed, match=r"E0610.*valid\.losss.*did you mean `valid\.loss`"):
        epochs(made("early_stop", patience=1, monitor="valid.losss"), [1.0])


def test_csv_log(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    epochs(made("csv_log", path=str(path)), [2.0, 1.0])
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["valid.loss"] for row in rows] == ["2.0", "1.0"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.triggers("E0701")
def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed, match="E0701"):
        epochs(made("csv_log", path=str(tmp_path / "file" / "log.csv")), [2.0])
