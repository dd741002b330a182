"""Running Python files that were written for other tools, beside ours."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.interop.onnx.export_check import random_inputs
from graphdsl.ir import Array, Role
from graphdsl.model import Model
from graphdsl.passes import apply, inference
from graphdsl.runtime import Compiled


def feeds_and_outputs(model: Model) -> tuple[list[Array], list[Array]]:
    """Random inputs, all sequences of one length, and what we make of them."""
    graph = model.graph.with_results(model.graph.of_role(Role.OUTPUT))
    feeds = random_inputs(graph)
    lengths = [name for name in feeds if name.startswith("lengths/")]
    for name in lengths:
        feeds[name] = np.full_like(feeds[name], feeds[name].max())
    ours = Compiled(apply(graph, inference()), model.executor).run(feeds)
    return [array for name, array in feeds.items() if name not in lengths], list(ours.values())


def apart(ours: Array, theirs: Array) -> float:
    """The largest difference, divided by the largest number."""
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max()) / float(np.abs(ours).max() or 1)


def loaded(path: Path) -> Any:
    """A Python file as a module."""
    spec = importlib.util.spec_from_file_location("written", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
