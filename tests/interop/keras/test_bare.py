"""Weights of Keras without a model, in specs that were written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphdsl
from graphdsl.cli import app
from graphdsl.interop import fitted, read_arrays
from graphdsl.ir import Array
from graphdsl.learn import Sampling
from graphdsl.report import Failed
from tests.support.shared import DATA, needs

h5py = pytest.importorskip("h5py")

SPECS = Path(__file__).parents[3] / "specs"
TEXTS = DATA / "textgenrnn"
READER = """
input text: int(465)[40]
letters = text -> embedding(100)
first   = letters -> lstm(128, sequence=true)
second  = first -> lstm(128, sequence=true)
all     = [letters, first, second] -> concat
matters = all -> dense(1, bias=false) -> softmax(axis=0)
output next = [matters, all] -> matmul(transpose_x=true) -> flatten -> dense(465) -> softmax
"""
NET = """
input x: float[6, 4]
output y = x -> conv(3, 2) -> batch_norm -> layer_norm -> gru(2, sequence=true) -> rnn(3) -> dense(2)
"""


def stored(path: Path, layers: dict[str, dict[str, Array]]) -> Path:
    """A file as save_weights of Keras 2 leaves it."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for name, parts in layers.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{part}:0".encode() for part in parts]
            for part, array in parts.items():
                group.create_dataset(f"{name}/{part}:0", data=array)
    return path


def shapes() -> dict[str, dict[str, Array]]:
    random = np.random.default_rng(0)

    def of(**parts: tuple[int, ...]) -> dict[str, Array]:
        return {name: random.normal(size=shape).astype(np.float32) for name, shape in parts.items()}

    return {
        "input_1": {},
        "conv1d": of(kernel=(2, 4, 3), bias=(3,)),
        "norm": of(gamma=(3,), beta=(3,), moving_mean=(3,), moving_variance=(3,)),
        "layers": of(gamma=(3,), beta=(3,)),
        "gru": of(kernel=(3, 6), recurrent_kernel=(2, 6), bias=(2, 6)),
        "rnn": of(kernel=(2, 3), recurrent_kernel=(3, 3), bias=(3,)),
        "dense": of(kernel=(3, 2), bias=(2,)),
    }


def test_layers_of_every_kind_find_their_arrays(tmp_path: Path) -> None:
    (tmp_path / "net.dag").write_text(NET)
    arrays = shapes()
    path = stored(tmp_path / "net.h5", arrays)
    found = fitted(read_arrays(path), graphdsl.compile(tmp_path / "net.dag").graph, path)
    assert [theirs for theirs, _ in found.pairs] == list(arrays)[1:]
    np.testing.assert_array_equal(found.weights["y/gru_1/recurrent_bias"], arrays["gru"]["bias"][1])
    np.testing.assert_array_equal(found.weights["y/batch_norm_1/variance"], arrays["norm"]["moving_variance"])
    np.testing.assert_array_equal(found.weights["y/conv_1/kernel"], arrays["conv1d"]["kernel"])


def _without_names(path: Path) -> Any:
    with h5py.File(path, "w") as file:
        file.create_group("dense")


def _with_a_wrong_name(path: Path) -> Any:
    stored(path, {"dense": {"kernel": np.ones((3, 2))}})
    with h5py.File(path, "a") as file:
        file["dense"].attrs["weight_names"] = [b"dense/gone:0"]


def _as_text(path: Path) -> Any:
    path.write_text("no file of HDF5")


@pytest.mark.parametrize("make", [_without_names, _with_a_wrong_name, _as_text])
def test_damaged_files(make: Any, tmp_path: Path) -> None:
    make(tmp_path / "x.hdf5")
    with pytest.raises(Failed, match="E0902"):
        read_arrays(tmp_path / "x.hdf5")


def test_what_is_left_over_is_told(tmp_path: Path) -> None:
    (tmp_path / "net.dag").write_text(NET)
    path = stored(tmp_path / "net.h5", {**shapes(), "more": {"kernel": np.ones((3, 2))}})
    with pytest.raises(Failed, match="1 modules are left over: `more"):
        fitted(read_arrays(path), graphdsl.compile(tmp_path / "net.dag").graph, path)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """textgenrnn with its weights, by the command."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "reader.dag").write_text(READER)
    weights = folder / "reader.safetensors"
    code = app.run(
        ["import", str(TEXTS / "textgenrnn_weights.hdf5"), "--spec", str(folder / "reader.dag"), "-o", str(weights)]
    )
    assert code == 0
    return graphdsl.compile(weights)


@needs("textgenrnn")
def test_textgenrnn_says_what_it_said_in_keras(reader: Any) -> None:
    """Made by Keras on 607 letters of real headlines (golden_keras_base.npz)."""
    golden = np.load(TEXTS / "golden_keras_base.npz")
    said = reader.predict({"text": golden["ids"].astype(np.int32)})["next"]
    np.testing.assert_allclose(said[:100], golden["probs_first100"], rtol=0, atol=1e-4)
    likelihood = -np.log(said[np.arange(len(said)), golden["target"]].astype(np.float64)).mean()
    assert likelihood == pytest.approx(1.872, abs=5e-4)
    assert likelihood == pytest.approx(float(golden["mean_nll"]), abs=1e-5)


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The shipped spec with these weights and their vocabulary, as one file."""
    weights = tmp_path_factory.mktemp("textgenrnn") / "textgenrnn.safetensors"
    given = ["--spec", str(SPECS / "textgenrnn.dag"), "--classes", str(TEXTS / "textgenrnn_vocab.json")]
    assert app.run(["import", str(TEXTS / "textgenrnn_weights.hdf5"), *given, "-o", str(weights)]) == 0
    writing = graphdsl.compile(weights).writing
    return writing.author(writing.samplings({})[0])


@needs("textgenrnn")
def test_textgenrnn_reads_windows_as_it_did_in_keras(author: Any) -> None:
    golden = np.load(TEXTS / "golden_keras_base.npz")
    windows = author.writer.windows()
    said = [windows.after([int(n) for n in row if n]) for row in golden["ids"][:50]]
    np.testing.assert_allclose(said, golden["probs_first100"][:50], rtol=0, atol=1e-4)
    assert author.how == "windows of 40"


@needs("textgenrnn")
def test_textgenrnn_writes_headlines(author: Any) -> None:
    sampling = Sampling(start="<s>", stop="<s>", temperatures=(0.5,), length=120)
    text = "".join(author.text(sampling, 0.5))
    assert text == "".join(author.text(sampling, 0.5))
    assert set(text) <= set(author.vocabulary.tokens)
    assert sum(c.isascii() and (c.isalpha() or c == " ") for c in text) > 0.8 * len(text) > 8
