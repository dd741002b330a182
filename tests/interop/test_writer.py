"""What a network from elsewhere becomes: a text that reads well, and weights under its names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from graphdsl.interop import Layer, Net, Port, written
from graphdsl.interop.wording import call_text, settings_text
from graphdsl.report import Failed


def step(name: str, word: str, *inputs: str, **settings: Any) -> Layer:
    return Layer(name, word, inputs, (name,), settings)


def conv(name: str, x: str, before: int, filters: int, size: int, **settings: Any) -> Layer:
    """A convolution whose weights are all alike, but unlike those of other layers."""
    weights = {"kernel": np.full((size, size, before, filters), len(name)), "bias": np.arange(filters)}
    return Layer(name, "conv", (x,), (name,), {"filters": filters, "size": (size, size)} | settings, weights)


def net(*layers: Layer, outputs: tuple[tuple[str, str], ...], type: str = "float[8, 8, 3]") -> Net:
    return Net("A net", (Port("data", type),), layers, outputs)


def lines(made: Net) -> list[str]:
    """The definitions behind the inputs, without what the layout puts between their words."""
    return [" ".join(line.split()) for line in written(made).text.splitlines()[4:] if line]


def test_a_chain_is_one_line() -> None:
    made = net(
        conv("conv1/7x7", "data", 3, 4, 3, pad="same", stride=(2, 2)),
        step("relu", "relu", "conv1/7x7"),
        step("pool", "max_pool", "relu", size=(2, 2), stride=2),
        outputs=(("prob", "pool"),),
    )
    assert lines(made) == ["output prob = data -> conv(4, 3, stride=2, pad=same) -> relu -> max_pool(2, stride=2)"]
    got = written(made)
    assert got.text.startswith("# A net\n\ninput data: float[8, 8, 3]\n")
    assert {n: w.shape for n, w in got.weights.items()} == {
        "prob/conv_1/kernel": (3, 3, 3, 4),
        "prob/conv_1/bias": (4,),
    }


def test_branches_stand_in_the_list_of_their_merge() -> None:
    made = net(
        conv("a", "data", 3, 4, 1),
        conv("longer", "data", 3, 2, 3, pad=1),
        step("cat", "concat", "longer", "a"),
        outputs=(("y", "cat"),),
    )
    assert lines(made) == ["output y = [data -> conv(2, 3, pad=1), data -> conv(4, 1)] -> concat"]
    kernels = {n: int(w.flat[0]) for n, w in written(made).weights.items() if n.endswith("kernel")}
    assert kernels == {"y/conv_1/kernel": len("longer"), "y/conv_2/kernel": len("a")}


@pytest.mark.parametrize(
    ("word", "settings", "text"),
    [
        ("leaky_relu", {"slope": 0.2}, "leaky_relu(0.2)"),
        ("leaky_relu", {"slope": 0.01}, "leaky_relu"),
        ("scale", {"scale": False}, "scale(scale=false)"),
        ("conv", {"size": (1, 7), "filters": 2, "pad": "same"}, "conv(2, 1x7, pad=same)"),
        ("pad", {"start": [1, 0, 2, 0], "mode": "reflect"}, "pad([1, 0, 2, 0], mode=reflect)"),
        ("batch_norm", {"eps": np.float32(1e-3), "momentum": 0.99}, "batch_norm(momentum=0.99, eps=0.001)"),
        ("reshape", {"shape": (7, 7, 128)}, "reshape(7x7x128)"),
    ],
)
def test_settings(word: str, settings: dict[str, Any], text: str) -> None:
    layer = Layer("", word, ("x",), ("y",), settings)
    assert call_text(word, settings_text(layer)) == text


def test_what_is_read_twice_gets_a_name() -> None:
    made = net(
        step("x/1", "relu", "data"),
        step("tanh", "tanh", "x/1"),
        step("sum", "+", "tanh", "x/1"),
        step("half", "*", "sum", right=0.5),
        step("rest", "-", "half", left=1),
        outputs=(("y", "rest"), ("again", "rest"), ("early", "x/1")),
    )
    assert lines(made) == [
        "output early = data -> relu",
        "tanh = early -> tanh",
        "sum = tanh + early",
        "half = sum * 0.5",
        "output y = 1 - half",
        "output again = y",
    ]


def test_heads_have_names_but_are_no_outputs() -> None:
    """What training alone speaks of, under names that sections can rely on; shared layers give way."""
    layers = (
        conv("y", "data", 3, 4, 1),
        Layer("again", "conv", ("data",), ("again",), {"filters": 4, "size": 1}, shares="y"),
        step("sum", "+", "y", "again"),
        step("aux", "relu", "sum"),
        step("last", "tanh", "sum"),
    )
    made = replace(
        net(*layers, outputs=(("y", "last"),)), heads=(("extra", "aux"), ("raw", "data")), sections="# end\n"
    )
    assert lines(made) == [
        "shared y_2 = conv(4, 1)",
        *("y_3 = data -> y_2", "again = data -> y_2", "sum = y_3 + again"),
        *("extra = sum -> relu", "output y = sum -> tanh", "raw = data", "# end"),
    ]


def test_lists_end_somewhere() -> None:
    layers = [step("cat_0", "concat", "data", "data")]
    layers += [step(f"cat_{i}", "concat", f"cat_{i - 1}", "data") for i in range(1, 5)]
    assert lines(net(*layers, outputs=(("y", "cat_4"),))) == [
        "cat_1 = [[data, data] -> concat, data] -> concat",
        "cat_3 = [[cat_1, data] -> concat, data] -> concat",
        "output y = [cat_3, data] -> concat",
    ]


def test_shared_layers_and_constants() -> None:
    weights = {"kernel": np.ones((4, 2)), "bias": np.zeros(2)}
    made = net(
        Layer("k", "weight", (), ("k",), {"shape": (4,)}, {"": np.arange(4)}),
        step("moved", "+", "data", "k"),
        Layer("fc", "dense", ("data",), ("fc",), {"units": 2}, weights),
        Layer("fc again", "dense", ("moved",), ("fc again",), {"units": 2}, shares="fc"),
        step("both", "add", "fc", "fc again"),
        outputs=(("y", "both"),),
        type="float[4]",
    )
    assert lines(made) == [
        "shared fc = dense(2)",
        "weight k: float[4] = zeros",
        "output y = [data -> fc, data + k -> fc] -> add",
    ]
    assert set(written(made).weights) == {"k", "fc/dense_1/kernel", "fc/dense_1/bias"}


def test_a_shared_layer_is_not_called_like_a_word() -> None:
    fc = Layer("dense", "dense", ("data",), ("a",), {"units": 2})
    again = Layer("dense again", "dense", ("data",), ("b",), {"units": 2}, shares="dense")
    made = net(fc, again, outputs=(("y", "a"), ("z", "b")), type="float[4]")
    assert lines(made) == ["shared dense_2 = dense(2)", "output y = data -> dense_2", "output z = data -> dense_2"]


def test_several_results() -> None:
    made = net(
        Layer("sp", "split", ("data",), ("l", "r"), {"parts": 2}),
        step("tanh", "tanh", "r"),
        outputs=(("y", "tanh"), ("left", "l")),
        type="float[4]",
    )
    assert lines(made) == ["sp_1, sp_2 = data -> split(2)", "output y = sp_2 -> tanh", "output left = sp_1"]


@pytest.mark.parametrize("name", ["input", "7x7", "a/b:0", "A b", "über", "if", ""])
def test_any_name_will_do(name: str) -> None:
    made = Net("", (Port(name, "float[4]"),), (step("s", "relu", name),), ((name, "s"),))
    assert "-> relu" in written(made).text


@pytest.mark.triggers("E0903")
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"kernel": np.ones((3, 2)), "bias": np.ones(2)}, r"E0903.*\[3, 2\] for `y/dense_1/kernel`.*\[4, 2\]"),
        ({"kernel": np.ones((4, 2))}, r"E0903.*`fc`: the file has kernel, and `dense` needs bias, kernel"),
    ],
)
def test_weights_that_do_not_fit(weights: dict[str, Any], message: str) -> None:
    layer = Layer("fc", "dense", ("data",), ("fc",), {"units": 2}, weights)
    with pytest.raises(Failed, match=message):
        written(net(layer, outputs=(("y", "fc"),), type="float[4]"))


def test_weights_of_a_layer_that_takes_none() -> None:
    layer = Layer("act", "relu", ("data",), ("act",), {}, {"kernel": np.ones(2)})
    with pytest.raises(Failed, match=r"E0903.*`act`: the file has weights, and `relu` takes none"):
        written(net(layer, outputs=(("y", "act"),)))
