"""Operator by operator against onnxruntime: a node between an input and an output, its other inputs constant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphdsl.interop.onnx import imported, load
from graphdsl.ir import Array
from tests.support.onnx_models import run_imported, save

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

EQUAL = 2e-5
"""Of the range."""


INT64, UINT8 = onnx.TensorProto.INT64, onnx.TensorProto.UINT8
TYPES = {"TopK": {"y1": INT64}, "ArgMax": {"y0": INT64}, "ArgMin": {"y0": INT64}, "QuantizeLinear": {"y0": UINT8}}
"""Of outputs that are no floats."""


def numbers(*shape: int, seed: int = 1, low: float = -2.0, high: float = 2.0) -> Array:
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def whole(*values: int) -> Array:
    return np.asarray(values, np.int64)


P, R, S = (2, 3, 6, 5), (2, 6), (2, 4, 3)
W4, W3 = numbers(1, 12, 3), numbers(1, 12, 3, seed=2)
CASES: list[tuple[str, tuple[tuple[int, ...], ...], dict[str, Any], list[Array | None]]] = [
    *((op, (R,), {}, []) for op in ("Abs", "Acosh", "Asinh", "Atan", "Ceil", "Cos", "Cosh", "Erf", "Exp", "Floor")),
    *((op, (R,), {}, []) for op in ("Neg", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Sinh")),
    *((op, (R,), {}, []) for op in ("Softplus", "Softsign", "Tan", "Tanh", "HardSwish", "Mish")),
    *((op, (R,), {}, []) for op in ("Identity", "Elu", "Selu", "Celu")),
    ("LeakyRelu", (R,), {"alpha": 0.2}, []),
    ("Elu", (R,), {"alpha": 0.5}, []),
    ("Selu", (R,), {"alpha": 1.1, "gamma": 2.0}, []),
    ("HardSigmoid", (R,), {}, []),
    ("ThresholdedRelu", (R,), {"alpha": 0.5}, []),
    ("Shrink", (R,), {"lambd": 0.5, "bias": 0.3}, []),
    ("Clip", (R,), {}, [np.float32(-1), np.float32(0.5)]),
    ("Clip", (R,), {}, [np.float32(0), np.float32(6)]),
    ("Add", (R, R), {}, []),
    ("Add", (P, P), {}, []),
    ("Sub", (P,), {}, [numbers(3, 1, 1)]),
    ("Div", (P,), {}, [numbers(6, 5, low=1)]),
    ("Mul", ((2, 3, 6, 5), (2, 3, 1, 1)), {}, []),
    ("Pow", (R,), {}, [np.float32(3)]),
    ("Mod", (R,), {"fmod": 1}, [np.float32(0.7)]),
    ("PRelu", (P,), {}, [numbers(3, 1, 1)]),
    ("PRelu", (P,), {}, [numbers(1, 1, 1)]),
    ("Max", (R, R, R), {}, []),
    ("Mean", (R, R), {}, []),
    ("Concat", (P, P), {"axis": 2}, []),
    ("Slice", (P,), {}, [whole(1, -3), whole(3, 100), whole(1, 3), whole(1, 2)]),
    ("Slice", (P,), {}, [whole(-1), whole(-100), whole(2), whole(-1)]),
    ("Gather", (P,), {"axis": 2}, [whole(0, 5, 5)]),
    ("Gather", (P,), {"axis": 1}, [np.asarray(2)]),
    ("Pad", (P,), {}, [whole(0, 0, 1, 2, 0, 0, 0, 3)]),
    ("Pad", (P,), {"mode": "reflect"}, [whole(0, 0, 1, 2, 0, 0, 0, 3)]),
    ("Pad", (P,), {"mode": "edge"}, [whole(0, 1, 0, 0, 0, 0, 0, 0)]),
    ("Pad", (P,), {}, [whole(0, 0, -1, 2, 0, 0, 0, -1), np.float32(1.5)]),
    ("Tile", (P,), {}, [whole(1, 2, 1, 3)]),
    ("Expand", ((2, 1, 4),), {}, [whole(2, 3, 4)]),
    ("Reshape", (P,), {}, [whole(0, 6, -1)]),
    ("Flatten", (P,), {}, []),
    ("Squeeze", ((2, 1, 4),), {}, [whole(1)]),
    ("Unsqueeze", (R,), {}, [whole(1, 3)]),
    ("Transpose", (P,), {"perm": [0, 2, 3, 1]}, []),
    ("DepthToSpace", ((2, 12, 2, 3),), {"blocksize": 2, "mode": "DCR"}, []),
    ("DepthToSpace", ((2, 12, 2, 3),), {"blocksize": 2, "mode": "CRD"}, []),
    ("SpaceToDepth", ((2, 3, 4, 6),), {"blocksize": 2}, []),
    ("ReduceSum", (P,), {}, [whole(1, 3)]),
    ("ReduceMean", (P,), {"axes": [2, 3]}, []),
    ("ReduceMax", (P,), {"axes": [1], "keepdims": 0}, []),
    ("ReduceMin", (P,), {"axes": [-1]}, []),
    ("ReduceProd", (P,), {"axes": [2]}, []),
    ("ReduceL1", (P,), {"axes": [1, 2]}, []),
    ("ReduceL2", (P,), {"axes": [3]}, []),
    ("ReduceLogSumExp", (P,), {"axes": [1]}, []),
    ("ReduceSumSquare", (P,), {"axes": [1]}, []),
    ("ArgMax", (P,), {"axis": 1, "keepdims": 0}, []),
    ("ArgMin", (P,), {"axis": 3}, []),
    ("TopK", (R,), {}, [whole(3)]),
    ("CumSum", (P,), {"reverse": 1}, [np.asarray(2)]),
    ("Softmax", (P,), {"axis": 1}, []),
    ("Softmax", (R,), {}, []),
    ("LogSoftmax", (S,), {"axis": 2}, []),
    ("Hardmax", (S,), {"axis": 1}, []),
    ("LpNormalization", (P,), {"axis": 1}, []),
    ("LRN", (P,), {"size": 3, "alpha": 0.1}, []),
    ("InstanceNormalization", (P,), {}, [numbers(3), numbers(3, seed=2)]),
    ("LayerNormalization", (S,), {}, [numbers(3), numbers(3, seed=2)]),
    ("LayerNormalization", (P,), {"axis": 1}, [numbers(3, 6, 5), numbers(3, 6, 5, seed=2)]),
    ("MeanVarianceNormalization", (P,), {"axes": [2, 3]}, []),
    ("MaxPool", (P,), {"kernel_shape": [2, 2], "dilations": [2, 2]}, []),
    ("MaxPool", (P,), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, []),
    ("MaxPool", (P,), {"kernel_shape": [3, 3], "pads": [0, 1, 2, 0]}, []),
    ("AveragePool", (P,), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}, []),
    ("AveragePool", (P,), {"kernel_shape": [2, 3], "auto_pad": "SAME_LOWER"}, []),
    ("MaxPool", ((1, 2, 4, 5, 6),), {"kernel_shape": [2, 3, 2], "strides": [1, 2, 2]}, []),
    ("LpPool", (P,), {"kernel_shape": [2, 2], "p": 3}, []),
    ("GlobalMaxPool", (P,), {}, []),
    ("Conv", (S,), {}, [numbers(5, 4, 2)]),
    ("Conv", ((2, 4, 6, 5),), {"group": 2, "dilations": [2, 1]}, [numbers(6, 2, 2, 2), numbers(6)]),
    ("ConvTranspose", (P,), {"strides": [2, 2], "pads": [0, 1, 1, 0]}, [numbers(3, 2, 3, 3), numbers(2)]),
    ("ConvTranspose", (P,), {"strides": [2, 2], "output_shape": [12, 11]}, [numbers(3, 2, 3, 3)]),
    ("MatMul", (S,), {}, [numbers(3, 5)]),
    ("MatMul", (P,), {}, [numbers(5, 4)]),
    ("MatMul", (S, (2, 3, 5)), {}, []),
    ("Gemm", (R,), {"alpha": 0.5, "beta": 2.0, "transB": 1}, [numbers(4, 6), numbers(4)]),
    ("Einsum", (S, S), {"equation": "bij,bkj->bik"}, []),
    ("Einsum", (S,), {"equation": "bij,jk->bik"}, [numbers(3, 5)]),
    ("Resize", (P,), {"mode": "cubic"}, [None, None, whole(2, 3, 9, 8)]),
    ("Resize", (P,), {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
     [None, None, whole(2, 3, 9, 8)]),
    ("Resize", (P,), {"mode": "nearest", "nearest_mode": "ceil"}, [None, np.float32([1, 1, 1.5, 1.5])]),
    ("LSTM", ((4, 2, 3),), {"hidden_size": 3}, [W4, W3, numbers(1, 24)]),
    ("LSTM", ((4, 2, 3),), {"hidden_size": 3, "direction": "reverse"}, [W4, W3]),
    ("LSTM", ((4, 2, 3),), {"hidden_size": 3, "direction": "bidirectional"},
     [numbers(2, 12, 3), numbers(2, 12, 3, seed=2), numbers(2, 24)]),
    ("GRU", ((4, 2, 3),), {"hidden_size": 3, "linear_before_reset": 1},
     [numbers(1, 9, 3), numbers(1, 9, 3), numbers(1, 18)]),
    ("GRU", ((4, 2, 3),), {"hidden_size": 3}, [numbers(1, 9, 3), numbers(1, 9, 3, seed=2), numbers(1, 18)]),
    ("GRU", ((4, 2, 3),), {"hidden_size": 3, "activations": ["HardSigmoid", "Softsign"]},
     [numbers(1, 9, 3), numbers(1, 9, 3, seed=2), numbers(1, 18)]),
    ("RNN", ((4, 2, 3),), {"hidden_size": 3, "activations": ["Relu"], "direction": "reverse"},
     [numbers(1, 3, 3), numbers(1, 3, 3, seed=2), numbers(1, 6)]),
    ("GridSample", ((1, 2, 4, 5), (1, 3, 3, 2)), {"align_corners": 1, "padding_mode": "reflection"}, []),
    ("QuantizeLinear", (R,), {}, [np.float32(0.02), np.uint8(100)]),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[f"{case[0]}-{k}" for k, case in enumerate(CASES)])
def test_an_operator_says_the_same_as_onnxruntime(case: Any, tmp_path: Path) -> None:
    op, shapes, settings, rest = case
    results = {"TopK": 2, "LSTM": 2, "GRU": 2, "RNN": 2}.get(op, 1)
    inputs = {f"x{i}": shape for i, shape in enumerate(shapes)}
    constants = {f"c{i}": a for i, a in enumerate(rest) if a is not None}
    given = [*inputs, *(f"c{i}" if a is not None else "" for i, a in enumerate(rest))]
    outputs = [f"y{i}" for i in range(results)]
    opset = 18 if op in ("Mish", "LpPool", "Resize") else 17
    node = onnx.helper.make_node(op, given, outputs, **settings)
    path = save(tmp_path / "m.onnx", [node], inputs, outputs, constants, opset, TYPES.get(op))
    low, high = (1.05, 3.0) if op == "Acosh" else (0.1, 1.5) if op in ("Tan", "Reciprocal") else (-2.0, 2.0)
    feeds = {n: numbers(*shape, seed=7 + i, low=low, high=high) for i, (n, shape) in enumerate(inputs.items())}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    wanted = dict(zip(outputs, session.run(outputs, feeds), strict=True))
    got = run_imported(imported(load(path)), feeds)
    for name, array in wanted.items():
        assert got[name].shape == array.shape
        difference = np.abs(got[name].astype(np.float64) - array.astype(np.float64)).max()
        assert difference <= EQUAL * max(np.ptp(array.astype(np.float64)), 1)
