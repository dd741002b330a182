"""What an exported graph looks like: names, words and the order of axes."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from graphdsl.interop.onnx import Exported, difference, export, exported
from graphdsl.ir import Builder, Graph, Role, TensorType
from graphdsl.model import Model
from graphdsl.ops import ScatterAdd
from graphdsl.report import Failed, Source

LENET = """
block pair(c) = in -> conv(c, 5, pad=2) -> batch_norm -> relu -> max_pool(2)
input image: float[28, 28, 1]
output digit = image -> pair(6) -> pair(16) -> flatten -> dense(10) -> dropout(0.5) -> softmax
"""


def made(text: str, *, nchw: bool = False) -> Exported:
    model = Model(Source("spec.dag", text))
    return exported(model.graph, model.executor.weights, nchw=nchw)


def ops(graph: Exported) -> list[str]:
    return [step.op for step in graph.steps]


def test_names_are_ours() -> None:
    graph = made(LENET)
    assert [t.name for t in (*graph.inputs, *graph.outputs)] == ["image", "digit"]
    names = {step.op: step.name for step in reversed(graph.steps)}
    assert names["Conv"] == "digit/pair_1/conv_1"
    assert names["BatchNormalization"] == "digit/pair_1/batch_norm_1"
    assert names["Gemm"] == "digit/dense_1"
    assert names["Softmax"] == "digit/softmax_1"
    ours = {"digit/pair_2/conv_1/kernel", "digit/pair_2/batch_norm_1/variance", "digit/dense_1/bias"}
    assert ours <= graph.stored.keys()


def test_a_chain_of_convolutions_is_turned_once() -> None:
    chain = ["Conv", "BatchNormalization", "Relu", "MaxPool"] * 2
    end = ["Transpose", "Flatten", "Gemm", "Softmax"]
    assert ops(made(LENET)) == ["Transpose", *chain, *end]
    assert ops(made(LENET, nchw=True)) == [*chain, *end]


def test_the_batch_is_called_n_and_other_free_sizes_as_in_the_spec() -> None:
    graph = made("input x: float[T, 4]\noutput y = x -> conv(3, 3)")
    assert [t.shape for t in graph.inputs] == [("N", "T", 4)]
    assert [t.shape for t in graph.outputs] == [("N", "T - 2", 3)]
    assert made("input x: float[N, 4]\noutput y = x -> relu").inputs[0].shape == ("batch", "N", 4)


def test_pictures_are_taken_channels_first_where_wanted() -> None:
    text = "input image: float[5, 6, 3]\ninput steps: float[7, 3]\n"
    text += "output y = [image -> global_avg_pool, steps -> global_avg_pool] -> add"
    assert [t.shape for t in made(text, nchw=True).inputs] == [("N", 3, 5, 6), ("N", 7, 3)]


@pytest.mark.parametrize(
    ("pipe", "words"),
    [
        ("relu", ["Relu"]),
        ("relu6", ["Clip"]),
        ("leaky_relu(0.1)", ["LeakyRelu"]),
        ("elu", ["Elu"]),
        ("elu(alpha=0.5)", ["Elu"]),
        ("selu", ["Selu"]),
        ("sigmoid", ["Sigmoid"]),
        ("hard_sigmoid", ["HardSigmoid"]),
        ("tanh", ["Tanh"]),
        ("softplus", ["Softplus"]),
        ("softplus(beta=2)", ["Mul", "Softplus", "Div"]),
        ("softsign", ["Softsign"]),
        ("swish", ["Sigmoid", "Mul"]),
        ("mish", ["Softplus", "Tanh", "Mul"]),
        ("layer_norm", ["LayerNormalization"]),
        ("dense(3)", ["Gemm"]),
        ("reshape(2x3) -> reduce_mean(0, keep=true)", ["Reshape", "ReduceMean"]),
        ("reshape(2x3) -> dense(4)", ["Reshape", "MatMul", "Add"]),
    ],
)
def test_what_onnx_has_a_word_for_becomes_that_word(pipe: str, words: list[str]) -> None:
    assert ops(made(f"input x: float[6]\noutput y = x -> {pipe}")) == words


@pytest.mark.parametrize(("word", "op"), [("add", "Sum"), ("average", "Mean"), ("maximum", "Max"), ("minimum", "Min")])
def test_several_tensors_are_one_word(word: str, op: str) -> None:
    assert ops(made(f"input a, b, c: float[6]\noutput y = [a, b, c] -> {word}")) == [op]


def test_upsampling_is_one_operator() -> None:
    for method in ("nearest", "bilinear"):
        text = f'input x: float[4, 5, 3]\noutput y = x -> conv(3, 1) -> upsample(2x3, method="{method}") -> conv(2, 1)'
        assert ops(made(text)) == ["Transpose", "Conv", "Resize", "Conv", "Transpose"]


def test_shared_weights_are_stored_once() -> None:
    graph = made("input a, b: float[6, 5, 3]\nshared c = conv(4, 3)\noutput y = [a -> c, b -> c] -> subtract")
    assert sorted(graph.stored) == ["c/conv_1/bias", "c/conv_1/kernel"]


def test_what_onnx_cannot_say_is_refused_by_layer() -> None:
    b = Builder()
    x, places = b.input("x", TensorType((4, 3))), b.input("places", TensorType((4,)))
    b.result("y", Role.OUTPUT, b.emit(ScatterAdd(5), x, places))
    graph: Graph = b.finish()
    with pytest.raises(Failed, match=r"E0901.*`scatter_add` \(scatter_add\) cannot be expressed"):
        exported(graph, {})


def test_large_weights_lie_beside_the_file(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model = Model(Source("spec.dag", "input x: float[600]\noutput y = x -> dense(300)"))
    graph = exported(model.graph, model.executor.weights)
    path = export(graph, tmp_path / "new" / "m.onnx", largest=100_000)
    assert sorted(p.name for p in path.parent.iterdir()) == ["m.onnx", "m.onnx.data"]
    assert path.stat().st_size < 10_000
    found = difference(path, model.graph, model.executor)
    assert found is not None and found < 1e-5


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    first, second = (export(made(LENET), tmp_path / name).read_bytes() for name in ("a.onnx", "b.onnx"))
    assert first == second


def test_weights_are_turned_as_onnx_wants_them(onnx: ModuleType, tmp_path: Path) -> None:
    model = Model(Source("spec.dag", "input x: float[5, 5, 2]\noutput y = x -> conv(3, 4x1)"))
    path = export(exported(model.graph, model.executor.weights), tmp_path / "m.onnx")
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    assert np.array_equal(stored["y/conv_1/kernel"], model.executor.weights["y/conv_1/kernel"].transpose(3, 2, 0, 1))


@pytest.fixture
def onnx() -> ModuleType:
    module: ModuleType = pytest.importorskip("onnx")
    return module
