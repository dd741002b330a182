"""Specs as PyTorch source code: the file is run, filled with exported weights, and compared with ours."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphdsl.interop.onnx.export_check import random_inputs
from graphdsl.interop.source import pytorch
from graphdsl.ir import Role
from graphdsl.model import Model
from graphdsl.ops import FORMULAS
from graphdsl.passes import apply, inference
from graphdsl.runtime import Compiled
from tests.support.small_specs import LAYERS, TEXTS, model_of

torch = pytest.importorskip("torch")

EQUAL = 1e-4


def difference(model: Model, folder: Path) -> float:
    """How far the outputs are apart, divided by the largest."""
    written = folder / "written.py"
    written.write_text(pytorch(model.graph, "net", "net.dag"), encoding="utf-8")
    module = loaded(written)
    theirs = module.load(module.Net(), model.save(folder / "weights.safetensors")).eval()
    graph = model.graph.with_results(model.graph.of_role(Role.OUTPUT))
    feeds = random_inputs(graph)
    for name in (n for n in feeds if n.startswith("lengths/")):
        feeds[name] = np.full_like(feeds[name], feeds[name].max())
    ours = Compiled(apply(graph, inference()), model.executor).run(feeds)
    with torch.no_grad():
        found = theirs(*(torch.from_numpy(a) for name, a in feeds.items() if not name.startswith("lengths/")))
    outputs = found if isinstance(found, tuple) else (found,)
    return max(apart(a, b.numpy()) for a, b in zip(ours.values(), outputs, strict=True))


def apart(ours: Any, theirs: Any) -> float:
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max()) / float(np.abs(ours).max() or 1)


def loaded(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("written", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("type", "pipe"), LAYERS)
def test_every_layer(type: str, pipe: str, tmp_path: Path) -> None:
    assert difference(model_of(f"input x: {type}\noutput y = x -> {pipe}"), tmp_path) < EQUAL


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_shape_of_graph(text: str, tmp_path: Path) -> None:
    assert difference(model_of(text), tmp_path) < EQUAL


@pytest.mark.parametrize(
    "name", [n for n, formula in FORMULAS.items() if formula.arity == 1 and n not in ("power", "acosh")]
)
def test_every_formula(name: str, tmp_path: Path) -> None:
    text = f"input x: float[40]\noutput y = x -> sigmoid -> {name}"
    assert difference(model_of(text), tmp_path) < EQUAL
