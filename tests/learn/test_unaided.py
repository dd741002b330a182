"""Train sections without a loss: layers that learn by a rule of their own, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import graphdsl
from graphdsl.model import Model
from graphdsl.report import Failed

SPEC = """
input  x: float[6, 6, 1]
target label: int(3)
low  = x -> s_cells(4, 3)
high = low -> c_cells(3, stride=2) -> s_cells(5, 2)
output class = high -> flatten -> dense(3) -> softmax
"""
LOW = {"low/s_cells_1/excitatory", "low/s_cells_1/inhibitory"}
HIGH = {"high/s_cells_1/excitatory", "high/s_cells_1/inhibitory"}
LOSS = "loss = [class, label] -> categorical_crossentropy  freeze = [low, high]"
X = np.random.default_rng(0).random((12, 6, 6, 1), np.float32)
LABELS = np.arange(12) % 3


def model(sections: str, folder: Path) -> Model:
    path = folder / "spec.dag"
    path.write_text(SPEC + sections)
    return graphdsl.compile(path)


@pytest.mark.parametrize(
    ("settings", "changing"),
    [("", LOW | HIGH), ("learn = low", LOW), ("freeze = low", HIGH), ("learn = [low, high]  freeze = high", LOW)],
)
def test_what_learns(settings: str, changing: set[str], tmp_path: Path) -> None:
    made = model(f"train {{ epochs = 1 {settings} }}", tmp_path)
    weights = made.executor.weights
    before = {name: weights[name] for name in weights}
    done = made.fit(X, LABELS, batch=1, runs=None, shown=False)
    assert {name for name in before if not np.array_equal(weights[name], before[name])} == changing
    assert done.metrics == {"train": {}, "valid": {}, "test": {}}


def test_metrics_are_watched_and_no_loss_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = model("train { metrics = [class, label] -> accuracy  epochs = 2 }", tmp_path)
    done = made.fit(X, LABELS, valid=0.25, runs=tmp_path / "runs")
    assert done.folder is not None
    assert set(done.metrics["train"]) == set(done.metrics["valid"]) == {"class.accuracy"}
    assert json.loads((done.folder / "metrics.json").read_text())["metrics"] == done.metrics
    assert "loss" not in capsys.readouterr().out
    assert set(made.evaluate(X, LABELS)) == {"class.accuracy"}


def test_a_section_with_a_loss_goes_on_from_there(tmp_path: Path) -> None:
    made = model(f"train cells {{ epochs = 1 }}  train head {{ {LOSS}  epochs = 1 }}", tmp_path)
    alone = model("train { epochs = 1 }", tmp_path)
    for each in (made, alone):
        each.fit(X, LABELS, runs=None, shown=False)
    for name in LOW | HIGH:
        np.testing.assert_array_equal(made.executor.weights[name], alone.executor.weights[name])


def test_a_step_without_a_loss_beside_one_with(tmp_path: Path) -> None:
    made = model(f"train {{ step cells {{ learn = low }}  step head {{ {LOSS} }}  epochs = 1 }}", tmp_path)
    done = made.fit(X, LABELS, runs=None, shown=False)
    assert set(done.metrics["train"]) == {"loss", "head.loss"}


@pytest.mark.triggers("E0613")
@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ("train { freeze = [low, high] }", "`train` has no loss to make small"),
        ("train { learn = class }", "`train` has no loss to make small"),
        ("train { optimizer = adam }", "`train` has an optimizer, and no loss that it could make small"),
    ],
)
def test_where_nothing_could_learn(sections: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(Failed) as refused:
        model(sections, tmp_path)
    (mistake,) = refused.value.diagnostics
    assert (mistake.code, mistake.message) == ("E0613", told)
    assert mistake.span is not None
