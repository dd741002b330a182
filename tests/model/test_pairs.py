"""`triplet` says what it lacks: batches in which no class is there twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphdsl

SPEC = """
input x: float[4]
target person: int(40)
output code = x -> dense(3) -> l2_normalize
train {{
  data   = npz("people.npz", batch=8{more})
  loss   = [code, person] -> {loss}
  epochs = 1
}}
"""


def said(folder: Path, capsys: pytest.CaptureFixture[str], people: np.ndarray, more: str, loss: str) -> str:
    """What a run says of batches."""
    numbers = np.random.default_rng(0).normal(size=(len(people), 4)).astype(np.float32)
    np.savez(folder / "people.npz", x=numbers, person=people)
    (folder / "who.dag").write_text(SPEC.format(more=more, loss=loss))
    graphdsl.compile(folder / "who.dag").fit(runs=None)
    return "".join(line for line in capsys.readouterr().out.splitlines() if line.startswith("note"))


NONE = "no two samples are of one `person`, so `triplet` learns nothing: it needs several of each"
ONE_MORE = np.append(np.arange(39), 1)


@pytest.mark.parametrize(
    ("people", "more", "told"),
    [
        (np.arange(40), "", NONE),
        (np.arange(40), ", each=4", NONE),  # four times the same sample are no pair
        (np.arange(40), ", valid=0.2", NONE),
        (
            ONE_MORE,
            ", shuffle=false",
            "no batch has two samples of one `person`, so `triplet` learns nothing: write `e",
        ),
        (np.append(np.arange(39), 38), ", shuffle=false", "only 1 of 5 batches have two samples"),
        (ONE_MORE, ", each=4", "only 1 of 20 batches have two samples of one `person`, and `triplet` learns from "),
        (ONE_MORE, ", each=4", "these alone: take more samples of each `person`"),
        (np.arange(40) % 10, ", each=4", ""),
        (np.repeat(np.arange(10), 4), ", shuffle=false", ""),
    ],
)
@pytest.mark.parametrize("loss", ["triplet", "triplet(mining=hard)"])
def test_batches_without_a_pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], people: np.ndarray, more: str, told: str, loss: str
) -> None:
    found = said(tmp_path, capsys, people, more, loss)
    assert told in found and bool(found) == bool(told)


def test_other_losses_need_no_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = SPEC.replace("dense(3) -> l2_normalize", "dense(40) -> softmax")
    np.savez(tmp_path / "people.npz", x=np.zeros((40, 4), np.float32), person=np.arange(40))
    (tmp_path / "who.dag").write_text(spec.format(more="", loss="categorical_crossentropy"))
    graphdsl.compile(tmp_path / "who.dag").fit(runs=None)
    assert "note" not in capsys.readouterr().out


@pytest.mark.parametrize("people", [np.arange(40), ONE_MORE])
def test_given_samples_have_no_reader(tmp_path: Path, capsys: pytest.CaptureFixture[str], people: np.ndarray) -> None:
    """Nobody is told to write a word where none can stand."""
    spec = SPEC.replace('  data   = npz("people.npz", batch=8{more})\n', "").format(loss="triplet")
    (tmp_path / "who.dag").write_text(spec)
    graphdsl.compile(tmp_path / "who.dag").fit(
        {"x": np.zeros((40, 4), np.float32), "person": people}, runs=None, batch=8
    )
    told = capsys.readouterr().out
    assert "note: no" in told and "reader" not in told and "each=" not in told
    assert (NONE if people is not ONE_MORE else "give `fit` a larger `batch`") in told
