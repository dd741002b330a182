"""Style transfer and dreams with the real SqueezeNet, small ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graphdsl.cli import main
from tests.support.shared import DATA, needs

SPECS = Path(__file__).parents[2] / "specs"
pytest.importorskip("onnx")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the network's weights."""
    monkeypatch.chdir(tmp_path)
    done(["import", str(DATA / "squeezenet_v1.1" / "SqueezeNet_fp16.onnx"), "-o", "squeezenet11.dag", "--no-check"])
    return tmp_path


def done(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0


def table(path: Path) -> dict[str, list[float]]:
    """The columns of numbers of a csv."""
    names, *rows = (line.split(",") for line in path.read_text().splitlines())
    return {name: [float(row[i]) for row in rows] for i, name in enumerate(names) if name != "section"}


@needs("squeezenet_v1.1")
def test_style(folder: Path) -> None:
    kitten = str(DATA / "squeezenet_v1.1" / "kitten_224.png")
    done(["run", str(SPECS / "style.dag"), "--set", f"content={kitten}", "--set", "size=96", "--set", "steps=40"])
    left = folder / "runs" / "style-1"
    losses = table(left / "metrics.csv")
    assert losses["loss"][-1] < 0.5 * losses["loss"][0]
    assert all(losses[f"style{n}.loss"][-1] < losses[f"style{n}.loss"][0] for n in (1, 2, 3, 4))
    with Image.open(left / "canvas_010.png") as picture:
        assert picture.size == (96, 96)


@needs("squeezenet_v1.1")
def test_dream(folder: Path) -> None:
    done(["run", str(SPECS / "dream.dag"), "--set", "size=120", "--set", "octaves=2", "--set", "steps=8"])
    seen = table(folder / "runs" / "dream-1" / "dream.csv")
    assert seen["stage2"][7] > 3 * seen["stage2"][0]
    with Image.open(folder / "runs" / "dream-1" / "dream.png") as picture:
        assert picture.size == (120, 120)


@needs("squeezenet_v1.1")
def test_filters(folder: Path) -> None:
    done(["run", str(SPECS / "filters.dag"), "--set", "size=96", "--set", "steps=6"])
    seen = table(folder / "runs" / "filters-1" / "dream.csv")
    assert seen["layer"][-1] > 3 * seen["layer"][0]
    with Image.open(folder / "runs" / "filters-1" / "dream.png") as picture:
        sheet = np.asarray(picture)
    assert sheet.shape == (4 * 96 + 3 * 2, 4 * 96 + 3 * 2, 3)
