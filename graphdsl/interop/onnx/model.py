"""An ONNX file as plain values: steps, constants, inputs and outputs. Nothing in it is executed; sizes are bounded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.interop.onnx.functions import foreign
from graphdsl.interop.refusal import demand_package, malformed, read_bytes
from graphdsl.ir import Array
from graphdsl.report import Failed, dataclass, fail

LARGEST_FILE = 2 << 30
"""Bytes, of the file and of each file of weights beside it: what protobuf can hold."""
MOST_STEPS = 100_000
LONGEST_SHAPE = 64
OURS = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training")
"""Domains whose operators are known by their bare names."""


@dataclass(frozen=True)
class Step:
    """A node. Inputs left out are "". domain: empty for ONNX's own operators."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def label(self) -> str:
        """How messages call it: `` `conv1` (Conv) ``."""
        return f"`{self.name}` ({self.op})"

    def get(self, attribute: str, default: Any = None) -> Any:
        return self.attributes.get(attribute, default)

    def input(self, index: int) -> str:
        """The name of an input, "" where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else ""

    def output(self, index: int) -> str:
        """The name of a result, "" where nobody wants it."""
        return self.outputs[index] if index < len(self.outputs) else ""


@dataclass(frozen=True)
class Source:
    """An input of the graph. Sizes are numbers or names; "" where nothing is known."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Model:
    """A graph whose constants are arrays. name: of its file; opset: the version of ONNX's operators that it uses."""

    name: str
    producer: str
    opset: int
    inputs: tuple[Source, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Array]
    steps: tuple[Step, ...]


def demand_onnx() -> Any:
    """The package onnx. Raises E0904 where it is not installed."""
    demand_package("onnx", "onnx", "reading an ONNX file")
    import onnx

    return onnx


def load(path: Path) -> Model:
    """The graph of a file. Raises E0501 where there is none, E0902 where it makes no sense, E0904 without onnx."""
    onnx = demand_onnx()
    proto = _parsed(onnx, path)
    if proto.functions:
        proto = _guarded(path, lambda: foreign(proto))
    graph = proto.graph
    if len(graph.node) > MOST_STEPS:
        raise fail("E0902", f"{path} has {len(graph.node):,} nodes; at most {MOST_STEPS:,} are read")
    if graph.sparse_initializer:
        raise fail("E0901", f"{path}: `{graph.sparse_initializer[0].values.name}` is sparse; store it densely")
    opsets = {_text(o.domain, path): o.version for o in proto.opset_import}
    constants = {_text(t.name, path): array_of(t, path) for t in graph.initializer}
    return Model(
        path.name,
        _text(proto.producer_name, path),
        opsets.get("", opsets.get("ai.onnx", 1)),
        tuple(_source(onnx, i, path) for i in graph.input if i.name not in constants),
        tuple(_text(o.name, path) for o in graph.output),
        constants,
        tuple(_step(onnx, n, path) for n in graph.node),
    )


def _parsed(onnx: Any, path: Path) -> Any:
    data = read_bytes(path, LARGEST_FILE)
    proto = _guarded(path, lambda: onnx.load_model_from_string(data))
    if not proto.HasField("graph") or not proto.graph.output:
        raise malformed(path, "it holds no graph with an output")
    return proto


def _text(value: Any, path: Path) -> str:
    """A name. What is no UTF-8 arrives as bytes."""
    if isinstance(value, str):
        return value
    raise malformed(path, f"the name {value!r} is no text")


def _guarded(path: Path, work: Any) -> Any:
    """What work gives; whatever protobuf or onnx find wrong is the file's fault, E0902."""
    try:
        return work()
    except Failed:
        raise
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        raise malformed(path, f"it is no valid ONNX model: {first or type(error).__name__}") from None


def array_of(tensor: Any, path: Path) -> Array:
    """A TensorProto as an array, half precision as float32. External data is read only from beside the file."""
    from onnx import numpy_helper

    for entry in tensor.external_data:
        if entry.key == "location":
            _demand_beside(path, entry.value, tensor.name)
    given = int(np.prod([int(d) for d in tensor.dims], dtype=np.float64)) if len(tensor.dims) < LONGEST_SHAPE else -1
    if given < 0 or given > LARGEST_FILE:
        raise fail("E0902", f"{path}: tensor `{tensor.name}` says it holds {given:,} numbers, which cannot be")
    array = _guarded(path, lambda: numpy_helper.to_array(tensor, base_dir=str(path.parent)))
    if array.dtype.kind == "V" or array.dtype.name in ("bfloat16", "float16"):
        return np.asarray(array, np.float32)
    return np.asarray(array)


def _demand_beside(path: Path, location: str, name: str) -> None:
    beside = path.parent.resolve()
    target = (beside / location).resolve()
    if target.parent != beside or not target.is_file():
        raise fail(
            "E0902",
            f"{path}: the numbers of `{name}` are said to be in `{location}`, and no such file is beside it",
            help="files of weights are read only from the folder of the model",
        )
    if target.stat().st_size > LARGEST_FILE:
        raise fail("E0902", f"{target} has more than {LARGEST_FILE:,} bytes")


def _source(onnx: Any, info: Any, path: Path) -> Source:
    tensor = info.type.tensor_type
    if not info.type.HasField("tensor_type"):
        raise fail("E0901", f"{path}: input `{info.name}` is no tensor")
    dtype = _guarded(path, lambda: onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    shape = tuple(d.dim_value if d.HasField("dim_value") else _text(d.dim_param, path) for d in tensor.shape.dim)
    return Source(_text(info.name, path), "float32" if dtype in ("float16", "bfloat16") else dtype, shape)


def _step(onnx: Any, node: Any, path: Path) -> Step:
    inputs, outputs = (tuple(_text(n, path) for n in names) for names in (node.input, node.output))
    kind = _text(node.op_type, path)
    op = kind if node.domain in OURS else f"{_text(node.domain, path)}::{kind}"
    name = _text(node.name, path) or next(iter(outputs), "") or kind
    found = {_text(a.name, path): _attribute(onnx, a, f"`{name}` ({op})", path) for a in node.attribute}
    return Step(name, op, inputs, outputs, found)


def _attribute(onnx: Any, attribute: Any, label: str, path: Path) -> Any:
    kinds = onnx.AttributeProto
    if attribute.type in (kinds.GRAPH, kinds.GRAPHS):
        raise fail("E0901", f"{label} holds a graph of its own, and a spec has no loops or branches that data decide")
    if attribute.type == kinds.TENSOR:
        return array_of(attribute.t, path)
    value = _guarded(path, lambda: onnx.helper.get_attribute_value(attribute))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if attribute.type == kinds.STRINGS:
        return [v.decode("utf-8", "replace") for v in value]
    return list(value) if attribute.type in (kinds.INTS, kinds.FLOATS) else value
