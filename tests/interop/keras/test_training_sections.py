"""What a model was compiled with becomes a train section, or a line that says why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graphdsl.interop import written
from graphdsl.interop.keras import check, read
from graphdsl.interop.keras.training import TAKES
from graphdsl.learn import OPTIMIZERS
from graphdsl.model import Model
from graphdsl.report import Source
from tests.support.keras.imported import Imported, keras_module

DENSE = {"class_name": "Dense", "config": {"name": "d", "units": 3, "activation": "softmax"}}
START = {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, 4]}}


def text(folder: Path, **training: Any) -> str:
    """The spec of a dense layer of three classes that was compiled so."""
    config = {"class_name": "Sequential", "config": [START, DENSE], "compile_config": training, "keras_version": "2"}
    file = folder / "model.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return written(read(file)).text


SGD = {"class_name": "SGD", "config": {"lr": 0.05, "momentum": 0.9, "decay": 0.0, "nesterov": True}}


def test_a_train_section(tmp_path: Path) -> None:
    made = text(tmp_path, optimizer_config=SGD, loss="categorical_crossentropy", metrics=["accuracy", "mae"])
    assert made.partition("target ")[2].splitlines() == [
        "d_target: int(3)",
        "",
        "train {",
        "  # data is not in files of Keras: `data = …` is to be added",
        "  loss      = [d, d_target] -> categorical_crossentropy",
        "  metrics   = [[d, d_target] -> accuracy, [d, d_target] -> mae]",
        "  optimizer = sgd(lr=0.05, momentum=0.9, nesterov=true)",
        "}",
    ]


def test_what_stands_at_its_usual_value_is_not_written(tmp_path: Path) -> None:
    usual = {"class_name": "Adam", "config": {"learning_rate": 0.0010000000474974513, "beta_1": 0.9, "epsilon": 1e-7}}
    assert "optimizer = adam\n" in text(tmp_path, optimizer=usual, loss="mse")


@pytest.mark.parametrize("name", TAKES)
def test_usual_values_are_those_of_our_optimizers(name: str) -> None:
    defaults = {s.name: s.default for s in OPTIMIZERS[name].settings}
    assert {k: defaults[k] or 0 for k in TAKES[name]} == TAKES[name]


UNLIKE = {
    "loss": ({"loss": "poisson"}, "the loss `poisson`"),
    "optimizer": ({"optimizer": "nadam"}, "the optimizer `nadam`"),
    "switch": ({"optimizer": {"class_name": "Adam", "config": {"amsgrad": True}}}, "adam(amsgrad)"),
    "metric": ({"metrics": ["cosine"]}, "the metric `cosine`"),
    "scores": (
        {"loss": {"class_name": "CategoricalCrossentropy", "config": {"from_logits": True}}},
        "categorical_crossentropy of scores, which here wants probabilities",
    ),
    "end": ({"loss": "binary_crossentropy"}, "binary_crossentropy of scores, which here wants probabilities"),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_what_has_no_counterpart_is_told(name: str, tmp_path: Path) -> None:
    other, why = UNLIKE[name]
    made = text(tmp_path, **{"optimizer": "sgd", "loss": "mse"} | other)
    assert "train {" not in made
    assert f"# no train section, since it was compiled with {why}" in made


@pytest.mark.filterwarnings("ignore")
def test_files_of_keras(tmp_path: Path) -> None:
    """Two heads with their own losses and weights; the section is one that our language takes."""
    keras = keras_module()
    x = keras.Input((4,), name="x")
    heads = [keras.layers.Dense(1, "sigmoid", name="yes")(x), keras.layers.Dense(2, name="where")(x)]
    model = keras.Model(x, heads)
    losses = {"yes": "binary_crossentropy", "where": keras.losses.Huber()}
    model.compile(
        keras.optimizers.RMSprop(0.01), losses, loss_weights={"yes": 1.0, "where": 0.5}, metrics={"yes": "acc"}
    )
    for ending in ("keras", "h5"):
        file = tmp_path / f"model.{ending}"
        model.save(file)
        made = written(read(file)).text
        assert "loss      = [[yes, yes_target] -> binary_crossentropy, [where, where_target] -> huber(" in made
        assert "weight=0.5" in made
        assert "[yes, yes_target] -> accuracy" in made
        assert "optimizer = rmsprop(lr=0.01)" in made
        (plan,) = Model(Source("imported.dag", made)).plans
        assert len(plan.objectives[0].terms) == 2
        ours = Imported(file).model
        difference = check(file, None, lambda arrays, ours=ours: ours.predict(dict(arrays)))
        assert difference is not None and difference < 1e-5
        worse = check(file, None, lambda arrays, ours=ours: {n: y + 1 for n, y in ours.predict(dict(arrays)).items()})
        assert worse is not None and worse > 0.1
