"""SqueezeNet 1.1 as its authors describe it, with their weights: those of the published ONNX file, in a .caffemodel."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from graphdsl.interop.caffe import read
from tests.interop.caffe.nets import run
from tests.support.caffemodel import write
from tests.support.shared import DATA

onnx = pytest.importorskip("onnx")
Image = pytest.importorskip("PIL.Image")

FOLDER, PHOTOGRAPHS = DATA / "squeezenet_v1.1", DATA / "imagenet_sample100"
FEW = 20

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="../shared is absent")


def photograph(path: Path) -> np.ndarray:
    """The middle of a picture whose short side is 256: blue first and less the means, channels first."""
    picture = Image.open(path).convert("RGB")
    scale = 256 / min(picture.size)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.BILINEAR)
    left, top = (picture.width - 224) // 2, (picture.height - 224) // 2
    pixels = np.asarray(picture.crop((left, top, left + 224, top + 224)), np.float32)
    return (pixels[:, :, ::-1] - np.array([103.94, 116.78, 123.68], np.float32)).transpose(2, 0, 1)


def test_squeezenet_gives_the_golden_probabilities(tmp_path: Path) -> None:
    arrays = {
        a.name: onnx.numpy_helper.to_array(a) for a in onnx.load(FOLDER / "SqueezeNet_fp16.onnx").graph.initializer
    }
    names = sorted({name.removesuffix("_w_0") for name in arrays if name.endswith("_w_0")})
    blobs = {name: [arrays[f"{name}_{part}_0"].astype(np.float32) for part in "wb"] for name in names}
    weights = write(tmp_path / "squeezenet.caffemodel", blobs)
    prototxt = tmp_path / "deploy.prototxt"
    prototxt.write_text((FOLDER / "deploy.prototxt").read_text().replace("dim: 227 dim: 227", "dim: 224 dim: 224"))
    with (PHOTOGRAPHS / "labels.csv").open(encoding="utf-8") as file:
        files = [row["file"] for row in csv.DictReader(file)][:FEW]
    pictures = np.stack([photograph(PHOTOGRAPHS / name) for name in files])
    found = run(tmp_path, read(prototxt, weights), {"data": pictures})["prob"]
    golden = np.load(FOLDER / "golden_ort.npz")["probs100"][:FEW]
    assert np.abs(found - golden).max() < 2e-3
    assert found.max() > 0.9
