"""Specs as Keras source code: the file is run, filled with exported weights, and compared with ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from graphdsl.interop.source import keras as keras_source
from graphdsl.model import Model
from graphdsl.ops import FORMULAS
from graphdsl.report import Failed
from tests.support.small_specs import LAYERS, TEXTS, model_of
from tests.support.written import apart, feeds_and_outputs, loaded

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("torch")
keras = pytest.importorskip("keras")

pytestmark = pytest.mark.filterwarnings("ignore")
"""Of Keras itself, about NumPy."""

LACKING = {"weights", "used as it is, too", "places", "wide values", "free positions"}
"""A weight flows into a layer for every sample; places of maxima; what its attention and slices cannot do: refused."""

EQUAL = 1e-4


def difference(model: Model, folder: Path) -> float:
    """How far the outputs are apart, divided by the largest."""
    written = folder / "written.py"
    written.write_text(keras_source(model.graph, "net", "net.dag"), encoding="utf-8")
    module = loaded(written)
    theirs = module.load(module.build(), model.save(folder / "weights.safetensors"))
    feeds, ours = feeds_and_outputs(model)
    found = theirs(feeds, training=False)
    outputs = found if isinstance(found, list | tuple) else [found]
    return max(apart(a, keras.ops.convert_to_numpy(b)) for a, b in zip(ours, outputs, strict=True))


REFUSED = {
    "conv(6, 3x2, stride=2x1, pad=same, dilation=1x2, groups=2, bias=false)": "a stride together with a dilation",
    "conv_transpose(6, 3, stride=2, pad=1, output_pad=1, groups=2)": "groups or a dilation",
}
"""What Keras has no layer for."""


@pytest.mark.parametrize("pipe", REFUSED)
def test_what_keras_cannot_say(pipe: str) -> None:
    model = model_of(f"input x: float[9, 7, 4]\noutput y = x -> {pipe}")
    with pytest.raises(Failed, match=f"E0901.*cannot be expressed: Keras has no such thing: {REFUSED[pipe]}"):
        keras_source(model.graph, "net", "net.dag")


@pytest.mark.parametrize(("type", "pipe"), [layer for layer in LAYERS if layer[1] not in REFUSED])
def test_every_layer(type: str, pipe: str, tmp_path: Path) -> None:
    assert difference(model_of(f"input x: {type}\noutput y = x -> {pipe}"), tmp_path) < EQUAL


@pytest.mark.parametrize("name", sorted(LACKING))
def test_what_keras_lacks(name: str) -> None:
    with pytest.raises(Failed, match=r"E0901.*Keras has no such thing"):
        keras_source(model_of(TEXTS[name]).graph, "net", "net.dag")


@pytest.mark.parametrize("text", [t for n, t in TEXTS.items() if n not in LACKING])
def test_every_shape_of_graph(text: str, tmp_path: Path) -> None:
    assert difference(model_of(text), tmp_path) < EQUAL


@pytest.mark.parametrize(
    "name", [n for n, formula in FORMULAS.items() if formula.arity == 1 and n not in ("power", "acosh")]
)
def test_every_formula(name: str, tmp_path: Path) -> None:
    text = f"input x: float[40]\noutput y = x -> sigmoid -> {name}"
    assert difference(model_of(text), tmp_path) < EQUAL
