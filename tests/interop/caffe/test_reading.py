"""What becomes of a net: generations, phases, inputs, labels, outputs, losses, refusals."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest

import graphdsl
from graphdsl.interop import written
from graphdsl.interop.caffe import read
from graphdsl.interop.caffe.call import KINDS
from graphdsl.report import Failed
from tests.interop.caffe.nets import data, layer, net, run, text

CONV = "convolution_param { num_output: 4 kernel_size: 3 }"
V1 = """
name: "old"  input: "data"  input_dim: 10 input_dim: 3 input_dim: 9 input_dim: 9
layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
  convolution_param { num_output: 4 kernel_size: 3 } }
layers { name: "r" type: RELU bottom: "c" top: "c" }
layers { name: "t" type: TANH bottom: "c" top: "t" }
layers { name: "k" type: CONCAT bottom: "c" bottom: "t" top: "k" concat_param { concat_dim: 1 } }
layers { name: "f" type: INNER_PRODUCT bottom: "k" top: "f" inner_product_param { num_output: 5 } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "f" bottom: "label" }
"""


def refusal(folder: Path, prototxt: str) -> str:
    with pytest.raises(Failed) as caught:
        net(folder, prototxt)
    return str(caught.value)


def checked(folder: Path, prototxt: str) -> graphdsl.model.Model:
    """The imported spec, training and all, as a model."""
    (folder / "net.dag").write_text(written(net(folder, prototxt)).text)
    model = graphdsl.compile(folder / "net.dag")
    model.graph  # noqa: B018
    return model


def test_what_the_file_says_at_its_head_stays(tmp_path: Path) -> None:
    head = "# please cite: LeCun et al.\n#\n\n# and this\nname: 'x' # not this\n# nor this\n"
    spec = written(net(tmp_path, head + data(3) + layer("ReLU", "y", "data"))).text
    assert spec.startswith("# x, from Caffe (net.prototxt)\n# please cite: LeCun et al.\n# and this\n\ninput data")


def test_the_first_generation(tmp_path: Path) -> None:
    old = V1[: V1.index('layers { name: "loss"')] + 'layers { name: "prob" type: SOFTMAX bottom: "f" top: "prob" }'
    assert text(tmp_path, old).splitlines()[2:] == [
        "r = data -> conv(4, 3) -> relu",
        "output prob = [r, r -> tanh] -> concat -> flatten -> dense(5) -> softmax",
    ]


def test_layers_from_before_the_first_generation_are_refused(tmp_path: Path) -> None:
    told = refusal(tmp_path, 'layers { layer { name: "conv1" type: "conv" } bottom: "data" top: "conv1" }')
    assert "`conv1` cannot be expressed" in told and "E0901" in told


def test_inputs_of_every_kind(tmp_path: Path) -> None:
    shape = "input_shape { dim: 1 dim: 3 dim: 8 dim: 6 }"
    head = f'input: "a" {shape} input: "b" input_shape {{ dim: 1 dim: 3 }} '
    made = net(tmp_path, head + layer("ReLU", "x", "a") + layer("ReLU", "y", "b"))
    assert [(p.name, p.type) for p in made.inputs] == [("a", "float[8, 6, 3]"), ("b", "float[3]")]


@pytest.mark.parametrize(
    ("source", "type"),
    [
        ('type: "Data" transform_param { crop_size: 27 }', "float[27, 27, 3]"),
        ('type: "Data" transform_param { crop_size: 27 force_gray: true }', "float[27, 27, 1]"),
        ('type: "Data" data_param { source: "examples/mnist/mnist_train_lmdb" }', "float[28, 28, 1]"),
        ('type: "Data" data_param { source: "cifar10_test_lmdb" }', "float[32, 32, 3]"),
        ('type: "ImageData" image_data_param { new_height: 20 new_width: 30 is_color: false }', "float[20, 30, 1]"),
        ('type: "WindowData" window_data_param { crop_size: 11 }', "float[11, 11, 3]"),
        ('type: "MemoryData" memory_data_param { batch_size: 4 channels: 2 height: 5 width: 6 }', "float[5, 6, 2]"),
        ('type: "DummyData" dummy_data_param { shape { dim: 9 dim: 7 } }', "float[7]"),
        ('type: "DummyData" dummy_data_param { num: 9 channels: 3 height: 2 width: 1 }', "float[2, 1, 3]"),
    ],
)
def test_data_layers_are_inputs(tmp_path: Path, source: str, type: str) -> None:
    made = net(tmp_path, f'layer {{ name: "d" top: "d" top: "label" {source} }} ' + layer("ReLU", "y", "d"))
    assert [(p.name, p.type) for p in made.inputs] == [("d", type)]


def test_data_whose_size_is_not_told(tmp_path: Path) -> None:
    head = 'layer { name: "d" type: "HDF5Data" top: "x" } '
    dense = layer("InnerProduct", "y", "x", "inner_product_param { num_output: 2 }")
    told = refusal(tmp_path, head + dense)
    assert "`d` (HDF5Data) cannot be expressed" in told and "`--set x=4`" in told
    known = net(tmp_path, head + dense, {"y": [np.ones((2, 5), np.float32), np.ones(2, np.float32)]})
    assert known.inputs[0].type == "float[5]"
    file = tmp_path / "net.prototxt"
    assert read(file, None, {"x": "7"}).inputs[0].type == "float[7]"
    assert read(file, None, {"x": "5x6x2"}).inputs[0].type == "float[5, 6, 2]"
    for sizes, what in (
        ({"x": "5x"}, "`5x` is no size"),
        ({"y": "3", "x": "4"}, "no input `y`"),
        ({"x": "0"}, "no size"),
    ):
        with pytest.raises(Failed, match="E0902") as caught:
            read(file, None, sizes)
        assert what in str(caught.value)


PHASES = (
    layer("Data", "d", "", "include { phase: TRAIN } transform_param { crop_size: 16 }", top="d label")
    + layer("Data", "d", "", "include { phase: TEST } transform_param { crop_size: 8 }", top="d label")
    + layer("Convolution", "c", "d", CONV)
    + layer("Dropout", "drop", "c", "include { phase: TRAIN }", top="c")
    + layer("InnerProduct", "f", "c", "inner_product_param { num_output: 5 }")
    + layer("Accuracy", "top1", "f label", "include { phase: TEST }")
    + layer("Accuracy", "top3", "f label", "exclude { phase: TRAIN } accuracy_param { top_k: 3 }")
    + layer("SoftmaxWithLoss", "loss", "f label")
)


def test_the_test_phase_is_the_graph(tmp_path: Path) -> None:
    lines = text(tmp_path, PHASES)
    assert "input d: float[8, 8, 3]" in lines
    assert "output f_prob = d -> conv(4, 3) -> dropout(0.5) -> flatten -> dense(5) -> softmax" in lines
    assert "loss = [f_prob, label] -> categorical_crossentropy" in " ".join(lines.split())
    checked(tmp_path, PHASES)


@pytest.mark.parametrize(
    ("transform", "line"),
    [
        ("mean_value: 104 mean_value: 117.5 mean_value: 123", "data -> bgr -> subtract([104, 117.5, 123])"),
        ("mean_value: 128 scale: 0.0078125", "data -> bgr -> subtract(128) -> scale(0.0078125)"),
        ("mirror: true", "data -> bgr -> scale(1)"),
        ("force_gray: true scale: 0.00390625", "data -> scale(0.00390625)"),
    ],
)
def test_how_pictures_become_numbers(tmp_path: Path, transform: str, line: str) -> None:
    source = layer("Data", "data", "", f"transform_param {{ crop_size: 4 {transform} }}", top="data label")
    prototxt = source + layer("TanH", "y", "data")
    assert f"preprocess = {line}" in text(tmp_path, prototxt)
    checked(tmp_path, prototxt)


def test_remarks_on_what_a_spec_does_not_hold(tmp_path: Path) -> None:
    source = 'transform_param { crop_size: 8 mean_file: "mean.binaryproto" } '
    source += 'data_param { source: "some_lmdb" batch_size: 7 }'
    prototxt = (
        layer("Data", "d", "", source, top="d label") + PHASES[PHASES.index(layer("Convolution", "c", "d", CONV)) :]
    )
    prototxt = prototxt.replace("convolution_param", "param { lr_mult: 0 } param { lr_mult: 0 } convolution_param")
    made = written(net(tmp_path, prototxt)).text
    assert "# Caffe also subtracts the mean picture in `mean.binaryproto`" in made
    assert "# Caffe reads `some_lmdb`, 7 at a time" in made and "(lr_mult 0): `c`" in made


def test_metrics_and_losses(tmp_path: Path) -> None:
    whole = " ".join(text(tmp_path, PHASES).split())
    assert "target label: int(5)" in whole
    assert "metrics = [[f_prob, label] -> accuracy, [f_prob, label] -> top(3)]" in whole


def test_heads_that_count_less_exist_in_training_only(tmp_path: Path) -> None:
    fc = "inner_product_param { num_output: 5 }"
    prototxt = (
        PHASES + layer("InnerProduct", "aux", "c", fc) + layer("SoftmaxWithLoss", "l2", "aux label", "loss_weight: 0.3")
    )
    made = net(tmp_path, prototxt)
    assert [name for name, _ in made.outputs] == ["f_prob"]
    assert [name for name, _ in made.heads] == ["aux_prob"]
    model = checked(tmp_path, prototxt)
    assert "aux_prob/dense_1 *" in model.summary()
    assert "[aux_prob, label] -> categorical_crossentropy(weight=0.3)" in written(made).text


def test_other_losses(tmp_path: Path) -> None:
    labels = (
        'layer { name: "l" type: "MemoryData" top: "truth" memory_data_param { channels: 3 height: 2 width: 2 } }\n'
    )
    judge = data(3, 2, 2) + labels + layer("TanH", "t", "data") + layer("Power", "p", "t", "power_param { scale: 2 }")
    found = " ".join(text(tmp_path, judge + layer("EuclideanLoss", "e", "p truth", "loss_weight: 0.5")).split())
    assert "target truth: float[2, 2, 3]" in found and "[p, truth] -> mse(weight=3)" in found
    sigmoid = judge + layer("SigmoidCrossEntropyLoss", "s", "p truth")
    found = " ".join(text(tmp_path, sigmoid).split())
    assert "output p_sigmoid" in found and "[p_sigmoid, truth] -> binary_crossentropy(weight=12)" in found
    checked(tmp_path, sigmoid)


def test_a_loss_without_words_is_a_remark_and_infogain_is_refused(tmp_path: Path) -> None:
    both = data(3, name="a") + data(3, name="b") + data(name="sim") + layer("TanH", "x", "a") + layer("TanH", "y", "b")
    made = written(net(tmp_path, both + layer("ContrastiveLoss", "loss", "x y sim"))).text
    assert "# ContrastiveLoss `loss` of `x`, `y`, `sim` has no word here" in made and "train" not in made
    told = refusal(
        tmp_path, data(3) + data(name="label") + layer("ReLU", "x", "data") + layer("InfogainLoss", "i", "x label")
    )
    assert "`i` (InfogainLoss) cannot be expressed" in told


def test_stages(tmp_path: Path) -> None:
    """One file for everything, as DIGITS writes it."""
    deploy = 'include { stage: "deploy" }'
    prototxt = 'layer { name: "d" type: "Data" top: "d" include { phase: TRAIN } }' + data(3, 4, 4, name="d").replace(
        'top: "d"', f'top: "d" {deploy}'
    )
    prototxt += layer("ReLU", "r", "d") + layer("Softmax", "prob", "r", deploy)
    made = net(tmp_path, prototxt)
    assert [name for name, _ in made.outputs] == ["prob"] and made.inputs[0].type == "float[4, 4, 3]"


def test_tensors_written_over(tmp_path: Path) -> None:
    """Every reader gets what its name held when it was the reader's turn; Silence is no reader, and makes nothing."""
    prototxt = data(3) + layer("TanH", "a", "data") + layer("AbsVal", "early", "a")
    prototxt += layer("ReLU", "b", "a", top="a") + layer("Split", "s", "a", top="p q") + layer("Sigmoid", "c", "p")
    prototxt += layer("Eltwise", "sum", "c q") + layer("Eltwise", "late", "sum early")
    prototxt += 'layer { name: "quiet" type: "Silence" bottom: "c" }'
    x = np.array([[-1.0, 0.5, 2.0]], np.float32)
    made = net(tmp_path, prototxt)
    assert [name for name, _ in made.outputs] == ["late"]
    t = np.tanh(x)
    r = np.maximum(t, 0)
    assert np.allclose(run(tmp_path, made, {"data": x})["late"], 1 / (1 + np.exp(-r)) + r + np.abs(t), atol=1e-6)


def test_names_stay_apart(tmp_path: Path) -> None:
    prototxt = data(3) + layer("TanH", "a/b", "data") + layer("ReLU", "a_b", "a/b") + layer("Sigmoid", "A.B", "a_b")
    assert "output a_b = data -> tanh -> relu -> sigmoid" in text(tmp_path, prototxt)


@pytest.mark.parametrize(
    ("prototxt", "what"),
    [
        (data(3) + layer("Python", "py", "data"), "`py` (Python) cannot be expressed: it runs a program"),
        (data(3) + layer("Relu", "r", "data"), "did you mean `ReLU`?"),
        (
            data(3, 4, 4) + layer("Convolution", "c", "data", "convolution_param { num_outputs: 3 }"),
            "did you mean `num_output`?",
        ),
        (
            data(3, 4, 4) + layer("Convolution", "c", "data", "convolution_param { num_output: 3 kernel_size: 5 }"),
            "larger",
        ),
        (
            data(3, 4, 4) + layer("Convolution", "c", "data", "convolution_param { num_output: 3 }"),
            "`kernel_size` is 0",
        ),
        (
            data(3, 4, 4)
            + layer("Convolution", "c", "data", "convolution_param { num_output: 4 kernel_size: 1 group: 2 }"),
            "2 groups",
        ),
        (
            data(3, 4, 4) + layer("Pooling", "p", "data", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"),
            "STOCHASTIC",
        ),
        (data(3, 9, 9) + layer("Pooling", "p", "data", "pooling_param { kernel_size: 2 stride: 3 }"), "no numbers"),
        (data(3) + layer("ReLU", "r", "data").replace("bottom", "botom"), "a layer has no field `botom`"),
        ("layr { }" + data(3) + layer("ReLU", "r", "data"), "a net has no field `layr`"),
        (data(3) + layer("ArgMax", "a", "data"), "`a` (ArgMax) cannot be expressed: it gives places"),
        (data(3) + layer("ReLU", "r", "dota"), "`r` (ReLU) reads `dota`, which no layer before it makes"),
        (data(3) + layer("Concat", "c", "data data", "concat_param { axis: 0 }"), "along the batch"),
        (data(3) + data(4, name="b") + layer("Eltwise", "e", "data b"), "`e` (Eltwise) cannot be expressed"),
        (data(3) + layer("Reshape", "r", "data", "reshape_param { shape { dim: 0 dim: 4 } }"), "have no shape"),
        (data(3), "computes nothing"),
        ("name: 'x'", "this is no net"),
        ("", "this is no net"),
        (data(0) + layer("ReLU", "r", "data"), "has the shape [1, 0]"),
        (data(3) + 'layer { name: "x" bottom: "data" }', "has no type"),
        (data(3) + layer("TanH", "a", "data", "include { phase: TRAIN }", top="data"), "in training only"),
    ],
)
def test_refusals_name_the_layer(tmp_path: Path, prototxt: str, what: str) -> None:
    told = refusal(tmp_path, prototxt)
    assert what in told and ("E0901" in told or "E0902" in told)


@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [
        ("num_output: 4 kernel_size: 3", "num_output: 4 kernel_size: 3", True),
        ("num_output: 4 kernel_size: 3", "num_output: 4 kernel_size: 3 stride: 2", False),
        ("num_output: 4 kernel_size: 3", "num_output: 5 kernel_size: 3", False),
    ],
)
def test_shared_weights_need_the_same_layer(tmp_path: Path, first: str, second: str, fits: bool) -> None:
    shared = 'param { name: "w" } param { name: "b" } convolution_param'
    prototxt = data(3, 9, 9) + layer("Convolution", "one", "data", f"{shared} {{ {first} }}")
    prototxt += layer("Convolution", "two", "data", f"{shared} {{ {second} }}")
    if fits:
        assert net(tmp_path, prototxt).layers[1].shares == "one"
    else:
        told = refusal(tmp_path, prototxt)
        assert "`two` (Convolution) cannot be expressed: it uses the weights of `one`" in told


def test_some_weights_shared_and_others_not(tmp_path: Path) -> None:
    prototxt = data(3, 9, 9) + layer(
        "Convolution", "one", "data", f'param {{ name: "w" }} param {{ name: "b" }} {CONV}'
    )
    told = refusal(
        tmp_path, prototxt + layer("Convolution", "two", "data", f'param {{ name: "w" }} {CONV} param {{ }}')
    )
    assert "`two` (Convolution) cannot be expressed: it shares some of its weights" in told


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    prototxt = data(3, 9, 9) + layer("Convolution", "c", "data", CONV)
    for blobs, what in (
        (
            {"c": [np.ones((4, 3, 3, 2), np.float32)]},
            "the file has [4, 3, 3, 2] where the prototxt asks for [4, 3, 3, 3]",
        ),
        ({"c": [np.ones((4, 3, 3, 3), np.float32)]}, "number 2 should be [4]"),
        ({"other": [np.ones(4, np.float32)]}, "no weights for it"),
    ):
        with pytest.raises(Failed, match="E0903") as caught:
            net(tmp_path, prototxt, blobs)
        assert "`c`" in str(caught.value) and what in str(caught.value)


def test_weights_of_the_first_generation_fit(tmp_path: Path) -> None:
    """Blobs had four sizes then: a dense layer's are 1, 1, units, features."""
    rng = np.random.default_rng(0)
    blobs = {"f": [rng.standard_normal((5, 3), np.float32), rng.standard_normal(5, np.float32)]}
    prototxt = data(3) + layer("InnerProduct", "f", "data", "inner_product_param { num_output: 5 }")
    made = net(tmp_path, prototxt, blobs, generation=1, shape=False)
    assert np.array_equal(made.layers[0].weights["kernel"], blobs["f"][0].T)
    assert np.array_equal(made.layers[0].weights["bias"], blobs["f"][1])


def test_changed_files_never_end_in_a_traceback(tmp_path: Path) -> None:
    """Words and numbers of real nets in wrong places: a net or a complaint."""
    generator = random.Random(1)
    words = [*re.findall(r"\w+", V1 + PHASES), *KINDS, "{", "}", ":", '"', "-1", "0", "1000000000000", "2.5", "[", "<"]
    told = 0
    for _ in range(400):
        tokens = re.findall(r"\w+|\s+|.", generator.choice((V1, PHASES)))
        for place in generator.sample(range(len(tokens)), 2):
            tokens[place] = generator.choice(words) if generator.random() < 0.8 else ""
        try:
            written(net(tmp_path, "".join(tokens)))
        except Failed:
            told += 1
    assert 200 < told < 400


SOLVER = """net: "examples/x/net.prototxt" base_lr: 0.01 momentum: 0.9 weight_decay: 0.0005 max_iter: 450000
lr_policy: "step" gamma: 0.1 stepsize: 100000 solver_mode: GPU"""


def solved(folder: Path, solver: str) -> str:
    (folder / "net.prototxt").write_text(PHASES)
    (folder / "solver.prototxt").write_text(solver)
    spec = written(read(folder / "solver.prototxt")).text
    (folder / "net.dag").write_text(spec)
    graphdsl.compile(folder / "net.dag").graph  # noqa: B018
    return " ".join(spec.split())


@pytest.mark.parametrize(
    ("more", "optimizer"),
    [
        ("", "sgd(lr=exponential(0.01, 0.1, every=100000, by=steps), momentum=0.9, decay=0.0005)"),
        ('lr_policy: "fixed" type: "Nesterov"', "sgd(lr=0.01, momentum=0.9, nesterov=true, decay=0.0005)"),
        (
            'lr_policy: "multistep" stepvalue: 10 stepvalue: 20 solver_type: ADAM delta: 1e-6',
            "adam(lr=steps(0.01, at=[10, 20], by=steps), beta1=0.9, beta2=0.999, eps=1e-06, decay=0.0005)",
        ),
        (
            'lr_policy: "poly" power: 0.5 type: "RMSProp" rms_decay: 0.98',
            "rmsprop(lr=poly(0.01, power=0.5), rho=0.98, eps=1e-08",
        ),
        (
            'lr_policy: "exp" gamma: 0.9 type: "AdaGrad"',
            "adagrad(lr=exponential(0.01, 0.9, by=steps), start=0, eps=1e-08",
        ),
    ],
)
def test_solvers(tmp_path: Path, more: str, optimizer: str) -> None:
    spec = solved(tmp_path, f"{SOLVER} {more}")
    assert optimizer in spec and "steps = 450000" in spec


def test_a_solver_whose_ways_have_no_words(tmp_path: Path) -> None:
    spec = solved(tmp_path, f'{SOLVER} lr_policy: "inv" type: "AdaDelta"')
    assert "# Caffe's optimizer: AdaDelta" in spec and "# Caffe's learning rate: lr_policy `inv`" in spec


def test_solvers_find_their_nets(tmp_path: Path) -> None:
    folder = tmp_path / "caffe" / "examples" / "x"
    folder.mkdir(parents=True)
    (folder / "net.prototxt").write_text(PHASES)
    (folder / "solver.prototxt").write_text(SOLVER)
    assert read(folder / "solver.prototxt").outputs
    (folder / "inner.prototxt").write_text(f"net_param {{ {PHASES} }} base_lr: 1")
    assert read(folder / "inner.prototxt").outputs
    for path in ("../../../etc/passwd", "/etc/hostname", "absent.prototxt"):
        (folder / "solver.prototxt").write_text(f'net: "{path}" base_lr: 1')
        with pytest.raises(Failed, match="it is a solver, and its net"):
            read(folder / "solver.prototxt")
