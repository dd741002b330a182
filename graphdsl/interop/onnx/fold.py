"""What does not depend on the input is worked out now: shapes, masks, tables of positions."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from graphdsl.interop.onnx.model import Step, demand_onnx
from graphdsl.ir import Array
from graphdsl.report import fail

MOST_NUMBERS = 1 << 26
"""How many numbers a folded constant may hold: a short file must not ask for all memory."""

FOLDED = frozenset({
    "Abs", "Acos", "Add", "And", "ArgMax", "ArgMin", "Atan", "BitShift", "Cast", "CastLike", "Ceil", "Clip",
    "Compress", "Concat", "Constant", "ConstantOfShape", "Cos", "DequantizeLinear",
    "CumSum", "Div", "Equal", "Erf", "Exp", "Expand",
    "EyeLike", "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Greater", "GreaterOrEqual", "Identity",
    "Less", "LessOrEqual", "Log", "MatMul", "Max", "Mean", "Min", "Mod", "Mul", "Neg", "NonZero", "Not", "OneHot",
    "Or", "Pad", "Pow", "Range", "Reciprocal", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "Reshape", "Round", "ScatterElements", "ScatterND", "Shape", "Sigmoid", "Sign", "Sin", "Size",
    "Slice", "Softmax", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Tile", "TopK", "Transpose", "Trilu",
    "Unsqueeze", "Where", "Xor",
})  # fmt: skip
"""Operators without chance and without graphs inside, that onnx's own reference works out."""


def folded(step: Step, inputs: Sequence[Array | None], opset: int) -> tuple[Array, ...]:
    """The results of a step whose inputs are all known. Raises E0902 where they cannot be or would be too large."""
    _demand_small(step, inputs)
    if step.op == "Constant":
        return (_constant(step),)
    onnx = demand_onnx()
    from onnx.reference import ReferenceEvaluator

    names = [f"i{k}" if a is not None else "" for k, a in enumerate(inputs)]
    outputs = [f"o{k}" for k in range(len(step.outputs))]
    given = {k: _plain(onnx, v) for k, v in step.attributes.items()}
    node = onnx.helper.make_node(step.op, names, outputs, **given)
    infos = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.UNDEFINED, None) for n in (*names, *outputs)]
    known = [i for i in infos if i.name in names and i.name]
    graph = onnx.helper.make_graph([node], "fold", known, infos[len(names) :])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    with np.errstate(all="ignore"):
        made = ReferenceEvaluator(model).run(None, {n: a for n, a in zip(names, inputs, strict=True) if a is not None})
    return tuple(np.asarray(a) for a in made)


def _plain(onnx: object, value: object) -> object:
    from onnx import numpy_helper

    return numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value


def _constant(step: Step) -> Array:
    for kind, dtype in (
        ("value_float", "float32"),
        ("value_floats", "float32"),
        ("value_int", "int64"),
        ("value_ints", "int64"),
    ):
        if kind in step.attributes:
            return np.asarray(step.attributes[kind], dtype)
    return np.asarray(step.attributes["value"])


def _demand_small(step: Step, inputs: Sequence[Array | None]) -> None:
    """Of the operators that make much of little, what they would make."""
    first, second = (*inputs, None, None)[:2]
    count = sum(a.size for a in inputs if a is not None)
    match step.op:
        case "ConstantOfShape" if first is not None:
            count = prod(int(n) for n in first)
        case "Expand" if first is not None and second is not None:
            count = first.size * prod(max(int(n), 1) for n in second)
        case "Tile" if first is not None and second is not None:
            count = first.size * prod(int(n) for n in second)
        case "Range" if inputs[2] is not None and first is not None and second is not None:
            count = int(abs((float(second) - float(first)) / float(inputs[2])))
        case "OneHot" if first is not None and second is not None:
            count = first.size * int(np.ravel(second)[0])
        case "Pad" if first is not None:
            pads = second if second is not None else np.asarray(step.get("pads", ()))
            count = prod(s + int(np.abs(pads).sum()) for s in first.shape)
        case "MatMul" if first is not None and second is not None:
            count = first.size * second.shape[-1]
        case _:
            count = max(count, prod(s for a in inputs if a is not None for s in a.shape[:1]))
    if count > MOST_NUMBERS:
        raise fail(
            "E0902", f"{step.label} would make a constant of {count:,} numbers; at most {MOST_NUMBERS:,} are worked out"
        )
