"""Faces: a spec that is judged on people it was not trained on, and MobileFaceNet as what a gallery sees with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import graphdsl
from graphdsl.cli import app
from graphdsl.learn import rates_of_embeddings
from tests.support.shared import DATA, needs

ROOT = Path(__file__).parents[2]


@needs("orl_faces")
@pytest.mark.slow
def test_people_unseen_in_training() -> None:
    """Two epochs: numbers of people whom training has not shown, better than chance."""
    people = {"learned": "s{person:1-6}", "unseen": "s{person:21-24}"}
    patterns = {name: str(DATA / "orl_faces" / folder / "*.pgm") for name, folder in people.items()}
    found = graphdsl.compile(ROOT / "specs" / "faces.dag", patterns).fit(epochs=2, runs=None, shown=False).metrics
    assert 0 < found["valid"]["code.equal_error_rate"] < 0.4 and found["valid"]["code.verification_accuracy"] > 0.6


@needs("mobilefacenet", "lfw100")
@pytest.mark.slow
def test_mobilefacenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The equal error rate of 1,225 pairs is that of the embeddings that ONNX Runtime gave."""
    pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    shutil.copy(DATA / "mobilefacenet" / "MobileFaceNet.onnx", tmp_path)
    assert app.run(["import", "MobileFaceNet.onnx"]) == 0
    text = (ROOT / "examples" / "faces" / "README.md").read_text(encoding="utf-8")
    (tmp_path / "eye.dag").write_text("input face" + text.partition("```\ninput face")[2].partition("```")[0])
    capsys.readouterr()
    photos = str(DATA / "lfw100" / "{person}" / "*.jpg")
    assert app.run(["gallery", "calibrate", "people.safetensors", "eye.dag", photos, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    golden = np.load(DATA / "mobilefacenet" / "golden_ort_lfw100.npz")
    names = [Path(str(file)).name for file in golden["files"]]
    here = [i for i, name in enumerate(names) if list((DATA / "lfw100").glob(f"*/{name}"))]
    code = golden["emb"][here] / np.linalg.norm(golden["emb"][here], axis=1, keepdims=True)
    _, who = np.unique([names[i].rpartition("_")[0] for i in here], return_inverse=True)
    assert found["equal_error_rate"] == pytest.approx(rates_of_embeddings(code, who).equal_error, abs=0.005)
    assert found["equal_error_rate"] < 0.06
