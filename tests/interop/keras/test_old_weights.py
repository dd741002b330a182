"""Weights as Keras 1, Theano and cuDNN laid them out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphdsl.interop.keras import read
from graphdsl.interop.keras.options import Options, modern
from graphdsl.interop.keras.stored import modern as turned
from graphdsl.interop.keras.structure import Unit
from graphdsl.ir import Array
from tests.support.keras.imported import Imported


def unit(kind: str, **config: Any) -> Unit:
    return Unit("layer", kind, Options("`layer`", modern(kind, config)), ())


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def test_theano_turns_windows_around(tmp_path: Path) -> None:
    """Keras 1 with channels first: [filters, channels, rows, columns], and a true convolution."""
    h5py = pytest.importorskip("h5py")
    kernel, bias, rows = numbers(2, 3, 3, 2), numbers(2, seed=1), numbers(2 * 4 * 4, 5, seed=2)
    conv = {"nb_filter": 2, "nb_row": 3, "nb_col": 2, "dim_ordering": "th", "border_mode": "valid", "name": "c"}
    layers = [
        {
            "class_name": "Convolution2D",
            "config": conv | {"batch_input_shape": [None, 3, 6, 5], "activation": "linear"},
        },
        {"class_name": "Flatten", "config": {"name": "f"}},
        {"class_name": "Dense", "config": {"name": "d", "output_dim": 5, "activation": "linear", "bias": False}},
    ]
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": layers})
        file.attrs["keras_version"] = b"1.2.2"
        for layer, arrays in (("c", {"c_W": kernel, "c_b": bias}), ("f", {}), ("d", {"d_W": rows})):
            group = file.create_group(f"model_weights/{layer}")
            group.attrs["weight_names"] = [name.encode() for name in arrays]
            for name, array in arrays.items():
                group[name] = array
    picture = numbers(1, 3, 6, 5, seed=3)
    made = np.zeros((1, 2, 4, 4), np.float32)
    for row in range(4):
        for column in range(4):
            window = picture[0, :, row : row + 3, column : column + 2][:, ::-1, ::-1]
            made[0, :, row, column] = (kernel * window).sum(axis=(1, 2, 3)) + bias
    (ours,) = Imported(tmp_path / "model.h5", backend="reference")(np.moveaxis(picture, 1, -1))
    np.testing.assert_allclose(ours, made.reshape(1, -1) @ rows, rtol=1e-4, atol=1e-5)
    assert [layer.word for layer in read(tmp_path / "model.h5").layers] == ["conv", "flatten", "dense"]


def test_gates_of_keras_1() -> None:
    """A kernel, recurrent kernel and bias for each gate: in, candidate, forget, out."""
    parts = [[numbers(3, 2, seed=g), numbers(2, 2, seed=g + 10), numbers(2, seed=g + 20)] for g in range(4)]
    kernel, recurrent, bias = turned(unit("LSTM"), tuple(a for gate in parts for a in gate), 1, "")
    entering, candidate, forget, out = parts
    for whole, part in ((kernel, 0), (recurrent, 1), (bias, 2)):
        wanted = np.concatenate([gate[part] for gate in (entering, forget, candidate, out)], axis=-1)
        np.testing.assert_array_equal(whole, wanted)


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("CuDNNLSTM", 4), ("GRU", 3), ("CuDNNGRU", 3)])
def test_cudnn_keeps_gates_turned_over(kind: str, gates: int) -> None:
    kernel, recurrent, biases = numbers(3, 2 * gates), numbers(2, 2 * gates, seed=1), numbers(2, 2 * gates, seed=2)
    theirs = (
        np.hstack([k.T.reshape(k.shape) for k in np.split(kernel, gates, axis=1)]),
        np.hstack([k.T for k in np.split(recurrent, gates, axis=1)]),
        biases.reshape(-1),
    )
    made = turned(unit(kind), theirs, 2, "tensorflow")
    np.testing.assert_array_equal(made[0], kernel)
    np.testing.assert_array_equal(made[1], recurrent)
    np.testing.assert_allclose(made[2], biases.sum(axis=0) if gates == 4 else biases)


def test_a_conv_over_time_of_keras_1() -> None:
    kernel = numbers(3, 1, 4, 5)
    made, _ = turned(unit("Conv1D", kernel_size=3), (kernel, numbers(5)), 1, "")
    np.testing.assert_array_equal(made, kernel[:, 0])


def test_hard_gates_of_old_keras_are_written(tmp_path: Path) -> None:
    """Until Keras 2.3 the gates of recurrent layers were hard, and a gru reset before its product."""
    start = {"name": "x", "batch_input_shape": [None, 5, 3]}
    layers = [
        {"class_name": "InputLayer", "config": start},
        {"class_name": "GRU", "config": {"name": "g", "output_dim": 4, "inner_activation": "hard_sigmoid"}},
    ]
    file = tmp_path / "model.json"
    file.write_text(json.dumps({"class_name": "Sequential", "config": layers, "keras_version": "1.2.2"}))
    (layer,) = read(file).layers
    assert layer.settings == {"units": 4, "gate": "hard_sigmoid_2", "reset": "before"}
