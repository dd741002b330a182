"""examples/digit_strings and number_plates on a part of their data, for as long as it takes to see the loss fall."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest

from tests.examples.test_examples import ROOT, trained
from tests.support.shared import DATA, needs


def make(example: str, source: Path, target: Path, **settings: int) -> dict[str, str]:
    """Runs the example's generator; gives the params of its spec that say where the data are."""
    runpy.run_path(str(ROOT / "examples" / example / "make_data.py"))["main"](source, target, **settings)
    pattern = {"digit_strings": "{digits}_*.wav", "number_plates": "{plate}.jpg"}[example]
    return {part: str(target / part / pattern) for part in ("train", "test")}


@needs("fsdd")
@pytest.mark.slow
def test_digit_strings(tmp_path: Path) -> None:
    """Of one speaker and three digits."""
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for path in (DATA / "fsdd" / "recordings").glob("[0-2]_theo_*.wav"):
        shutil.copy(path, recordings)
    data = make("digit_strings", recordings, tmp_path / "strings", train=160, test=8)
    made = [path.stem.split("_") for path in (tmp_path / "strings").rglob("*.wav")]
    assert {speaker for _, speaker, _ in made} == {"theo"}
    assert all(3 <= len(digits) <= 6 and set(digits) <= set("012") for digits, _, _ in made)
    got = trained("digit_strings", {**data, "width": 32}, epochs=5)
    assert got["train"]["loss"] < 40
    assert "text.character_error_rate" in got["test"]


@needs("lprnet")
@pytest.mark.slow
def test_number_plates(tmp_path: Path) -> None:
    data = make("number_plates", DATA / "lprnet" / "test", tmp_path / "plates", every=5)
    counts = [len(list((tmp_path / "plates" / part).iterdir())) for part in ("train", "test")]
    assert counts == [80, 20]
    got = trained("number_plates", {**data, "wide": 16}, epochs=6)
    assert got["test"]["loss"] < 30
    assert "text.sequence_accuracy" in got["test"]
