"""Whole nets against OpenCV, which reads Caffe's files by a program of its own. Weights are random."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphdsl
from graphdsl.cli.app import run
from graphdsl.interop import written
from graphdsl.interop.caffe.call import Call
from graphdsl.interop.caffe.check import check
from graphdsl.interop.caffe.files import read
from graphdsl.runtime import save_weights
from tests.interop.caffe.nets import data, layer
from tests.support.caffemodel import write
from tests.support.shared import DATA

cv2 = pytest.importorskip("cv2", reason="opencv-python-headless below 5 is not installed")
Array = np.ndarray[Any, Any]

MIXED = (
    data(3, 31, 26)
    + layer("Convolution", "c1", "data", "convolution_param { num_output: 8 kernel_size: 5 stride: 2 pad: 1 }")
    + layer("BatchNorm", "bn", "c1", "batch_norm_param { eps: 0.001 }", top="c1")
    + layer("Scale", "sc", "c1", "scale_param { bias_term: true }", top="c1")
    + layer("PReLU", "pr", "c1", top="c1")
    + layer("Pooling", "p1", "c1", "pooling_param { pool: MAX kernel_size: 3 stride: 2 }")
    + layer("LRN", "n1", "p1", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 }")
    + layer("Convolution", "a", "n1", "convolution_param { num_output: 6 kernel_size: 3 pad: 1 group: 2 }")
    + layer("ELU", "ea", "a", top="a")
    + layer("Pooling", "b", "n1", "pooling_param { pool: AVE kernel_size: 3 stride: 1 pad: 1 }")
    + layer("Concat", "cat", "a b")
    + layer("Slice", "cut", "cat", "slice_param { axis: 1 slice_point: 7 }", top="u v")
    + layer("Eltwise", "e", "u v", "eltwise_param { operation: SUM coeff: 2 coeff: -0.5 }")
    + layer("Deconvolution", "d", "e", "convolution_param { num_output: 4 kernel_size: 4 stride: 2 pad: 1 }")
    + layer("Power", "w", "d", "power_param { scale: 0.3 shift: 0.1 }")
    + layer("InnerProduct", "f", "w", "inner_product_param { num_output: 9 }")
    + layer("Softmax", "prob", "f")
)


def random_blobs(path: Path, patch: pytest.MonkeyPatch) -> dict[str, list[Array]]:
    """Weights of the shapes that a net asks for."""
    generator, found = np.random.default_rng(3), dict[str, list[Array]]()

    def weight(call: Call, position: int, shape: tuple[int, ...]) -> None:
        blobs = found.setdefault(call.step.name, [])
        if position == len(blobs):
            scale = np.sqrt(2 / max(np.prod(shape[1:]), 1)) if len(shape) > 1 else 0.3
            made = generator.normal(0, scale, shape)
            averages = call.step.kind == "BatchNorm" and position > 0
            blobs.append((np.abs(made) + 0.8 if averages else made).astype(np.float32))

    with patch.context() as context:
        context.setattr(Call, "weight", weight)
        read(path)
    return found


def difference(path: Path, folder: Path, patch: pytest.MonkeyPatch) -> float | None:
    """What the command would say of this net."""
    weights = write(folder / "net.caffemodel", random_blobs(path, patch))
    spec = written(read(path, weights))
    (folder / "net.dag").write_text(spec.text)
    model = graphdsl.compile(folder / "net.dag")
    model.load(save_weights(spec.weights, folder / "net.safetensors", {}))

    def outputs(arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        return model.predict(dict(arrays))

    return check(path, weights, outputs)


def test_a_net_of_many_kinds_of_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.prototxt").write_text(MIXED)
    found = difference(tmp_path / "net.prototxt", tmp_path, monkeypatch)
    assert found is not None and found < 1e-4


@pytest.mark.parametrize(
    "file",
    ["squeezenet_v1.1/deploy.prototxt", "spec_corpus/caffe_examples/cifar10/cifar10_full.prototxt"],
)
def test_nets_of_other_people(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (DATA / file).exists():
        pytest.skip("../shared is absent")
    found = difference(DATA / file, tmp_path, monkeypatch)
    assert found is not None and found < 1e-4


def test_the_command_says_how_far_they_are_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prototxt, spec = tmp_path / "net.prototxt", tmp_path / "mixed.dag"
    prototxt.write_text(MIXED)
    weights = write(tmp_path / "net.caffemodel", random_blobs(prototxt, monkeypatch))
    assert run(["import", str(prototxt), "--weights", str(weights), "-o", str(spec)]) == 0
    assert "against OpenCV on random inputs: largest difference" in capsys.readouterr().out
    assert spec.exists() and spec.with_suffix(".safetensors").exists()


def test_nothing_is_said_where_opencv_cannot_run_the_net(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(data(3) + layer("TanH", "y", "data"))
    assert check(net, None, lambda arrays: arrays) is None
