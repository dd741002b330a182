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


@pytest.mark.parametrize(
    ("people", "more", "told"),
    [
        (np.arange(40), "", "no batch has two samples of one `person`, so `triplet` learns nothing: write `each=4`"),
        (np.arange(40), ", valid=0.2", "no batch has two samples"),
        (np.append(np.arange(39), 1), ", shuffle=false", "no batch has"),
        (np.append(np.arange(39), 38), ", shuffle=false", "only 1 of 5 batches have two samples"),
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
