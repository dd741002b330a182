"""Networks that others trained, imported and used as people do: `graphdsl import`, then the file of weights alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphdsl
from graphdsl.cli import app
from graphdsl.ir import Array
from graphdsl.model import Model
from tests.support.shared import DATA, needs

Image = pytest.importorskip("PIL.Image")

SPECS = Path(__file__).parents[2] / "specs"
GENDER = "gender_mini_XCEPTION.21-0.95"

pytestmark = pytest.mark.slow


def imported(monkeypatch: pytest.MonkeyPatch, folder: Path, *words: str | Path) -> Model:
    monkeypatch.chdir(folder)
    assert app.run(["import", *map(str, words)]) == 0
    (weights,) = folder.glob("*.safetensors")
    return graphdsl.compile(weights)


def faces(names: Array, box: tuple[int, int, int, int], mode: str, size: int) -> tuple[list[int], Array]:
    """Those of the photographs that are here: their numbers, and the face on each."""
    there = [i for i, name in enumerate(names) if (DATA / "lfw100" / str(name)).exists()]
    cut = [Image.open(DATA / "lfw100" / str(names[i])).convert("RGB").crop(box).convert(mode) for i in there]
    return there, np.stack([np.asarray(face.resize((size, size), Image.BILINEAR), np.float32) for face in cut])


@needs("mini_xception", "lfw100")
def test_gender_of_faces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file of Keras 2.0.5."""
    pytest.importorskip("h5py")
    model = imported(monkeypatch, tmp_path, DATA / "mini_xception" / f"{GENDER}.hdf5", "--no-check")
    golden = np.load(DATA / "mini_xception" / f"golden_keras_{GENDER}.npz")
    there, grey = faces(golden["files"], (50, 37, 200, 212), "L", 64)
    (ours,) = model.predict(grey[..., None] / 127.5 - 1).values()
    assert len(there) >= 50
    assert np.abs(ours - golden["probs"][there]).max() < 1e-5


@needs("mobilefacenet", "lfw100")
def test_embeddings_of_faces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    model = imported(monkeypatch, tmp_path, DATA / "mobilefacenet" / "MobileFaceNet.onnx", "--no-check")
    golden = np.load(DATA / "mobilefacenet" / "golden_ort_lfw100.npz")
    there, pixels = faces(golden["files"], (63, 58, 187, 182), "RGB", 112)
    mean, deviation = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
    (ours,) = model.predict((pixels / 255 - mean) / deviation).values()
    assert len(there) >= 50
    assert np.abs(ours - golden["emb"][there]).max() < 1e-4


@needs("resnet_cifar10", "cifar10")
def test_a_published_resnet20(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Logits as PyTorch gave them, and its share of right answers on 5,000 pictures."""
    weights, spec = DATA / "resnet_cifar10" / "resnet20-12fca82f.npz", SPECS / "zoo" / "resnet20.dag"
    model = imported(monkeypatch, tmp_path, weights, "--spec", spec)
    golden = np.load(DATA / "resnet_cifar10" / "golden_torch_resnet20_test_00.npz")
    right: list[bool] = []
    for part in range(5):
        tiles = np.asarray(Image.open(DATA / "cifar10" / f"test_{part:02}.webp").convert("RGB"))
        pictures = tiles.reshape(25, 32, 40, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)
        lines = (DATA / "cifar10" / f"test_{part:02}.txt").read_text().splitlines()
        logits = model.features("logits", pictures)
        right += list(logits.argmax(1) == np.array([int(line.split()[0]) for line in lines]))
        if part == 0:
            assert np.abs(logits - golden["logits"]).max() < 1e-4
    assert len(right) == 5000
    assert np.mean(right) == pytest.approx(0.9156, abs=0.001)
