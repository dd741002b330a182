"""An ONNX graph as a file.

Of protobuf's wire format only what holds the stored numbers is written here: a field is its number and kind in one
byte, its length, its bytes. So the numbers go from the weights into the file piece by piece, and a model of 500 MB does
not stand in memory three times, as it does where it is first a protobuf object and then its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphdsl.interop.onnx.export import Exported, Tensor
from graphdsl.interop.onnx.export_sheet import Step
from graphdsl.interop.onnx.functions import BODIES, DOMAIN, VERSION, functions, qualified
from graphdsl.interop.refusal import demand_package
from graphdsl.ir import Array
from graphdsl.report import write_whole

if TYPE_CHECKING:
    import onnx

OPSET, IR_VERSION = 17, 8
"""Understood by runtimes since 2022; nothing newer is needed."""

LARGEST = 2_000_000_000
"""Bytes of numbers in one file: protobuf ends at 2 GiB. More lie in a second file beside it."""

GRAPH, INITIALIZER, RAW_DATA = 7, 5, 9
"""Numbers of fields: of ModelProto, of GraphProto, of TensorProto. Source: onnx.proto3."""

ALIGNMENT = 4096
"""Where an array in the second file may begin: at a page, so that it can be mapped."""


def export(exported: Exported, path: Path, *, title: str = "graphdsl", largest: int = LARGEST) -> Path:
    """Writes an ONNX file, and has it checked as strictly as the `onnx` package can.

    title    the name of the graph in the file
    largest  where the weights alone take more bytes, they are written to `model.onnx.data` beside it
    Raises Failed E0904 where `onnx` is not installed, E0701 where a file cannot be written.
    """
    demand_package("onnx", "onnx", "writing an ONNX file")
    import onnx

    beside = ""
    if sum(array.nbytes for array in exported.stored.values()) > largest:
        beside = f"{path.name}.data"
        write_whole(path.with_name(beside), _aligned(exported))
    write_whole(path, _model(exported, title, beside))
    onnx.checker.check_model(path, full_check=True)
    return path


def _model(exported: Exported, title: str, beside: str) -> Iterator[bytes]:
    """The bytes of a ModelProto."""
    from onnx import helper

    graph = helper.make_graph(
        [_node(step) for step in exported.steps],
        title,
        [_described(tensor) for tensor in exported.inputs],
        [_described(tensor) for tensor in exported.outputs],
    )
    own = [name for name in BODIES if any(step.op == qualified(name) for step in exported.steps)]
    opsets = [helper.make_opsetid("", OPSET), *([helper.make_opsetid(DOMAIN, VERSION)] if own else [])]
    empty = helper.make_graph([], title, [], [])
    model = helper.make_model(empty, opset_imports=opsets, ir_version=IR_VERSION, functions=functions(own))
    model.producer_name = "graphdsl"
    model.ClearField("graph")
    heads = _outside(exported, beside) if beside else [_head(name, array) for name, array in exported.stored.items()]
    arrays = [b"" if beside else array for array in exported.stored.values()]
    sizes = [_tensor_size(head, array) for head, array in zip(heads, arrays, strict=True)]
    yield model.SerializeToString()
    begun = graph.SerializeToString()
    yield _field(GRAPH, len(begun) + sum(len(_field(INITIALIZER, size)) + size for size in sizes)) + begun
    for head, array, size in zip(heads, arrays, sizes, strict=True):
        yield _field(INITIALIZER, size) + head
        if not isinstance(array, bytes):
            yield _field(RAW_DATA, array.nbytes)
            yield array.tobytes()


def _node(step: Step) -> onnx.NodeProto:
    from onnx import helper

    domain, _, op = step.op.rpartition("::")
    return helper.make_node(op, step.inputs, step.outputs, step.name, domain=domain, **_settings(step))


def _tensor_size(head: bytes, array: Array | bytes) -> int:
    """Bytes of a TensorProto that begins with head."""
    return len(head) if isinstance(array, bytes) else len(head) + len(_field(RAW_DATA, array.nbytes)) + array.nbytes


def _field(number: int, length: int) -> bytes:
    """What stands before the bytes of a field."""
    written = bytearray([number << 3 | 2])
    while length > 127:
        written.append(length & 127 | 128)
        length >>= 7
    return bytes([*written, length])


def _head(name: str, array: Array) -> bytes:
    """A TensorProto without its numbers."""
    return bytes(_tensor(name, array).SerializeToString())


def _tensor(name: str, array: Array) -> onnx.TensorProto:
    from onnx import TensorProto, helper

    return TensorProto(name=name, dims=array.shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype))


def _outside(exported: Exported, beside: str) -> list[bytes]:
    """TensorProtos that say where in the second file their numbers are."""
    from onnx import StringStringEntryProto, TensorProto

    heads, offset = [], 0
    for name, array in exported.stored.items():
        tensor = _tensor(name, array)
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": beside, "offset": str(offset), "length": str(array.nbytes)}
        tensor.external_data.extend(StringStringEntryProto(key=key, value=text) for key, text in place.items())
        heads.append(tensor.SerializeToString())
        offset += array.nbytes + -array.nbytes % ALIGNMENT
    return heads


def _aligned(exported: Exported) -> Iterator[bytes]:
    for array in exported.stored.values():
        yield array.tobytes()
        yield bytes(-array.nbytes % ALIGNMENT)


def _settings(step: Step) -> dict[str, Any]:
    """Attributes as ONNX writes them: `to` of Cast is a number."""
    from onnx import helper

    return {k: helper.np_dtype_to_tensor_dtype(np.dtype(str(v))) if k == "to" else v for k, v in step.settings.items()}


def _described(tensor: Tensor) -> onnx.ValueInfoProto:
    from onnx import helper

    element = helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    return helper.make_tensor_value_info(tensor.name, element, tensor.shape)
