"""Specs as PyTorch source code: the file is run, filled with exported weights, and compared with ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphdsl.interop.source import pytorch
from graphdsl.model import Model
from graphdsl.ops import FORMULAS
from graphdsl.report import Failed
from tests.support.small_specs import LAYERS, TEXTS, model_of
from tests.support.written import apart, feeds_and_outputs, loaded

torch = pytest.importorskip("torch")

EQUAL = 1e-4


def difference(model: Model, folder: Path) -> float:
    """How far the outputs are apart, divided by the largest."""
    written = folder / "written.py"
    written.write_text(pytorch(model.graph, "net", "net.dag"), encoding="utf-8")
    module = loaded(written)
    theirs = module.load(module.Net(), model.save(folder / "weights.safetensors")).eval()
    feeds, ours = feeds_and_outputs(model)
    with torch.no_grad():
        found = theirs(*map(torch.from_numpy, feeds))
    outputs = found if isinstance(found, tuple) else (found,)
    return max(apart(a, b.numpy()) for a, b in zip(ours, outputs, strict=True))


@pytest.mark.parametrize(("type", "pipe"), LAYERS)
def test_every_layer(type: str, pipe: str, tmp_path: Path) -> None:
    assert difference(model_of(f"input x: {type}\noutput y = x -> {pipe}"), tmp_path) < EQUAL


def test_what_pytorch_cannot_say() -> None:
    with pytest.raises(Failed, match=r"E0901.*PyTorch has no such thing: the places of what it chose"):
        pytorch(model_of(TEXTS["places"]).graph, "net", "net.dag")


@pytest.mark.parametrize("text", [text for name, text in TEXTS.items() if name != "places"])
def test_every_shape_of_graph(text: str, tmp_path: Path) -> None:
    assert difference(model_of(text), tmp_path) < EQUAL


@pytest.mark.parametrize(
    "name", [n for n, formula in FORMULAS.items() if formula.arity == 1 and n not in ("power", "acosh")]
)
def test_every_formula(name: str, tmp_path: Path) -> None:
    text = f"input x: float[40]\noutput y = x -> sigmoid -> {name}"
    assert difference(model_of(text), tmp_path) < EQUAL
