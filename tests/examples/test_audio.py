"""Networks that hear, on real recordings."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import graphdsl
from graphdsl.cli import main
from tests.support.shared import DATA, needs

SPECS = Path(__file__).parents[2] / "specs"


@needs("fsdd")
@pytest.mark.slow
def test_spoken_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """At least 95 % of the official test are understood, and `predict` says which digit a file is."""
    patterns = {
        name: str(DATA / "fsdd" / "recordings" / f"{{digit}}_{{speaker}}_[{indices}].wav")
        for name, indices in (("learned", "5-9"), ("tested", "0-4"))
    }
    model = graphdsl.compile(SPECS / "spoken_digits.dag", patterns)
    found = model.fit(runs=None, shown=False).metrics
    assert found["test"]["spoken.accuracy"] >= 0.95
    model.save(tmp_path / "spoken.safetensors")
    shutil.copy(DATA / "fsdd" / "recordings" / "7_jackson_0.wav", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["predict", "spoken.safetensors", "7_jackson_0.wav", "--top", "1"])
    assert "7_jackson_0.wav  7: 0." in capsys.readouterr().out
