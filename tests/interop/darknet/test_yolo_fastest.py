"""Real weights that nobody here trained: yolo-fastest-1.1, against what OpenCV 4.11 makes of the same files."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graphdsl.interop import written
from graphdsl.interop.darknet import read
from graphdsl.ir import Array
from graphdsl.model import Model, compile
from graphdsl.runtime import save_weights

FOLDER = Path(os.environ.get("GRAPHDSL_SHARED", Path(__file__).parents[4] / "shared")) / "data" / "yolo_fastest"
PICTURES = ("dog", "eagle", "giraffe", "horses", "person")
HEADS = ("yolo_121", "yolo_130")
SIDE = 320

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


def resized(image: Array, side: int) -> Array:
    """OpenCV's bilinear for bytes, to the bit: 11 bits behind the point, rows before columns."""
    wide = _between(image.astype(np.int64), side, axis=1)
    low, high, first, second = _shares(image.shape[0], side)
    made = (first[:, None, None] * (wide[low] >> 4) >> 16) + (second[:, None, None] * (wide[high] >> 4) >> 16)
    return np.clip(made + 2 >> 2, 0, 255).astype(np.float32)


def _between(image: Array, side: int, axis: int) -> Array:
    low, high, first, second = _shares(image.shape[axis], side)
    return np.asarray(image[:, low] * first[:, None] + image[:, high] * second[:, None])


def _shares(size: int, side: int) -> tuple[Array, Array, Array, Array]:
    at = np.clip((np.arange(side) + 0.5) * size / side - 0.5, 0, size - 1)
    low = np.minimum(at.astype(int), size - 1)
    part = (at - low).astype(np.float32)
    return low, np.minimum(low + 1, size - 1), np.rint((1 - part) * 2048).astype(int), np.rint(part * 2048).astype(int)


@cache
def outputs(model: Model, name: str) -> dict[str, Array]:
    found = model.predict({"image": resized(picture(name), SIDE)[None] / 255})
    return {key: array[0] for key, array in found.items()}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ["dog", "person"])
def test_heads(model: Model, name: str, head: str) -> None:
    """OpenCV multiplies classes by object, and writes 0 for products of at most 0.2."""
    golden = np.load(FOLDER / "golden_opencv_yolo-fastest-1.1.npz")[f"{name}_{head}"]
    ours = outputs(model, name)[head]
    np.testing.assert_allclose(ours[:, :5], golden[:, :5], rtol=0, atol=1e-4)
    products = ours[:, 5:] * ours[:, 4:5]
    told = golden[:, 5:] > 0
    assert told.any()
    np.testing.assert_allclose(products[told], golden[:, 5:][told], rtol=0, atol=1e-4)
    assert products[~told].max() <= 0.2 + 1e-4


@pytest.mark.parametrize("name", PICTURES)
def test_boxes(model: Model, name: str) -> None:
    """The same boxes, to a hundredth of a pixel of the picture, in the same order."""
    labels = (FOLDER / "coco.names").read_text().split("\n")
    golden = json.loads((FOLDER / "golden_opencv_detections.json").read_text())[f"yolo-fastest-1.1/{name}"]
    found = outputs(model, name)["found"]
    found = found[found[:, 4] > 0]
    height, width, _ = picture(name).shape
    scale = np.array([width, height, width, height])
    boxes = np.concatenate([found[:, :2] - found[:, 2:4] / 2, found[:, 2:4]], 1) * scale
    assert [labels[int(c)] for c in found[:, 5]] == [g["label"] for g in golden]
    np.testing.assert_allclose(found[:, 4], [g["score"] for g in golden], rtol=0, atol=1e-4)
    np.testing.assert_allclose(boxes, [g["box_xywh"] for g in golden], rtol=0, atol=0.02)
