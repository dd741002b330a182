"""Published networks on pictures in files: `preprocess` says what each wants, and gives the outputs its makers got."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphdsl.cli import app
from tests.support.shared import DATA, needs

FEW = 6
"""Pictures a network is asked about."""

SQUEEZENET = "data_0 -> resize(256) -> center_crop(224) -> bgr -> subtract([103.94, 116.78, 123.68])"
FACES = "input0 -> crop(63, 58, 187, 182) -> resize(112) -> normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])"
GENDER = "input_1 -> crop(50, 37, 200, 212) -> grey -> resize(64, mode=stretch) -> normalize(0.5, 0.5)"

pytestmark = [
    pytest.mark.slow,
    needs("squeezenet_v1.1", "mobilefacenet", "mini_xception", "lfw100", "imagenet_sample100"),
]


def answers(folder: Path, network: str, recipe: str, pictures: list[Path]) -> np.ndarray:
    """Imports a network, adds `preprocess` to its spec, and asks it about pictures on the command line."""
    spec = folder / "net.dag"
    assert app.run(["import", str(DATA / network), "-o", str(spec), "--no-check"]) == 0
    spec.write_text(f"{spec.read_text()}\npreprocess = {recipe}\n")
    saved = folder / "answers.npz"
    assert app.run(["predict", str(spec), *map(str, pictures), "-o", str(saved)]) == 0
    (outputs,) = np.load(saved).values()
    return np.asarray(outputs)


def test_photographs(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    golden = np.load(DATA / "squeezenet_v1.1/golden_ort.npz")["probs100"]
    rows = (DATA / "imagenet_sample100/labels.csv").read_text().splitlines()[1:]
    files = [DATA / "imagenet_sample100" / row.rpartition(",")[0] for row in rows[:FEW]]
    got = answers(tmp_path, "squeezenet_v1.1/SqueezeNet_fp16.onnx", SQUEEZENET, files)
    assert np.abs(got - golden[:FEW]).max() < 2e-3


def test_faces_in_colour(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    golden = np.load(DATA / "mobilefacenet/golden_ort_lfw100.npz")
    files = [DATA / "lfw100" / name for name in golden["files"][:FEW]]
    got = answers(tmp_path, "mobilefacenet/MobileFaceNet.onnx", FACES, files)
    assert np.abs(got - golden["emb"][:FEW]).max() < 1e-3


def test_faces_in_grey(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    golden = np.load(DATA / "mini_xception/golden_keras_gender_mini_XCEPTION.21-0.95.npz")
    files = [DATA / "lfw100" / name for name in golden["files"][:FEW]]
    got = answers(tmp_path, "mini_xception/gender_mini_XCEPTION.21-0.95.hdf5", GENDER, files)
    assert np.abs(got - golden["probs"][:FEW]).max() < 1e-5
