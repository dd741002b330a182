"""Small ONNX models, and what they give after an import: for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.backends import backend
from graphdsl.interop import written
from graphdsl.interop.onnx import Imported, imported, load
from graphdsl.ir import Array, Graph, Role, Symbolic
from graphdsl.lang import Vocabulary, elaborate
from graphdsl.passes import apply, inference
from graphdsl.report import Source
from graphdsl.runtime import Compiled, Executor


def save(
    path: Path,
    nodes: list[Any],
    inputs: Mapping[str, tuple[Any, ...]],
    outputs: list[str],
    constants: Mapping[str, Array] | None = None,
    opset: int = 17,
    types: Mapping[str, int] | None = None,
) -> Path:
    """A file with these nodes. inputs: name → shape; types: of those tensors that are not float32."""
    from onnx import TensorProto, helper, numpy_helper

    known = types or {}
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(n, known.get(n, TensorProto.FLOAT), s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, known.get(n, TensorProto.FLOAT), None) for n in outputs],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def run(path: Path, feeds: Mapping[str, Array], device: str = "reference") -> dict[str, Array]:
    """The outputs of an imported file, by ONNX's names and in ONNX's order of axes."""
    return run_imported(imported(load(path)), feeds, device)


def run_imported(made: Imported, feeds: Mapping[str, Array], device: str = "reference") -> dict[str, Array]:
    """The same, of what was imported already."""
    return Ready(made, device)(feeds)


class Ready:
    """What was imported, elaborated from its text and with its weights: ONNX's arrays in, ONNX's arrays out."""

    def __init__(self, made: Imported, device: str) -> None:
        spec = written(made.net)
        graph = elaborate(Source("imported.dag", spec.text), Vocabulary.of()).graph
        self.made = made
        self.text, self.weights = spec.text, spec.weights
        self.graph = graph.with_results(graph.of_role(Role.OUTPUT))
        executor = Executor(backend(device))
        self.compiled = Compiled(apply(self.graph, inference()), executor)
        for name, array in spec.weights.items():
            executor.weights[name] = array

    def __call__(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        made = self.made
        given = {f.ours: made.to_ours(f.name, np.asarray(feeds[f.name])) for f in made.inputs}
        ours = self.compiled.run(given | lengths(self.graph, given))
        return {f.name: made.to_theirs(f.name, ours[f.ours]) for f in made.outputs}


def lengths(graph: Graph, given: Mapping[str, Array]) -> dict[str, Array]:
    """For every free size, that all steps are real."""
    found = {}
    for name, array in given.items():
        for size, dim in zip(array.shape[1:], graph.node(name).types[0].shape[1:], strict=True):
            if isinstance(dim, Symbolic):
                found[f"lengths/{dim}"] = np.full(len(array), size, np.int32)
    return found
