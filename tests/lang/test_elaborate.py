"""What specs mean: names, weights, blocks, sharing, params, other files, sections."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ir import Count, Graph, Made, Operator, Registry, Role, Weight
from graphdsl.lang import Choices, Interval, Spec, Vocabulary, elaborate
from graphdsl.report import Failed, Reporter, Source
from tests.support.language import VOCABULARY, elaborated, fine

VECTOR = "input x: float[8]\n"
HEAD = VECTOR + "target t: int(3)\noutput y = x -> dense(3) -> softmax\n"


def weights(graph: Graph) -> list[str]:
    return [name for name, node in graph.items() if isinstance(node.op, Weight)]


def layers(graph: Graph) -> list[str]:
    """Paths of the layers, in order."""
    return list(dict.fromkeys(node.layer.path for _, node in graph.items() if node.layer))


def shape(spec: Spec, name: str) -> str:
    return spec.names[name].type.describe()


def operators(graph: Graph, prefix: str) -> list[Operator]:
    return [node.op for name, node in graph.items() if name.startswith(prefix)]


# --- names -----------------------------------------------------------------------------------------------------------


def test_layers_are_numbered_in_their_scope() -> None:
    spec = fine(VECTOR + "output y = x -> dense(4) -> relu -> dense(2) -> relu")
    assert layers(spec.graph) == ["y/dense_1", "y/relu_1", "y/dense_2", "y/relu_2"]
    assert weights(spec.graph) == ["y/dense_1/kernel", "y/dense_1/bias", "y/dense_2/kernel", "y/dense_2/bias"]


def test_blocks_are_scopes_and_so_are_their_definitions() -> None:
    spec = fine(
        "block inner(n) = in -> dense(n)\n"
        "block outer(n) {\n  body = in -> inner(n)\n  out = body -> inner(n) -> relu\n}\n"
        + VECTOR
        + "output y = x -> outer(4) * 2"
    )
    assert weights(spec.graph)[::2] == [
        "y/outer_1/body/inner_1/dense_1/kernel",
        "y/outer_1/inner_1/dense_1/kernel",
        "y/outer_2/body/inner_1/dense_1/kernel",
        "y/outer_2/inner_1/dense_1/kernel",
    ]
    layer = spec.graph.node("y/outer_2/body/inner_1/dense_1/kernel").layer
    assert layer is not None
    assert layer.blocks == ("y/outer_2", "y/outer_2/body/inner_1")
    assert (layer.kind, layer.settings, layer.shared) == ("dense", "4", "")


def test_spans_lead_from_the_stage_out_of_the_blocks() -> None:
    spec = fine("block b = in -> dense(2)\n" + VECTOR + "output y = x -> b")
    spans = spec.graph.node("y/b_1/dense_1/kernel").spans
    assert [s.text for s in spans] == ["dense(2)", "b"]


def test_settings_are_shown_as_understood() -> None:
    spec = fine("input image: float[8, 8, 1]\noutput y = image -> conv(4, 1x3, pad=same, stride=1)")
    layer = spec.graph.node("y/conv_1/kernel").layer
    assert layer is not None
    assert layer.settings == "4, 1x3, pad=same"


# --- sharing ---------------------------------------------------------------------------------------------------------


def test_a_shared_layer_has_one_set_of_weights() -> None:
    spec = fine(
        "input left, right: float[T, 6]\nshared reader = lstm(4) -> dense(2)\n"
        "output y = [left -> reader, right -> reader] -> concat -> dense(1)"
    )
    assert [w for w in weights(spec.graph) if "lstm" in w] == [
        f"reader/lstm_1/{name}" for name in ("kernel", "bias", "recurrent")
    ]
    (shared,) = spec.shared
    assert (shared.name, shared.weights, shared.uses) == ("reader", "reader", 2)
    found = {node.layer.path: node.layer.shared for _, node in spec.graph.items() if node.layer}
    assert found["y/reader_1/dense_1"] == found["y/reader_2/dense_1"] == "reader/dense_1"


def test_each_use_of_a_block_has_a_shared_layer_of_its_own() -> None:
    spec = fine(
        "block twin { shared s = dense(8)  out = in -> s -> s }\n" + VECTOR + "output y = x -> twin -> twin",
    )
    assert weights(spec.graph)[::2] == ["y/twin_1/s/dense_1/kernel", "y/twin_2/s/dense_1/kernel"]


def test_a_shared_block_with_a_shared_layer_inside() -> None:
    spec = fine(
        "block twin { shared s = dense(8)  weight w: float[8]  out = (in -> s -> s) * w }\n"
        "shared outer = twin\n" + VECTOR + "output y = x -> outer -> outer"
    )
    assert weights(spec.graph) == ["outer/twin_1/w", "outer/twin_1/s/dense_1/kernel", "outer/twin_1/s/dense_1/bias"]


# --- tensors and numbers ---------------------------------------------------------------------------------------------


def test_repetition() -> None:
    assert len(layers(fine(VECTOR + "output y = x -> dense(8) * 3").graph)) == 3
    assert layers(fine(VECTOR + "output y = x -> dense(8) * 0 -> relu").graph) == ["y/relu_1"]
    assert len(layers(fine("param n = 4\n" + VECTOR + "output y = x -> dense(8) * (n - 2)").graph)) == 2


def test_several_results() -> None:
    spec = fine(VECTOR + "block two { out = [in -> dense(2), in -> dense(3)] }\na, b = x -> split(2)\nc, d = x -> two")
    assert [shape(spec, n) for n in "abcd"] == ["float[4]", "float[4]", "float[2]", "float[3]"]


def test_arithmetic_on_tensors() -> None:
    spec = fine(VECTOR + "t = x -> sigmoid\ny = t * x + (1 - t) * x / 2 - -x ** 2\n")
    assert shape(spec, "y") == "float[8]"
    assert layers(spec.graph)[1:] == [
        f"y/{w}"
        for w in ("multiply_1", "subtract_1", "multiply_2", "divide_1", "add_1", "power_1", "negate_1", "subtract_2")
    ]


def test_weights_of_a_text_go_with_samples() -> None:
    spec = fine(VECTOR + "weight gain: float[8] = 1\nweight scale: float\ny = x * gain * scale\nz = gain -> dense(2)")
    assert (shape(spec, "y"), shape(spec, "z")) == ("float[8]", "float[2]")
    assert spec.names["y"].type.batched
    assert weights(spec.graph)[:2] == ["gain", "scale"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8 / 2", 4),
        ("7 / 2", 3.5),
        ("7 % 4", 3),
        ("2 ** 10", 1024),
        ("2 ** -1", 0.5),
        ("-3 + +5", 2),
        ("1 + 2 * 3 - 4 / 2", 5),
        ("if 3 > 2 then 1 else 2", 1),
        ("if not (1 == 1.0) then 1 else if true or 1 / 0 > 2 then 2 else 3", 2),
        ('if "a" == "b" or none != none then 1 else 0', 0),
        ("[1x7, 3]", None),
        ("x.channels * 2", 16),
        ("x.features", 8),
        ("image.height - image.width", -1),
        ("words.length * 2 - words.length", "T"),
        ("if words.length == seq.length then 1 else 0", 1),
        ("if words.length < words.length + 1 then 1 else 0", 1),
    ],
)
def test_numbers(text: str, value: object) -> None:
    inputs = VECTOR + "input image: float[3, 4, 1]\ninput words: int(9)[T]\ninput seq: float[T, 2]\n"
    spec = fine(f"{inputs}n = {text}\nassert true")
    assert spec.graph
    if isinstance(value, int | float):
        fine(f"{inputs}assert ({text}) == {value}")


def test_a_static_if_builds_one_branch() -> None:
    spec = fine(VECTOR + "output y = if x.channels == 8 then x else x -> dense(8)")
    assert not weights(spec.graph)


def test_an_unknown_value_is_told_about_once() -> None:
    _, diagnostics = elaborated(VECTOR + "a = x -> dens(3)\nb = a + x -> relu\nc = [a, b] -> concat\noutput y = c")
    assert [d.code for d in diagnostics] == ["E0202"]


def test_all_mistakes_are_told_in_one_run() -> None:
    _, diagnostics = elaborated("a = b\nc = d -> relu\n" + VECTOR + "y = x -> conv(3, 3) -> flaten -> dens(3, sise=2)")
    assert [d.code for d in diagnostics] == ["E0201", "E0201", "E0301", "E0202", "E0202"]


def test_the_chain_of_blocks_stands_beside_a_mistake() -> None:
    text = "block inner(c) = in + (in -> dense(c))\nblock outer = in -> inner(3)\n" + VECTOR + "y = x -> outer"
    _, (diagnostic,) = elaborated(text)
    assert [(u.block, u.span.line) for u in diagnostic.chain] == [("inner", 2), ("outer", 4)]


def test_what_a_broken_definition_would_have_defined_is_not_missed() -> None:
    _, diagnostics = elaborated(VECTOR + "a = x -> -> relu\nb = a -> relu\nc = bb -> relu")
    assert [d.code for d in diagnostics if not d.code.startswith("E01")] == ["E0201"]


# --- params ----------------------------------------------------------------------------------------------------------

PARAMS = (
    "param n = 3 in [3, 4]\nparam r = 0.2 in range(0.1, 0.5)\nparam lr = 1e-3 in log(1e-5, 1e-1)\n"
    'param name = "a"\nparam flag = true\nparam size = 1x3\nparam list = [1, 2]\n'
)


def test_params() -> None:
    spec = fine(PARAMS)
    assert spec.params["n"].domain == Choices((3, 4))
    assert spec.params["r"].domain == Interval(0.1, 0.5)
    assert spec.params["lr"].domain == Interval(1e-5, 1e-1, log=True)


def test_params_are_set_by_texts() -> None:
    texts = {"n": "4", "r": "0.5", "lr": "1e-2", "name": "../b c", "flag": "false", "size": "3x3", "list": "[3]"}
    spec = fine(PARAMS, texts)
    values = {name: str(p.value) for name, p in spec.params.items()}
    assert values == {
        "n": "4",
        "r": "0.5",
        "lr": "0.01",
        "name": "../b c",
        "flag": "False",
        "size": "3x3",
        "list": "(3,)",
    }
    assert spec.params["n"].default == 3


@pytest.mark.triggers("E0801")
def test_a_param_that_is_not_there() -> None:
    _, (diagnostic,) = elaborated(PARAMS, {"nane": "x"})
    assert (diagnostic.code, diagnostic.span, diagnostic.help) == ("E0801", None, "did you mean `name`?")


@pytest.mark.triggers("E0802")
@pytest.mark.parametrize(
    "setting",
    [{"n": "5"}, {"n": "x"}, {"n": "true"}, {"flag": "1"}, {"r": "nan"}, {"lr": "1"}, {"size": "3"}, {"list": "[a]"}],
)
def test_a_param_set_outside_its_domain(setting: dict[str, str]) -> None:
    _, (diagnostic,) = elaborated(PARAMS, setting)
    assert diagnostic.code == "E0802"
    assert diagnostic.span is not None
    assert diagnostic.span.text in setting


def test_asserts_about_weights_wait_for_the_end() -> None:
    fine("assert weights == 27\n" + HEAD)
    fine("block b { assert in.channels == 8  out = in }\n" + VECTOR + "y = x -> b")


# --- other files -----------------------------------------------------------------------------------------------------

OTHER = (
    "param width = 4\ninput image: float[T, 8]\ninput more: float[T, 8]\ntarget t: int(3)\n"
    "early = image + more -> dense(width) -> dropout(0.5)\n"
    "output late = early -> dense(2)\noutput last = early -> dense(3)\ntrain { epochs = 1 }\n"
)
TWO = "input a: float[5, 8]\ninput b: float[5, 8]\n"


def test_use_brings_blocks_and_params() -> None:
    files = {
        "lib/blocks.dag": 'use "deep.dag"\nparam n = 2\nblock b = in -> c(n)\n',
        "lib/deep.dag": "block c(n) = in -> dense(n)",
    }
    spec = fine('use "lib/blocks.dag"\nuse "lib/deep.dag"\n' + VECTOR + "output y = x -> b -> c(3)", {"n": "5"}, files)
    assert weights(spec.graph)[::2] == ["y/b_1/c_1/dense_1/kernel", "y/c_1/dense_1/kernel"]
    assert spec.graph.value("y/b_1/c_1/dense_1/kernel").type.shape == (8, 5)
    assert spec.files == ("spec.dag", "lib/blocks.dag", "lib/deep.dag")


def test_a_model_is_a_layer() -> None:
    spec = fine(TWO + 'output p, q = [a, b] -> model("o.dag", width=6)', files={"o.dag": OTHER})
    assert [v.type.describe() for v in spec.outputs.values()] == ["float[5, 2]", "float[5, 3]"]
    assert weights(spec.graph)[0] == "p/model_1/early/dense_1/kernel"
    assert not spec.sections
    assert not spec.targets


def test_params_of_a_model_may_stand_in_a_file_that_it_uses() -> None:
    files = {
        "o.dag": 'use "lib/a.dag"\nuse "lib/b.dag"\ninput x: float[5, 8]\noutput y = x -> b',
        "lib/a.dag": 'use "b.dag"',
        "lib/b.dag": "param n = 2\nblock b = in -> dense(n)",
    }
    uses = (
        'output p = a -> model("o.dag", n=6)',
        'output q = a -> model("o.dag")',
        'output r = p -> dense(8) -> model("o.dag", n=7)',
    )
    outputs = fine(TWO + "\n".join(uses), files=files).outputs
    assert [v.type.channels for v in outputs.values()] == [6, 2, 7]


def test_a_model_cut_off_and_frozen() -> None:
    text = TWO + 'y = [a, b] -> model("o.dag", upto=early, freeze=true, weights="w.safetensors") -> dense(2)'
    spec = fine(text, files={"o.dag": OTHER})
    found = {n: node.op.trainable for n, node in spec.graph.items() if isinstance(node.op, Weight)}
    assert found == {
        "y/model_1/early/dense_1/kernel": False,
        "y/model_1/early/dense_1/bias": False,
        "y/dense_1/kernel": True,
        "y/dense_1/bias": True,
    }
    assert not [op for op in operators(spec.graph, "y/model_1") if op.name == "dropout"]
    assert [(w.prefix, w.path) for w in spec.weights] == [("y/model_1", "w.safetensors")]


def test_a_shared_model() -> None:
    text = TWO + 'shared m = model("o.dag", outputs=[late])\noutput y = ([a, b] -> m) + ([b, a] -> m)'
    assert len(weights(fine(text, files={"o.dag": OTHER}).graph)) == 4


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('y = a -> model("o.dag")', "E0311"),
        ('y = [a, b -> dense(3)] -> model("o.dag")', "E0301"),
        ('y = [a, b] -> model("o.dag", upto=erly)', "E0201"),
        ('y = [a, b] -> model("o.dag", widht=3)', "E0205"),
        ('y = [a, b] -> model("o.dag", width="wide")', "E0802"),
        ('y = [a, b] -> model("no.dag")', "E0216"),
        ("y = [a, b] -> model", "E0207"),
        ('y = [a, b] -> model("o.dag", freeze=3)', "E0208"),
        ('y = a -> model("self.dag")', "E0404"),
        ('use "self.dag"', "E0404"),
    ],
)
def test_what_models_refuse(text: str, code: str) -> None:
    files = {"o.dag": OTHER, "self.dag": 'use "self.dag"\ninput x: float[5, 8]\noutput y = x -> model("self.dag")'}
    _, diagnostics = elaborated(TWO + text, files=files)
    assert {d.code for d in diagnostics} == {code}


@pytest.mark.triggers("E0224")
def test_a_model_without_output() -> None:
    _, (diagnostic,) = elaborated(VECTOR + 'y = x -> model("o.dag")', files={"o.dag": VECTOR + "z = x -> relu"})
    assert diagnostic.code == "E0224"


# --- sections --------------------------------------------------------------------------------------------------------


def test_losses_are_named_after_heads() -> None:
    spec = fine(
        HEAD + "train {\n  soft = x -> dense(3) -> softmax\n  loss = [\n"
        "    [y, t] -> categorical_crossentropy(weight=2),\n    [y, soft] -> mse,\n"
        "    [x -> relu, x] -> mse,\n    0.1 * ([y, soft] -> mse(weight=3)),\n  ]\n}"
    )
    (section,) = spec.sections
    terms = section.settings["loss"]
    assert [(t.name, t.loss, t.weight) for t in terms] == [
        ("y", "categorical_crossentropy", 2.0),
        ("y_2", "mse", 1.0),
        ("mse", "mse", 1.0),
        ("loss", "", 1.0),
    ]
    assert terms[0].prediction == spec.outputs["y"]
    assert [r.name for r in spec.graph.of_role(Role.LOSS)] == ["train/y", "train/y_2", "train/mse", "train/loss"]


def test_a_loss_weight_may_be_learned() -> None:
    text = HEAD + "weight w: float = 1\ntrain { loss = [y, t] -> categorical_crossentropy(weight=w) }"
    (term,) = fine(text).sections[0].settings["loss"]
    assert (term.name, term.weight) == ("y", 1.0)
    assert term.value.node == "train/multiply_1/multiply"


def test_metrics_and_made_things() -> None:
    spec = fine(
        HEAD + "train {\n  data = digits\n  metrics = [[y, t] -> accuracy, [y, t] -> top(2)]\n"
        "  optimizer = sgd(lr=steps(0.1, at=[3, 6]), momentum=0.9)\n  callbacks = early_stop(patience=3)\n}"
    )
    settings = spec.sections[0].settings
    assert [(m.name, m.metric.name) for m in settings["metrics"]] == [("y", "accuracy"), ("y", "top")]
    assert settings["data"] == Made("reader", "digits", (), settings["data"].span)
    rate = settings["optimizer"].settings["lr"]
    assert (rate.kind, rate.name, rate.settings["at"]) == ("schedule", "steps", (3, 6))
    assert [c.name for c in settings["callbacks"]] == ["early_stop"]


def test_learn_and_freeze_name_weights() -> None:
    spec = fine(
        "block b = in -> dense(8)\nshared s = dense(8)\n" + VECTOR + "weight w: float[8]\n"
        "body = x -> b -> s\nhead = body * w -> b -> batch_norm\noutput y = head -> dense(1)\n"
        'train a { learn = body }\ntrain c { freeze = [w, y] }\ntrain d { freeze = [b, "y/"] }\n'
        "train e { learn = s  freeze = batch_norm }"
    )
    a, c, d, e = (s.settings for s in spec.sections)
    body, shared = ("body/b_1/dense_1/kernel", "body/b_1/dense_1/bias"), ("s/dense_1/kernel", "s/dense_1/bias")
    y = ("y/dense_1/kernel", "y/dense_1/bias")
    assert a["learn"] == (*body, *shared)
    assert c["freeze"] == ("w", *y)
    assert d["freeze"] == (*body, "head/b_1/dense_1/kernel", "head/b_1/dense_1/bias", *y)
    assert e["learn"] == shared
    assert all(name.startswith("head/batch_norm_1/") for name in e["freeze"])


def test_sections_nest_and_follow_each_other() -> None:
    spec = fine(
        HEAD + "train {\n  step one { loss = [y, t] -> categorical_crossentropy  optimizer = adam }\n}\n"
        "train finetune { epochs = 3 }"
    )
    assert [(s.kind, s.name) for s in spec.sections] == [("train", ""), ("train", "finetune")]
    assert [(s.kind, s.name) for s in spec.sections[0].nested] == [("step", "one")]
    assert spec.sections[1].settings == {"epochs": 3}
    assert spec.sections[1].spans["epochs"].text == "3"


def test_recipes() -> None:
    text = "input image, mask: float[8, 8, 1]\ntrain { augment = [image -> flip(0.3), [image, mask] -> flip * 2] }"
    first, second = fine(text).sections[0].settings["augment"]
    assert (first.names, [s.name for s in first.steps]) == (("image",), ["flip"])
    assert (second.names, [s.name for s in second.steps]) == (("image", "mask"), ["flip", "flip"])


# --- types -----------------------------------------------------------------------------------------------------------


def test_types() -> None:
    spec = fine(
        "input a: float\ninput b: int(10)[T]\ninput c: bool[3]\ntarget d: box(20)[50]\ntarget e: int\ninput f: float[T]"
    )
    assert {n: str(p.type) for n, p in {**spec.inputs, **spec.targets}.items()} == {
        "a": "float32[batch]",
        "b": "int32[batch, T]:indices(10)",
        "c": "bool[batch, 3]",
        "d": "float32[batch, 50, 5]:boxes(20)",
        "e": "int32[batch]",
        "f": "float32[batch, T]",
    }


def test_without_a_reporter_mistakes_are_raised() -> None:

    with pytest.raises(Failed) as caught:
        elaborate(Source("x.dag", "a = b"), VOCABULARY)
    assert [d.code for d in caught.value.diagnostics] == ["E0201"]
    assert elaborate(Source("x.dag", "a = b"), VOCABULARY, reporter=Reporter()).names == {}


# --- tensors made of files -------------------------------------------------------------------------------------------

SOURCES = Registry("source")


@SOURCES.register()
def picture(size: Count = 2) -> np.ndarray:
    """Not read from a file, but made like one."""
    return np.arange(size * size * 3.0).reshape(size, size, 3)


def with_pictures(text: str) -> tuple[Spec, list[str]]:
    vocabulary = Vocabulary({**VOCABULARY.registries, "source": SOURCES}, VOCABULARY.sections)
    reporter = Reporter()
    spec = elaborate(Source("x.dag", text), vocabulary, reporter=reporter)
    return spec, [d.code for d in reporter.diagnostics]


def test_a_picture_is_the_same_for_every_sample() -> None:
    spec, codes = with_pictures(
        "weight canvas: float[2, 2, 3] = picture\ny = canvas - picture(2)\nz = picture() -> flatten"
    )
    assert not codes
    op = spec.graph.node("canvas").op
    assert isinstance(op, Weight)
    assert op.init.sample((2, 2, 3), np.random.default_rng(0)).sum() == 66
    assert (shape(spec, "y"), shape(spec, "z")) == ("float[2, 2, 3]", "float[12]")


def test_a_picture_of_another_size() -> None:
    assert with_pictures("weight canvas: float[4, 4, 3] = picture")[1] == ["E0301"]


def test_files_inside_files_end_somewhere() -> None:
    files = {f"{i}.dag": f'use "{i + 1}.dag"' for i in range(2000)}
    assert [d.code for d in elaborated('use "0.dag"', files=files)[1]] == ["E0403"]


def test_a_metric_is_no_number() -> None:
    _, (diagnostic,) = elaborated(HEAD + "train { metrics = 1 + ([y, t] -> accuracy) }")
    assert diagnostic.message == "`+` needs two numbers, got the number 1 and the metric `accuracy`"


def test_initialisers_are_shown_as_written() -> None:
    layer = fine(VECTOR + "y = x -> dense(3, init=normal(0, deviation=0.1))").graph.node("y/dense_1/kernel").layer
    assert layer is not None
    assert layer.settings == "3, init=normal(mean=0, deviation=0.1)"
