"""Models that others trained and published as ONNX files, imported and run on the CPU: their golden outputs, and how
often they are right."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from graphdsl.interop.onnx import imported, load
from graphdsl.ir import Array
from tests.support.onnx_models import Ready
from tests.support.shared import DATA

pytest.importorskip("onnx")
Image = pytest.importorskip("PIL.Image")


pytestmark = [pytest.mark.slow, pytest.mark.skipif(not DATA.exists(), reason="no published models in ../shared")]


def ready(name: str, device: str = "cpu") -> Ready:
    return Ready(imported(load(DATA / name)), device)


def only(model: Ready, x: Array) -> Array:
    """The output of a model with one input and one output."""
    (source,) = (f.name for f in model.made.inputs)
    (made,) = model({source: x}).values()
    return made


def photograph(path: Path) -> Array:
    """The middle of a picture whose short side is 256: blue first and less the means that SqueezeNet takes."""
    picture = Image.open(path).convert("RGB")
    scale = 256 / min(picture.size)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.BILINEAR)
    left, top = (picture.width - 224) // 2, (picture.height - 224) // 2
    pixels = np.asarray(picture.crop((left, top, left + 224, top + 224)), np.float32)
    return (pixels[:, :, ::-1] - np.array([103.94, 116.78, 123.68], np.float32)).transpose(2, 0, 1)


def test_squeezenet_knows_what_is_on_photographs() -> None:
    model = ready("squeezenet_v1.1/SqueezeNet_fp16.onnx")
    assert sum(a.size for a in model.weights.values()) == 1_235_496
    golden = np.load(DATA / "squeezenet_v1.1/golden_ort.npz")
    with (DATA / "imagenet_sample100/labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    pictures = [photograph(DATA / "imagenet_sample100" / row["file"]) for row in rows]
    found = np.concatenate([only(model, np.stack(pictures[i : i + 25]))[:, :, 0, 0] for i in range(0, 100, 25)])
    assert np.abs(found - golden["probs100"]).max() < 2e-3
    true = np.array([int(row["class_index"]) for row in rows])
    best = np.argsort(-found, axis=1)[:, :5]
    assert (best[:, 0] == true).sum() == 68
    assert (best == true[:, None]).any(axis=1).sum() == 89


def test_candy_paints_the_same_picture() -> None:
    """A transposed convolution, instance norms, reflected borders, and crops that old exporters wrote."""
    model = ready("style_transfer/candy.onnx")
    golden = np.load(DATA / "style_transfer/golden_ort_candy.npz")
    picture = Image.open(DATA / "style_transfer/Input.jpg").convert("RGB").resize((720, 720), Image.BILINEAR)
    painted = only(model, np.asarray(picture, np.float32).transpose(2, 0, 1)[None])[0]
    span = np.ptp(painted)
    assert np.abs(painted[:, :32, :32] - golden["corner"]).max() < 1e-3 * span
    assert np.abs(painted[:, 300:364, 300:364] - golden["patch"]).max() < 1e-3 * span
    assert np.abs(painted.mean(axis=(1, 2)) - golden["mean"]).max() < 1e-3 * span


def test_mnist_reads_digits() -> None:
    model = ready("mnist_cnn_onnx/mnist.onnx")
    golden = np.load(DATA / "mnist_cnn_onnx/golden_ort.npz")["logits_first200"]
    pixels = gzip.decompress((DATA / "mnist/t10k-images-idx3-ubyte.gz").read_bytes())
    digits = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 1, 28, 28).astype(np.float32)
    labels = np.frombuffer(gzip.decompress((DATA / "mnist/t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    found = np.concatenate([only(model, digits[i : i + 1000]) for i in range(0, 10_000, 1000)])
    assert np.abs(found[:200] - golden).max() < 1e-4 * np.ptp(golden)
    assert (found.argmax(axis=1) == labels).sum() == 9891
