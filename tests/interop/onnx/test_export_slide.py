"""Networks that are slid over pictures in ONNX files: dense layers are the convolutions that they became."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from graphdsl.interop.onnx import export, exported
from graphdsl.interop.source import TOOLS
from graphdsl.model import Model, compile
from graphdsl.report import Failed

pytest.importorskip("onnx")

CROP = """
input image: float[8, 8, 2]
output class = image -> conv(4, 3) -> relu -> max_pool(2) -> flatten -> dense(6) -> relu -> dense(3) -> softmax
"""
MAPS = {
    "one": 'output map = street -> slide("crop.dag")',
    "two": 'output map, far = street -> slide("crop.dag", windows=[8, 12])',
    "boxes": 'output map = street -> slide("crop.dag", stride=4) -> decode_windows(background=1) -> nms(score=0.2)',
}


def made(folder: Path, definition: str) -> Model:
    (folder / "crop.dag").write_text(CROP)
    (folder / "slid.dag").write_text(f"input street: float[20, 26, 2]\n{definition}\n")
    return compile(folder / "slid.dag")


@pytest.mark.parametrize("name", MAPS)
def test_the_same_in_every_window(tmp_path: Path, name: str) -> None:
    model = made(tmp_path, MAPS[name])
    file = exported(model.graph, model.executor.weights)
    words = Counter(step.op for step in file.steps)
    assert words["Conv"] == (4 if name == "two" else 2), "the conv and the first dense, for each size of windows"
    assert name == "boxes" or not words["Reshape"], "the kernel is stored in its shape"
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(export(file, tmp_path / "slid.onnx"), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).uniform(size=(3, 20, 26, 2)).astype(np.float32)
    for said, expected in zip(session.run(None, {"street": x}), model.predict(x).values(), strict=True):
        np.testing.assert_allclose(said, expected, atol=1e-5)


@pytest.mark.triggers("E0901")
@pytest.mark.parametrize("tool", ["keras", "pytorch"])
def test_code_takes_weights_as_they_are(tmp_path: Path, tool: str) -> None:
    """A file of weights has the kernel of a dense layer, not that of a convolution."""
    model = made(tmp_path, MAPS["one"])
    with pytest.raises(Failed, match=r"E0901.*dense"):
        TOOLS[tool](model.graph, "slid", "slid.dag")
