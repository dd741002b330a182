"""examples/transfer on a part of its pictures: what others learned is worth more than starting from nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import graphdsl
from graphdsl.cli import app
from tests.support.shared import DATA, needs

SPECS = Path(__file__).parents[2] / "specs"
CLASSES = ("dress", "hat", "pants", "shoes", "shorts")
LEARNED, JUDGED = 12, 12
SIZE = 96


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A few photographs of five kinds of clothes, as the working directory."""
    for part, count in (("train", LEARNED), ("validation", JUDGED)):
        for name in CLASSES:
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for picture in sorted((DATA / "clothing" / part / name).iterdir())[:count]:
                shutil.copy(picture, folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def graphdsl_does(*arguments: str) -> None:
    assert app.run(list(arguments)) == 0


@needs("clothing", "squeezenet_v1.1")
@pytest.mark.slow
def test_features_and_logistic_regression_beat_training_from_scratch(photos: Path) -> None:
    pytest.importorskip("onnx")
    onnx = str(DATA / "squeezenet_v1.1" / "SqueezeNet_fp16.onnx")
    graphdsl_does("import", onnx, "-o", "squeezenet11.dag", "--no-check")
    small = ["--set", f"size={SIZE}", "--set", f"classes={len(CLASSES)}"]
    for part in ("train", "validation"):
        data = ["predict", str(SPECS / "transfer.dag"), f"photos/{part}", "--features", "features"]
        graphdsl_does(*data, "-o", f"{part}.npz", *small)

    few = {"classes": len(CLASSES)}
    logistic = graphdsl.compile(SPECS / "transfer_logistic.dag", few).fit(runs=None, shown=False)
    parts = {part: str(photos / "photos" / part) for part in ("train", "validation")}
    settings = {**few, "size": SIZE, "train": parts["train"], "valid": parts["validation"]}
    scratch = graphdsl.compile(SPECS / "transfer_scratch.dag", settings).fit(runs=None, shown=False, epochs=20)

    learned, chance = logistic.metrics["valid"]["class.accuracy"], 1 / len(CLASSES)
    assert learned > 0.7 > 2 * chance
    assert learned > scratch.metrics["valid"]["class.accuracy"] + 0.1
