"""Real weights that nobody here trained: yolo-fastest-1.1, against what OpenCV 4.11 makes of the same files."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from graphdsl.cli import app
from graphdsl.interop import written
from graphdsl.interop.darknet import read
from graphdsl.ir import Array
from graphdsl.model import Model, compile
from graphdsl.runtime import save_weights
from tests.support.shared import DATA

FOLDER = DATA / "yolo_fastest"
PICTURES = ("dog", "eagle", "giraffe", "horses", "person")
HEADS = ("yolo_121", "yolo_130")
NAMES = (FOLDER / "coco.names").read_text().split("\n") if FOLDER.is_dir() else []

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the weights of yolo-fastest are not at hand")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    made = written(read(FOLDER / "yolo-fastest-1.1.cfg", FOLDER / "yolo-fastest-1.1.weights"))
    spec = tmp_path_factory.mktemp("yolo") / "yolo.dag"
    spec.write_text(made.text)
    save_weights(made.weights, spec.with_suffix(".safetensors"))
    model = compile(spec)
    model.load(spec.with_suffix(".safetensors"))
    return model


@cache
def picture(name: str) -> Array:
    with Image.open(FOLDER / "images" / f"{name}.jpg") as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ["dog", "person"])
def test_heads(model: Model, name: str, head: str) -> None:
    """OpenCV multiplies classes by object, and writes 0 for products of at most 0.2."""
    golden = np.load(FOLDER / "golden_opencv_yolo-fastest-1.1.npz")[f"{name}_{head}"]
    ours = model.features(head, {"image": picture(name)[None]})[0]
    np.testing.assert_allclose(ours[:, :5], golden[:, :5], rtol=0, atol=1e-4)
    products = ours[:, 5:] * ours[:, 4:5]
    told = golden[:, 5:] > 0
    assert told.any()
    np.testing.assert_allclose(products[told], golden[:, 5:][told], rtol=0, atol=1e-4)
    assert products[~told].max() <= 0.2 + 1e-4


@pytest.mark.parametrize("name", PICTURES)
def test_boxes(model: Model, name: str) -> None:
    """The same boxes, to a fiftieth of a pixel of the picture, in the same order."""
    outputs = model.predict({"image": picture(name)[None]})
    (found,) = model.found(outputs, NAMES, [str(FOLDER / "images" / f"{name}.jpg")])["found"]
    same_boxes([thing.data for thing in found], name)


def same_boxes(found: list[dict[str, Any]], name: str) -> None:
    golden = json.loads((FOLDER / "golden_opencv_detections.json").read_text())[f"yolo-fastest-1.1/{name}"]
    assert [thing["class"] for thing in found] == [g["label"] for g in golden]
    np.testing.assert_allclose([t["score"] for t in found], [g["score"] for g in golden], rtol=0, atol=1e-4)
    np.testing.assert_allclose([t["box"] for t in found], [g["box_xywh"] for g in golden], rtol=0, atol=0.02)


@pytest.mark.slow
def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`import` and `predict`, from files to boxes in pixels."""
    monkeypatch.chdir(tmp_path)
    weights = str(FOLDER / "yolo-fastest-1.1.weights")
    assert app.run(["import", str(FOLDER / "yolo-fastest-1.1.cfg"), "--weights", weights, "-o", "yolo.dag"]) == 0
    asked = ["--weights", "yolo.safetensors", "--classes", str(FOLDER / "coco.names")]
    capsys.readouterr()
    assert app.run(["predict", "yolo.dag", str(FOLDER / "images"), *asked, "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    for file, found in zip(told["files"], told["found"]["found"], strict=True):
        same_boxes(found, Path(file).stem)
    assert app.run(["predict", "yolo.dag", str(FOLDER / "images" / "eagle.jpg"), *asked]) == 0
    assert "    bird  0.8765  left 223.6  top 87.6" in capsys.readouterr().out
