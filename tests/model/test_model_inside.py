"""A trained spec as a layer of another: what it gives, what stays as it is, what learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphdsl

BODY = """input x: float[4]
target t: int(3)
block unit(c) = in -> dense(c) -> batch_norm -> relu
stem     = x -> unit(8)
features = stem -> unit(6) * 2 -> dropout(0.5)
output y = features -> dense(3) -> softmax
train { loss = [y, t] -> categorical_crossentropy  optimizer = adam(lr=0.05)  epochs = 3 }
"""
HEAD = """input x: float[4]
target t: int(2)
body = x -> model("body.dag", weights="body.safetensors", %s)
output z = body -> dense(2) -> softmax
train first { loss = [z, t] -> categorical_crossentropy  %s  epochs = 2 }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A body that has learned something, with its weights beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "body.dag").write_text(BODY)
    model = graphdsl.compile("body.dag")
    x, t = samples(3)
    model.fit(x, t, runs=None, shown=False)
    model.save("body.safetensors")
    return tmp_path


def samples(classes: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(5).normal(size=(64, 4)).astype(np.float32)
    return x, x[:, :classes].argmax(1)


def body() -> graphdsl.Model:
    model = graphdsl.compile("body.dag")
    model.load("body.safetensors")
    return model


def head(options: str, section: str = "") -> graphdsl.Model:
    Path("head.dag").write_text(HEAD % (options, section))
    return graphdsl.compile("head.dag")


def changed(model: graphdsl.Model) -> set[str]:
    """The names of weights that training changes."""
    before = dict(model.executor.weights)
    model.fit(*samples(2), runs=None, shown=False)
    after: dict[str, Any] = dict(model.executor.weights)
    return {name for name, array in before.items() if not np.array_equal(array, after[name])}


def learned(names: set[str]) -> set[str]:
    """Those of names that are no running averages."""
    return {name for name in names if not name.endswith(("/mean", "/variance"))}


def test_the_cut_gives_what_the_layer_gave(folder: Path) -> None:
    x, _ = samples(3)
    for layer in ("stem", "features"):
        assert np.allclose(head(f"upto={layer}").features("body", x), body().features(layer, x), atol=1e-6)


def test_several_cuts(folder: Path) -> None:
    text = """input x: float[4]
a, b = x -> model("body.dag", weights="body.safetensors", outputs=[stem, features])
output both = [a, b] -> concat
"""
    (folder / "two.dag").write_text(text)
    x, _ = samples(3)
    expected = np.concatenate([body().features("stem", x), body().features("features", x)], axis=1)
    assert np.allclose(graphdsl.compile("two.dag").predict(x)["both"], expected, atol=1e-6)


def test_a_frozen_body_stays_as_it_is(folder: Path) -> None:
    """Its averages too, and it drops nothing out while the head learns."""
    model = head("upto=features, freeze=true")
    assert changed(model) == {"z/dense_1/kernel", "z/dense_1/bias"}
    x, _ = samples(2)
    assert np.allclose(model.features("body", x), body().features("features", x), atol=1e-6)


def test_the_head_alone_by_a_section(folder: Path) -> None:
    """Without `freeze`, averages go on: the body behaves as in training."""
    names = changed(head("upto=features", "learn = z"))
    assert learned(names) == {"z/dense_1/kernel", "z/dense_1/bias"}


def test_the_last_blocks_by_the_beginning_of_their_names(folder: Path) -> None:
    names = changed(head("upto=features", 'learn = [z, "body/model_1/features/unit_2"]'))
    layers = {n.rpartition("/")[0] for n in learned(names)}
    assert layers == {"z/dense_1", "body/model_1/features/unit_2/dense_1", "body/model_1/features/unit_2/batch_norm_1"}


def test_rates_of_a_body(folder: Path) -> None:
    names = changed(head("upto=features", 'rates = [["body/model_1/stem", 0], [body, 0]]'))
    assert learned(names) == {"z/dense_1/kernel", "z/dense_1/bias"}
