"""The node tests that the package onnx publishes: each a model of one node, its inputs and what they must give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.interop.onnx import imported, load
from graphdsl.report import Failed
from tests.support.onnx_models import run_imported
from tests.support.shared import DATA

FOLDER = DATA / "conformance" / "onnx_node"

SETTINGS = {
    **dict.fromkeys(["Conv", "ConvTranspose", "LSTM", "GRU", "RNN", "BatchNormalization", "InstanceNormalization"], 1),
    **dict.fromkeys(
        ["LayerNormalization", "GroupNormalization", "Reshape", "Expand", "Tile", "Pad", "Slice", "Split"], 1
    ),
    **dict.fromkeys(
        ["Squeeze", "Unsqueeze", "Clip", "Dropout", "CumSum", "DFT", "Resize", "Upsample", "TopK", "Col2Im"], 1
    ),
    **dict.fromkeys(["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2"], 1),
    **dict.fromkeys(["ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare", "OneHot", "Gather", "GatherND"], 1),
    **dict.fromkeys(["GatherElements", "NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"], 2),
    "GatherElements": 1,
    "MaxUnpool": 2,
    "RoiAlign": 2,
    "STFT": 1,
}
"""From which input on a node's inputs are weights and settings (kernels, shapes, axes), known when a spec is built.
The tests feed them like data; here they are made constants of the model. What flows through stays an input."""


@dataclass(frozen=True)
class Outcome:
    """passed, or why not. told: it was refused by name (E0901), so it is out of what the language says."""

    name: str
    passed: bool
    told: bool = False
    why: str = ""


def names() -> list[str]:
    """All folders."""
    return sorted(p.name for p in FOLDER.iterdir() if p.is_dir())


def outcome(name: str, scratch: Path) -> Outcome:
    """Imports the model of a folder, runs it on the reference backend and compares all of its outputs."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(FOLDER / name / "model.onnx")
    data = FOLDER / name / "test_data_set_0"
    feeds = {}
    for index, info in enumerate(model.graph.input):
        feeds[info.name] = _tensor(data / f"input_{index}.pb")
    wanted = {info.name: _tensor(data / f"output_{k}.pb") for k, info in enumerate(model.graph.output)}
    fixed = {n for node in model.graph.node for n in _settings(node) if n}
    for name_ in fixed:
        model.graph.initializer.append(numpy_helper.from_array(feeds[name_], name_))
    _sized(model, feeds)
    path = scratch / "model.onnx"
    path.write_bytes(model.SerializeToString())
    try:
        made = run_imported(imported(load(path)), feeds)
    except Failed as failed:
        first = failed.diagnostics[0]
        return Outcome(name, False, first.code == "E0901", f"{first.code} {first.message}")
    for key, array in wanted.items():
        if not _equal(made[key], array):
            return Outcome(name, False, False, f"`{key}` differs")
    return Outcome(name, True)


def _settings(node: Any) -> list[str]:
    """The inputs of a node that are weights and settings."""
    if node.op_type == "ScatterElements":
        return [node.input[1]]
    return list(node.input[SETTINGS.get(node.op_type, len(node.input)) :])


def _tensor(path: Path) -> np.ndarray:
    from onnx import TensorProto, numpy_helper

    proto = TensorProto()
    proto.ParseFromString(path.read_bytes())
    return np.asarray(numpy_helper.to_array(proto))


def _sized(model: Any, feeds: dict[str, np.ndarray]) -> None:
    """Some models leave sizes open that their data know."""
    for info in model.graph.input:
        shape = info.type.tensor_type.shape
        for dim, size in zip(shape.dim, feeds[info.name].shape, strict=False):
            dim.dim_value = size


def _equal(ours: np.ndarray, wanted: np.ndarray) -> bool:
    return ours.shape == wanted.shape and bool(
        np.allclose(ours.astype(np.float64), wanted.astype(np.float64), 1e-3, 1e-5)
    )
