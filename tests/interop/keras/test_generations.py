"""The same network in the words of Keras 1, 2 and 3, and what only one of them could say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graphdsl.interop import written
from graphdsl.interop.keras import read
from graphdsl.report import Failed


def spec(folder: Path, config: Any) -> str:
    """The text that a config becomes, without its head comment and on one line a definition."""
    file = folder / "model.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    lines = [line for line in written(read(file)).text.splitlines() if not line.startswith("#")]
    return " ".join(" ".join(lines).split())


def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": name, **config}}


def sequential(*layers: dict[str, Any], version: str = "1.2.2") -> dict[str, Any]:
    return {"class_name": "Sequential", "config": list(layers), "keras_version": version}


WANTED = (
    "input {}: float[12, 10, 3] "
    "output last = {} -> conv(4, 3x2, stride=2, pad=same) -> relu -> max_pool(2) -> flatten -> dropout(0.5) "
    "-> dense(5, l2=0.1) -> softmax"
)


def test_keras_1(tmp_path: Path) -> None:
    first = layer(
        "Convolution2D",
        "conv",
        batch_input_shape=[None, 12, 10, 3],
        nb_filter=4,
        nb_row=3,
        nb_col=2,
        subsample=[2, 2],
        border_mode="same",
        dim_ordering="tf",
        activation="relu",
        bias=True,
    )
    config = sequential(
        first,
        layer("MaxPooling2D", "pool", pool_size=[2, 2], strides=[2, 2], border_mode="valid", dim_ordering="tf"),
        layer("Flatten", "flat"),
        layer("Dropout", "drop", p=0.5),
        layer(
            "Dense",
            "last",
            output_dim=5,
            activation="softmax",
            bias=True,
            W_regularizer={"name": "WeightRegularizer", "l1": 0.0, "l2": 0.1},
        ),
    )
    assert spec(tmp_path, config) == WANTED.format("conv_input", "conv_input")


def test_keras_2(tmp_path: Path) -> None:
    first = {"kernel_size": [3, 2], "strides": [2, 2], "padding": "same", "data_format": "channels_last"}
    layers = [
        layer("Conv2D", "conv", filters=4, activation="relu", use_bias=True, **first),
        layer("MaxPooling2D", "pool", pool_size=[2, 2], strides=[2, 2], padding="valid"),
        layer("Flatten", "flat", data_format="channels_last"),
        layer("Dropout", "drop", rate=0.5),
        layer(
            "Dense",
            "last",
            units=5,
            activation="softmax",
            kernel_regularizer={"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.1}},
        ),
    ]
    shape = layer("InputLayer", "image", batch_input_shape=[None, 12, 10, 3])
    chain = [{**shape, "name": "image", "inbound_nodes": []}]
    for before, after in zip([shape, *layers], layers, strict=False):
        name = before["config"]["name"]
        chain.append({**after, "name": after["config"]["name"], "inbound_nodes": [[[name, 0, 0, {}]]]})
    ends = {"input_layers": [["image", 0, 0]], "output_layers": [["last", 0, 0]]}
    config = {"class_name": "Model", "config": {"name": "m", "layers": chain, **ends}, "keras_version": "2.2.4"}
    assert spec(tmp_path, config) == WANTED.format("image", "image")


def test_keras_3(tmp_path: Path) -> None:
    def node(name: str) -> list[Any]:
        tensor = {"class_name": "__keras_tensor__", "config": {"shape": [None], "keras_history": [name, 0, 0]}}
        return [{"args": [tensor], "kwargs": {"training": False}}]

    layers = [
        layer("Conv2D", "conv", filters=4, kernel_size=[3, 2], strides=[2, 2], padding="same", activation="relu"),
        layer("MaxPooling2D", "pool", pool_size=[2, 2], strides=[2, 2]),
        layer("Flatten", "flat"),
        layer("Dropout", "drop", rate=0.5),
        layer(
            "Dense",
            "last",
            units=5,
            activation={"module": "builtins", "class_name": "function", "config": "softmax"},
            kernel_regularizer={"class_name": "L2", "config": {"l2": 0.1}},
        ),
    ]
    shape = layer("InputLayer", "image", batch_shape=[None, 12, 10, 3])
    chain = [{**shape, "name": "image", "inbound_nodes": []}]
    for before, after in zip([shape, *layers], layers, strict=False):
        chain.append({**after, "name": after["config"]["name"], "inbound_nodes": node(before["config"]["name"])})
    ends = {"input_layers": ["image", 0, 0], "output_layers": ["last", 0, 0]}
    config = {"class_name": "Functional", "config": {"name": "m", "layers": chain, **ends}}
    assert spec(tmp_path, config) == WANTED.format("image", "image")


def test_a_merge_of_models_begins_a_sequential_model(tmp_path: Path) -> None:
    """Keras 1's way to several inputs."""
    left, right = (
        sequential(layer("Dense", f"{side}_dense", output_dim=4, input_dim=size, activation="linear"))
        for side, size in (("left", 3), ("right", 5))
    )
    merge = layer("Merge", "merged", mode="concat", mode_type="raw", concat_axis=-1, layers=[left, right])
    config = sequential(merge, layer("Dense", "last", output_dim=2, activation="sigmoid"))
    assert spec(tmp_path, config) == (
        "input left_dense_input: float[3] input right_dense_input: float[5] "
        "output last = [left_dense_input -> dense(4), right_dense_input -> dense(4)] "
        "-> concat -> dense(2) -> sigmoid"
    )


@pytest.mark.parametrize(
    ("mode", "written_so"),
    [("sum", "a + b"), ("mul", "a * b"), ("max", "[a, b] -> maximum"), ("ave", "[a, b] -> average")],
)
def test_modes_of_merge(mode: str, written_so: str, tmp_path: Path) -> None:
    assert spec(tmp_path, merged(mode=mode)) == f"input a, b: float[4] output m = {written_so}".replace(
        "input a, b: float[4]", "input a: float[4] input b: float[4]"
    )


def merged(**config: Any) -> dict[str, Any]:
    """Two inputs and a Merge of Keras 1."""
    inputs = [layer("InputLayer", n, batch_input_shape=[None, 4]) for n in ("a", "b")]
    listed = [{**i, "name": i["config"]["name"], "inbound_nodes": []} for i in inputs]
    nodes = [[["a", 0, 0], ["b", 0, 0]]]
    listed.append({**layer("Merge", "m", **{"mode_type": "raw"} | config), "name": "m", "inbound_nodes": nodes})
    ends = {"input_layers": [["a", 0, 0], ["b", 0, 0]], "output_layers": [["m", 0, 0]]}
    return {"class_name": "Model", "config": {"layers": listed, **ends}, "keras_version": "1.1.0"}


def test_channels_first_of_theano(tmp_path: Path) -> None:
    first = {"nb_filter": 2, "nb_row": 3, "nb_col": 3, "dim_ordering": "th", "border_mode": "valid"}
    config = sequential(
        layer("ZeroPadding2D", "p", padding=[1, 1], dim_ordering="th", batch_input_shape=[None, 3, 6, 5]),
        layer("Convolution2D", "c", activation="relu", **first),
        layer("Flatten", "f"),
        layer("Dense", "d", output_dim=2),
    )
    assert spec(tmp_path, config) == (
        "input p_input: float[6, 5, 3] output d = p_input -> pad(1) -> conv(2, 3) -> relu -> flatten -> dense(2)"
    )


def test_highway_and_maxout(tmp_path: Path) -> None:
    """Layers that went with Keras 1 are put together from others."""
    config = sequential(
        layer("Highway", "h", input_dim=4, activation="relu", bias=True),
        layer("MaxoutDense", "m", output_dim=3, nb_feature=2, bias=True),
    )
    text = spec(tmp_path, config)
    assert "dense(6) -> reshape([2, 3]) -> reduce_max(" in text
    assert "gate = h_input -> dense(4) -> sigmoid" in text


def test_padding_is_told_by_lengths(tmp_path: Path) -> None:
    config = sequential(
        layer("Embedding", "words", input_dim=50, output_dim=8, mask_zero=True, input_length=20),
        layer("LSTM", "reader", output_dim=4, inner_activation="sigmoid", activation="tanh", return_sequences=False),
    )
    assert spec(tmp_path, config) == (
        "input words_input: int(50)[T] output reader = words_input -> embedding(8) -> lstm(4)"
    )
    assert "padded steps are told by the length of a sequence" in written(read(tmp_path / "model.json")).text


REFUSED = {
    "Lambda": (layer("Lambda", "mine", function=["code", None, None]), "`mine` .Lambda.*never run"),
    "class": (layer("MyOwn", "mine"), "`mine` .MyOwn. cannot be expressed"),
    "function": (layer("Dense", "mine", units=2, activation="my_own"), "`mine` .Dense.*`my_own`"),
}


FREE = {
    "stride": layer("Conv1D", "mine", filters=2, kernel_size=3, strides=2, padding="same"),
    "flatten": layer("Flatten", "mine"),
    "reshape": layer("Reshape", "mine", target_shape=[2, -1]),
}


@pytest.mark.parametrize("name", FREE)
def test_free_sizes_are_refused_by_name(name: str, tmp_path: Path) -> None:
    start = layer("InputLayer", "x", batch_input_shape=[None, None, 4])
    with pytest.raises(Failed, match=r"E0901.*`mine` .*fixed size"):
        spec(tmp_path, sequential(start, FREE[name], version="2.3.0"))


def test_free_features_are_refused_by_name(tmp_path: Path) -> None:
    start = layer("InputLayer", "x", batch_input_shape=[None, None])
    with pytest.raises(Failed, match=r"E0901.*`mine` .Dense.*features"):
        spec(tmp_path, sequential(start, layer("Dense", "mine", units=2), version="2.3.0"))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_said_is_refused_by_name(name: str, tmp_path: Path) -> None:
    description, message = REFUSED[name]
    start = layer("InputLayer", "x", batch_input_shape=[None, 4])
    with pytest.raises(Failed, match=f"E0901.*{message}"):
        spec(tmp_path, sequential(start, description, version="2.3.0"))


def test_a_mode_that_is_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"E0901.*`m` .Merge.*never run"):
        spec(tmp_path, merged(mode="<lambda>", mode_type="lambda"))


def test_a_masking_layer_frees_time(tmp_path: Path) -> None:
    config = sequential(
        layer("Masking", "mask", mask_value=0.0, batch_input_shape=[None, 20, 3]),
        layer("LSTM", "reader", units=4, recurrent_activation="sigmoid"),
        version="2.3.0",
    )
    assert spec(tmp_path, config) == "input mask_input: float[T, 3] output reader = mask_input -> lstm(4)"


def test_a_function_of_tensorflow(tmp_path: Path) -> None:
    """`x * 0.5 + y` in a graph of tf.keras."""
    inputs = [layer("InputLayer", n, batch_input_shape=[None, 4]) for n in ("x", "y")]
    listed = [{**i, "name": i["config"]["name"], "inbound_nodes": []} for i in inputs]
    half = {"class_name": "TFOpLambda", "name": "half", "config": {"name": "half", "function": "math.multiply"}}
    added = {"class_name": "TFOpLambda", "name": "z", "config": {"name": "z", "function": "__operators__.add"}}
    listed.append({**half, "inbound_nodes": [["x", 0, 0, {"y": 0.5, "name": None}]]})
    listed.append({**added, "inbound_nodes": [["half", 0, 0, {"y": ["y", 0, 0], "name": None}]]})
    ends = {"input_layers": [["x", 0, 0], ["y", 0, 0]], "output_layers": [["z", 0, 0]]}
    config = {"class_name": "Functional", "config": {"layers": listed, **ends}, "keras_version": "2.11.0"}
    assert spec(tmp_path, config) == ("input x: float[4] input y: float[4] half = x * 0.5 output z = half + y")


@pytest.mark.parametrize(("result", "refused"), [(0, False), (1, False), (2, True)])
def test_an_inner_state_stays_inside(result: int, refused: bool, tmp_path: Path) -> None:
    """Of an lstm the memory, not what it says."""
    reader = layer("LSTM", "r", units=4, recurrent_activation="sigmoid", return_state=True)
    listed = [
        {**layer("InputLayer", "x", batch_input_shape=[None, 5, 3]), "name": "x", "inbound_nodes": []},
        {**reader, "name": "r", "inbound_nodes": [[["x", 0, 0, {}]]]},
        {**layer("Dense", "d", units=2), "name": "d", "inbound_nodes": [[["r", 0, result, {}]]]},
    ]
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["d", 0, 0]]}
    config = {"class_name": "Functional", "config": {"layers": listed, **ends}, "keras_version": "2.11.0"}
    if not refused:
        assert spec(tmp_path, config) == "input x: float[5, 3] output d = x -> lstm(4) -> dense(2)"
        return
    with pytest.raises(Failed, match=r"E0901.*`d` .Dense.*the state of a recurrent layer"):
        spec(tmp_path, config)
