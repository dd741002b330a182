"""ONNX files become specs that say the same: small models, each against onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphdsl.interop import written
from graphdsl.interop.onnx import check, imported, load, read
from graphdsl.ir import Array
from graphdsl.report import Failed
from tests.support.onnx_models import Ready, lengths, run_imported, save

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
node = helper.make_node

EQUAL = 2e-5
"""Of the range: both compute in float32."""


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def whole(*values: int) -> Array:
    return np.asarray(values, np.int64)


K = numbers(6, 3, 3, 3, seed=1)
WEIGHTS = {
    "k": K,
    "k1": numbers(8, 6, 1, 1, seed=2),
    "k5": numbers(4, 3, 5, 5, seed=3),
    "kd": numbers(6, 1, 3, 3, seed=4),
    "kt": numbers(3, 4, 3, 3, seed=5),
    "b": numbers(6, seed=6),
    "bc": numbers(6, 1, 1, seed=7),
    "g": numbers(6, seed=8),
    "v": np.abs(numbers(6, seed=9)) + 0.5,
    "w": numbers(6 * 6 * 6, 5, seed=10),
    "m": numbers(8, 5, seed=11),
    "row": numbers(5, seed=12),
    "c3": numbers(3, 1, 1, seed=13),
    "full": numbers(3, 8, 8, seed=14),
}
"""Constants of the models below, by name."""

PICTURE = {"x": ("N", 3, 8, 8)}

MODELS: dict[str, tuple[list[Any], dict[str, tuple[Any, ...]], str]] = {
    "conv": ([node("Conv", ["x", "k", "b"], ["y"], pads=[1, 1, 1, 1])], PICTURE, "conv(6, 3, pad=1)"),
    "conv, bias behind it": (
        [node("Conv", ["x", "k"], ["c"]), node("Add", ["c", "bc"], ["y"])], PICTURE, "conv(6, 3)"
    ),
    "conv, same": (
        [node("Conv", ["x", "k"], ["y"], strides=[2, 2], auto_pad="SAME_UPPER")], PICTURE, "stride=2, pad=same"
    ),
    "conv, padded at one side": (
        [node("Conv", ["x", "k"], ["y"], strides=[2, 1], pads=[2, 0, 1, 1])], PICTURE, "pad=[2, 0, 1, 1]"
    ),
    "depthwise": (
        [node("Conv", ["x", "k"], ["c"]), node("Conv", ["c", "kd"], ["y"], group=6)], PICTURE, "depthwise_conv(3"
    ),
    "conv_transpose": (
        [node("ConvTranspose", ["x", "kt"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])],
        PICTURE,
        "conv_transpose(4, 3, stride=2, pad=1, output_pad=1",
    ),
    "batch_norm": (
        [node("Conv", ["x", "k"], ["c"]), node("BatchNormalization", ["c", "g", "b", "b", "v"], ["y"], epsilon=1e-3)],
        PICTURE,
        "batch_norm(eps=0.001)",
    ),
    "flatten, then a product": (
        [node("Conv", ["x", "k"], ["c"]), node("Relu", ["c"], ["r"]), node("Flatten", ["r"], ["f"]),
         node("MatMul", ["f", "w"], ["p"]), node("Add", ["p", "row"], ["y"])],
        PICTURE,
        "flatten -> dense(5)",
    ),
    "shape arithmetic": (
        [node("Conv", ["x", "k"], ["c"]), node("Shape", ["c"], ["s"]), node("Gather", ["s", "zero"], ["n"]),
         node("Unsqueeze", ["n", "axis"], ["u"]), node("Concat", ["u", "rest"], ["t"], axis=0),
         node("Reshape", ["c", "t"], ["f"]), node("Gemm", ["f", "w", "row"], ["y"])],
        PICTURE,
        "conv(6, 3, bias=false) -> flatten -> dense(5)",
    ),
    "pools": (
        [node("MaxPool", ["x"], ["a"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
         node("AveragePool", ["a"], ["y"], kernel_shape=[2, 2], strides=[1, 1])],
        PICTURE,
        "max_pool(3, stride=2, pad=1) -> avg_pool(2, stride=1)",
    ),
    "average pool, rounded up": (
        [node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)], PICTURE, "ceil=true"
    ),
    "global pool, then a product": (
        [node("Conv", ["x", "k"], ["c"]), node("Conv", ["c", "k1"], ["d"]), node("GlobalAveragePool", ["d"], ["a"]),
         node("Flatten", ["a"], ["f"]), node("Gemm", ["f", "m", "row"], ["s"]), node("Softmax", ["s"], ["y"])],
        PICTURE,
        "global_avg_pool -> dense(5) -> softmax",
    ),
    "mean over space": (
        [node("Conv", ["x", "k"], ["c"]), node("ReduceMean", ["c"], ["y"], axes=[2, 3], keepdims=0)],
        PICTURE,
        "global_avg_pool",
    ),
    "concat of channels": (
        [node("Conv", ["x", "k"], ["c"]), node("Relu", ["c"], ["d"]), node("Concat", ["c", "d"], ["y"], axis=1)],
        PICTURE,
        "-> concat",
    ),
    "swish": (
        [node("Conv", ["x", "k"], ["c"]), node("Sigmoid", ["c"], ["s"]), node("Mul", ["s", "c"], ["y"])],
        PICTURE,
        "-> swish",
    ),
    "a factor for each channel": (
        [node("Mul", ["x", "c3"], ["p"]), node("Conv", ["p", "k"], ["y"])], PICTURE, "scale("
    ),
    "a constant picture": ([node("Conv", ["x", "k"], ["c"]), node("Add", ["x", "full"], ["s"]),
                            node("Conv", ["s", "k"], ["d"]), node("Add", ["c", "d"], ["y"])], PICTURE, "element"),
    "a number": ([node("Sub", ["one", "x"], ["y"])], PICTURE, "1 - "),
    "split": (
        [node("Conv", ["x", "k"], ["c"]), node("Split", ["c"], ["p", "q"], axis=1), node("Mul", ["p", "q"], ["y"])],
        PICTURE,
        "split(2)",
    ),
    "channel shuffle": (
        [node("Conv", ["x", "k"], ["c"]), node("Reshape", ["c", "groups"], ["a"]),
         node("Transpose", ["a"], ["t"], perm=[0, 2, 1, 3, 4]), node("Reshape", ["t", "back"], ["s"]),
         node("Conv", ["s", "k1"], ["y"])],
        PICTURE,
        "channel_shuffle(2)",
    ),
    "channels last already": (
        [node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]), node("Conv", ["t", "k"], ["c"]),
         node("Transpose", ["c"], ["y"], perm=[0, 2, 3, 1])],
        {"x": ("N", 8, 8, 3)},
        "y = x -> conv(6, 3, bias=false)\n",
    ),
    "resize": (
        [node("Resize", ["x", "", "scales"], ["y"], mode="nearest", coordinate_transformation_mode="asymmetric",
              nearest_mode="floor")],
        PICTURE,
        "upsample(2)",
    ),
    "resize, linear": ([node("Resize", ["x", "", "scales"], ["y"], mode="linear")], PICTURE, "bilinear"),
    "depth to space": (
        [node("Conv", ["x", "k12"], ["c"]), node("DepthToSpace", ["c"], ["y"], blocksize=2, mode="CRD")], PICTURE, "x"
    ),
    "two free sizes": (
        [node("Conv", ["x", "k"], ["c"]), node("GlobalAveragePool", ["c"], ["y"])],
        {"x": ("N", 3, "H", "W")},
        "float[H, W, 3]",
    ),
    "attention with joined axes": (
        [node("Transpose", ["x"], ["t"], perm=[1, 0, 2]), node("MatMul", ["t", "m8"], ["q"]),
         node("Reshape", ["q", "joined"], ["r"]), node("Transpose", ["r"], ["a"], perm=[1, 0, 2]),
         node("Transpose", ["r"], ["a2"], perm=[1, 2, 0]), node("MatMul", ["a", "a2"], ["s"]),
         node("Softmax", ["s"], ["p"], axis=-1), node("MatMul", ["p", "a"], ["o"]),
         node("Transpose", ["o"], ["u"], perm=[1, 0, 2]), node("Reshape", ["u", "flat"], ["f"]),
         node("Gemm", ["f", "m", "row"], ["z"]), node("Reshape", ["z", "apart"], ["h"]),
         node("Transpose", ["h"], ["y"], perm=[1, 0, 2])],
        {"x": (2, 5, 8)},
        "matmul -> softmax",
    ),
    "rows of different order": (
        [node("Transpose", ["x"], ["t"], perm=[0, 2, 1]), node("MatMul", ["t", "m"], ["y"])],
        {"x": ("N", 8, 4)},
        "dense(5, bias=false)",
    ),
}  # fmt: skip

CONSTANTS = {
    **WEIGHTS,
    "zero": np.asarray(0, np.int64),
    "axis": whole(0),
    "rest": whole(-1),
    "one": np.asarray(1, np.float32),
    "groups": whole(0, 2, 3, 6, 6),
    "back": whole(0, 6, 6, 6),
    "joined": whole(5, 8, 2),
    "flat": whole(10, 8),
    "apart": whole(5, 2, 5),
    "m8": numbers(8, 8, seed=21),
    "scales": np.asarray([1, 1, 2, 2], np.float32),
    "k12": numbers(8, 3, 1, 1, seed=20),
}


def model(
    tmp_path: Path, nodes: list[Any], inputs: dict[str, tuple[Any, ...]], outputs: tuple[str, ...] = ("y",)
) -> Path:
    read_names = {i for n in nodes for i in n.input}
    constants = {n: a for n, a in CONSTANTS.items() if n in read_names}
    return save(tmp_path / "model.onnx", nodes, inputs, list(outputs), constants)


def feeds(inputs: dict[str, tuple[Any, ...]]) -> dict[str, Array]:
    sizes = {"N": 2, "H": 8, "W": 9, "T": 5}
    return {n: numbers(*(sizes.get(s, s) for s in shape), seed=30) for n, shape in inputs.items()}


def theirs(path: Path, given: dict[str, Array]) -> dict[str, Array]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, given), strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_says_the_same_as_onnxruntime(name: str, tmp_path: Path) -> None:
    nodes, inputs, says = MODELS[name]
    path = model(tmp_path, nodes, inputs)
    made = imported(load(path))
    assert made.batched
    assert says in written(made.net).text.replace("\n  ->", " ->")
    given = feeds(inputs)
    wanted, got = theirs(path, given)["y"], run_imported(made, given)["y"]
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= EQUAL * np.ptp(wanted)


@pytest.mark.parametrize("name", ["conv", "two free sizes", "channels last already"])
def test_check_runs_both_and_tells_how_far_apart_they_are(name: str, tmp_path: Path) -> None:
    nodes, inputs, _ = MODELS[name]
    path = model(tmp_path, nodes, inputs)
    ready = Ready(imported(load(path)), "reference")

    def ours(arrays: Mapping[str, Array]) -> dict[str, Array]:
        return dict(ready.compiled.run({**arrays, **lengths(ready.graph, arrays)}))

    same = check(path, None, ours)
    assert same is not None and same < EQUAL
    other = check(path, None, lambda arrays: {n: a + np.ptp(a) for n, a in ours(arrays).items()})
    assert other == pytest.approx(1, rel=0.1)


def test_what_joins_samples_is_read_as_one_sample(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [node("ReduceSum", ["x"], ["y"], keepdims=0)], {"x": (2, 3)}, ["y"])
    made = imported(load(path))
    given = {"x": numbers(2, 3)}
    assert not made.batched
    assert "float[2, 3]" in written(made.net).text
    assert run_imported(made, given)["y"] == pytest.approx(theirs(path, given)["y"], rel=1e-5)


def test_a_batch_of_one_written_into_the_graph_is_a_batch(tmp_path: Path) -> None:
    """Exporters write [1, -1] where they saw one sample, though the input says N."""
    nodes = [node("Reshape", ["x", "one row"], ["r"]), node("MatMul", ["r", "m"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, {"x": ("N", 2, 4)}, ["y"], {"one row": whole(1, 8), "m": CONSTANTS["m"]})
    made = imported(load(path))
    assert made.batched
    assert "x -> flatten -> dense(5, bias=false)" in written(made.net).text


def test_old_files_say_where_axes_meet(tmp_path: Path) -> None:
    """Before version 7 a row was added to channels with broadcast=1, axis=1."""
    nodes = [node("Add", ["x", "row3"], ["y"], broadcast=1, axis=1)]
    path = save(tmp_path / "m.onnx", nodes, {"x": (2, 3, 4, 5)}, ["y"], {"row3": numbers(3)}, opset=6)
    given = {"x": numbers(2, 3, 4, 5, seed=1)}
    made = run_imported(imported(load(path)), given)["y"]
    assert made == pytest.approx(given["x"] + numbers(3).reshape(3, 1, 1), rel=1e-6)


def test_a_step_that_joins_samples_is_named_where_nothing_helps(tmp_path: Path) -> None:
    nodes = [node("ReduceMean", ["x"], ["m"], axes=[0], name="over"), node("Sub", ["x", "m"], ["d"])]
    path = model(tmp_path, [*nodes, node("Conv", ["d", "k"], ["y"])], {"x": (2, 3, 8, 8)})
    with pytest.raises(Failed, match=r"`over` .ReduceMean. cannot be expressed: it joins samples"):
        read(path)


def test_sizes_that_are_open_and_needed_are_named(tmp_path: Path) -> None:
    nodes = [node("Flatten", ["x"], ["f"]), node("MatMul", ["f", "m"], ["y"], name="last")]
    path = model(tmp_path, nodes, {"x": ("N", 2, "H")})
    with pytest.raises(Failed, match=r"`last` .MatMul. takes sizes for granted that the inputs leave open: H"):
        read(path)


@pytest.mark.parametrize(("size", "says"), [("T", "T"), ("seq_len", "Seq_len"), (None, "T"), ("2 * n", "T")])
def test_an_open_length_keeps_its_name(size: str | None, says: str, tmp_path: Path) -> None:
    path = model(tmp_path, [node("MatMul", ["x", "m"], ["y"])], {"x": ("N", size, 8)})
    assert f"input x: float[{says}, 8]" in written(read(path)).text


@pytest.mark.parametrize(
    ("op", "says"),
    [("NonMaxSuppression", "`odd` (NonMaxSuppression) cannot be expressed"), ("Dinosaur", "`odd` (Dinosaur) cannot")],
)
def test_a_node_without_words_is_named(op: str, says: str, tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [node(op, ["x"], ["y"], name="odd")], {"x": (1, 3)}, ["y"])
    with pytest.raises(Failed, match="E0901") as failed:
        read(path)
    assert says in str(failed.value)


def test_loops_are_refused(tmp_path: Path) -> None:
    body = helper.make_graph([node("Identity", ["x"], ["z"])], "b", [], [helper.make_empty_tensor_value_info("z")])
    path = save(
        tmp_path / "m.onnx",
        [node("If", ["x"], ["y"], name="fork", then_branch=body, else_branch=body)],
        {"x": (1,)},
        ["y"],
    )
    with pytest.raises(Failed, match="fork"):
        read(path)


@pytest.mark.parametrize("cut", [0, 1, 40, 200])
def test_a_file_cut_short_is_malformed(cut: int, tmp_path: Path) -> None:
    nodes, inputs, _ = MODELS["conv"]
    path = model(tmp_path, nodes, inputs)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(Failed, match="E0902"):
        read(path)


def test_a_tensor_nobody_makes_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [node("Add", ["x", "ghost"], ["y"], name="sum")], {"x": (1, 3)}, ["y"])
    with pytest.raises(Failed, match="ghost"):
        read(path)


def test_weights_elsewhere_on_the_disk_are_refused(tmp_path: Path) -> None:
    nodes, inputs, _ = MODELS["conv"]
    path = model(tmp_path, nodes, inputs)
    proto = onnx.load(path)
    proto.graph.initializer[0].external_data.add(key="location", value="../secret")
    proto.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    path.write_bytes(proto.SerializeToString())
    (tmp_path.parent / "secret").write_bytes(bytes(10_000))
    with pytest.raises(Failed, match="beside it"):
        read(path)


def test_a_short_file_cannot_ask_for_all_memory(tmp_path: Path) -> None:
    nodes = [node("ConstantOfShape", ["huge"], ["c"], name="wall"), node("Add", ["x", "c"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, {"x": (1, 3)}, ["y"], {"huge": whole(1 << 20, 1 << 20)})
    with pytest.raises(Failed, match="wall"):
        read(path)


def test_damaged_files_never_give_a_traceback(tmp_path: Path) -> None:
    """Every byte that may be wrong: the model is read, or refused."""
    nodes, inputs, _ = MODELS["shape arithmetic"]
    path = model(tmp_path, nodes, inputs)
    whole_file = path.read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(whole_file)
        for at in generator.integers(0, len(damaged), 3):
            damaged[at] = generator.integers(0, 256)
        path.write_bytes(bytes(damaged))
        try:
            read(path)
        except Failed as failed:
            assert failed.diagnostics[0].code.startswith("E09")
