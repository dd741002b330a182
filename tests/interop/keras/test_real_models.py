"""Models that people trained: read, and the numbers that Keras gives for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graphdsl.interop import written
from graphdsl.interop.keras import read
from graphdsl.ir import Array
from tests.support.keras.imported import Imported
from tests.support.shared import DATA

FACES = DATA / "mini_xception"
CORPUS = DATA / "spec_corpus" / "keras_json"
MODEL = "gender_mini_XCEPTION.21-0.95"


def face(file: Path) -> Array:
    """A photograph as the network was trained on: the face, grey, 64 x 64, from -1 to 1."""
    grey = Image.open(file).crop((50, 37, 200, 212)).convert("L").resize((64, 64), Image.Resampling.BILINEAR)
    return np.asarray(grey, np.float32)[..., None] / 127.5 - 1


@pytest.mark.skipif(not FACES.exists(), reason="the gender network is not here")
@pytest.mark.parametrize(("backend", "closeness"), [("reference", 1e-5), ("cpu", 1e-4)])
def test_gender_of_faces(backend: str, closeness: float) -> None:
    """A file of Keras 2.0.5. On the CPU some sums are of pairs of bfloat16."""
    pytest.importorskip("h5py")
    golden = np.load(FACES / f"golden_keras_{MODEL}.npz")
    files = [DATA / "lfw100" / name for name in golden["files"]]
    there = [i for i, file in enumerate(files) if file.exists()]
    if not there:
        pytest.skip("the photographs are not here")
    (ours,) = Imported(FACES / f"{MODEL}.hdf5", backend=backend)(np.stack([face(files[i]) for i in there]))
    assert np.abs(ours - golden["probs"][there]).max() < closeness


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not here")
def test_every_config_of_the_corpus() -> None:
    for file in sorted(CORPUS.rglob("*.json")):
        assert "output" in written(read(file)).text, file.name
