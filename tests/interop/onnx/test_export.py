"""Specs as ONNX files: checked by the `onnx` package, run by onnxruntime, equal to ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphdsl.backends import backend
from graphdsl.interop.onnx import difference, export, exported
from graphdsl.interop.onnx.export_rules import RULES
from graphdsl.ir import Builder, Constant, DType, Operator, Role, Sample, TensorType
from graphdsl.model import Model
from graphdsl.ops import FORMULAS, Elementwise, Gru, Lstm, Nms, Standardize, TopPlaces
from graphdsl.passes import apply, inference
from graphdsl.report import Failed
from graphdsl.runtime import Compiled, Executor
from tests.support.small_specs import LAYERS, TEXTS, model_of

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

EQUAL = 1e-5
"""Of the largest output: both compute in float32."""


def apart(model: Model, folder: Path, *, nchw: bool = False) -> float:
    """How far onnxruntime is from us."""
    path = export(exported(model.graph, model.executor.weights, nchw=nchw), folder / "model.onnx")
    found = difference(path, model.graph, model.executor, nchw=nchw)
    assert found is not None
    return found


@pytest.mark.parametrize(("type", "pipe"), LAYERS)
def test_every_layer(type: str, pipe: str, tmp_path: Path) -> None:
    assert apart(model_of(f"input x: {type}\noutput y = x -> {pipe}"), tmp_path) < EQUAL


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_shape_of_graph(text: str, tmp_path: Path) -> None:
    assert apart(model_of(text), tmp_path) < EQUAL


@pytest.mark.parametrize("name", FORMULAS)
def test_every_formula(name: str, tmp_path: Path) -> None:
    for sample in FORMULAS[name].samples():
        assert of_sample(sample, tmp_path) < EQUAL, sample.operator


@pytest.mark.parametrize("operator", [op for op in RULES if op is not Elementwise], ids=lambda op: op.name)
def test_every_operator_with_a_rule(operator: type[Operator], tmp_path: Path) -> None:
    """On the samples that the conformance suite has for it."""
    samples = [s for s in operator.samples() if not unsaid(s.operator)]
    assert samples
    for sample in samples:
        assert of_sample(sample, tmp_path) < EQUAL, sample.operator


@pytest.mark.parametrize("operator", [Standardize], ids=lambda op: op.name)
def test_what_cannot_be_said_of_an_operator(operator: type[Operator], tmp_path: Path) -> None:
    found = [s for s in operator.samples() if unsaid(s.operator)]
    assert found
    for sample in found:
        with pytest.raises(Failed, match="E0901"):
            of_sample(sample, tmp_path)


def unsaid(op: Operator) -> bool:
    """What only passes make, for training or with fewer results; the last of equal numbers, several of them; and soft
    suppression, which is refused."""
    several = isinstance(op, TopPlaces) and op.last and op.count > 1
    stepped = isinstance(op, Standardize) and bool(op.steps)
    soft = isinstance(op, Nms) and op.soft is not None
    return several or stepped or soft or (isinstance(op, Lstm | Gru) and op.gives != (0, 1, 2, 3))


def of_sample(sample: Sample, folder: Path) -> float:
    """How far onnxruntime is from our reference. Formulas read inputs; elsewhere floats are stored, but the first."""
    b, feeds, operands = Builder(), {}, []
    arrays = [a.astype(np.float32) if a.dtype == np.float64 else a for a in sample.arrays]
    for i, array in enumerate(arrays):
        fed = i == 0 or not np.issubdtype(array.dtype, np.floating) or isinstance(sample.operator, Elementwise)
        if fed:
            feeds[f"x{i}"] = array
            operands.append(b.input(f"x{i}", TensorType(array.shape, DType(array.dtype.name))))
        else:
            operands.append(b.emit(Constant.array(array), name=f"x{i}"))
    results = b.emit_all(sample.operator, *operands)
    b.result("y", Role.OUTPUT, results[0])
    graph = b.finish()
    ours = Compiled(apply(graph, inference()), Executor(backend("reference"))).run(feeds)["y"]
    path = export(exported(graph, {}), folder / "model.onnx")
    session = onnxruntime.InferenceSession(path)
    (theirs,) = session.run(["y"], {node.name: feeds[node.name] for node in session.get_inputs()})
    assert theirs.dtype == ours.dtype and theirs.shape == ours.shape
    known = ~np.isnan(ours)
    assert np.array_equal(known, ~np.isnan(theirs))
    apart = np.abs(ours[known] - theirs[known])
    return float(apart.max(initial=0)) / (float(np.abs(ours[known]).max(initial=0)) or 1.0)
