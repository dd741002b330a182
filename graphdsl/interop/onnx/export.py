"""A spec and its weights as an ONNX file.

Names are ours: a node and its result are called after the layer, stored numbers after the weight. Inputs and outputs
are as the spec says them, the batch axis first and called N; with nchw, pictures are taken channels-first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphdsl.interop.onnx import export_layers
from graphdsl.interop.onnx.export_rules import write_node
from graphdsl.interop.onnx.export_sheet import FIRST, LAST, Sheet, Step, first, graph_inputs
from graphdsl.interop.refusal import demand_package
from graphdsl.ir import BATCH, Array, Constant, Dim, Graph, Input, Role, TensorType, Weight
from graphdsl.report import dataclass, write_whole

if TYPE_CHECKING:
    import onnx

OPSET, IR_VERSION = 17, 8
"""Understood by runtimes since 2022; nothing newer is needed."""

LARGEST = 2_000_000_000
"""Bytes of one file: protobuf ends at 2 GiB. Larger weights lie in a second file beside it."""

RULES_OF = (export_layers,)
"""Importing these fills the table of rules."""


@dataclass(frozen=True)
class Tensor:
    """An input or output: its name and its axes as ONNX has them, sizes or names of sizes."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str


@dataclass(frozen=True)
class Exported:
    """An ONNX graph before it is a file. stored: numbers by name."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    steps: tuple[Step, ...]
    stored: Mapping[str, Array]


def exported(graph: Graph, weights: Mapping[str, Array], *, nchw: bool = False) -> Exported:
    """The outputs of graph, in use, as an ONNX graph.

    nchw  pictures come channels-first, [N, C, H, W]; other inputs, and outputs, are as the spec says
    Raises Failed E0901 for what ONNX cannot say, by layer.
    """
    graph = graph.with_results(graph.of_role(Role.OUTPUT))
    sheet = Sheet(graph, weights)
    inputs = graph_inputs(graph)
    turned = {name for name, type in inputs.items() if nchw and type.rank == 4}
    for name in inputs:
        sheet.bind(graph.value(name), name, FIRST if name in turned else LAST)
    for name, node in graph.items():
        if name in sheet.needed and not isinstance(node.op, Input | Weight | Constant):
            write_node(sheet, name)
    results = [(r.name, r.value) for r in graph.results]
    sheet.finish(results)
    sizes = _Sizes(graph)
    return Exported(
        tuple(sizes.tensor(name, type, name in turned) for name, type in inputs.items()),
        tuple(sizes.tensor(name, value.type, False) for name, value in results),
        tuple(sheet.steps),
        sheet.stored,
    )


class _Sizes:
    """What free sizes are called: N the batch, others as in the spec."""

    def __init__(self, graph: Graph) -> None:
        names = {str(s) for _, node in graph.items() for t in node.types for s in t.shape if not isinstance(s, int)}
        self.batch = "N" if "N" not in names else "batch"

    def tensor(self, name: str, type: TensorType, turned: bool) -> Tensor:
        axes = first(type.rank) if turned else range(type.rank)
        return Tensor(name, tuple(self._size(type.shape[a]) for a in axes), str(type.dtype))

    def _size(self, size: Dim) -> int | str:
        return size if isinstance(size, int) else self.batch if size == BATCH else str(size)


def export(exported: Exported, path: Path, *, title: str = "graphdsl", largest: int = LARGEST) -> Path:
    """Writes an ONNX file, checked as strictly as the `onnx` package can.

    title    the name of the graph in the file
    largest  where the weights alone take more bytes, they are written to `model.onnx.data` beside it
    Raises Failed E0904 where `onnx` is not installed, E0701 where the file cannot be written.
    """
    demand_package("onnx", "onnx", "writing an ONNX file")
    import onnx

    outside = sum(array.nbytes for array in exported.stored.values()) > largest
    model = model_of(exported, title)
    if outside:
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path, save_as_external_data=True, location=f"{path.name}.data")
    else:
        write_whole(path, model.SerializeToString())
    del model
    onnx.checker.check_model(path, full_check=True)
    return path


def model_of(exported: Exported, title: str) -> onnx.ModelProto:
    """The graph in the classes of the `onnx` package."""
    from onnx import helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node(s.op, s.inputs, s.outputs, s.name, **_settings(s)) for s in exported.steps],
        title,
        [_described(tensor) for tensor in exported.inputs],
        [_described(tensor) for tensor in exported.outputs],
        [numpy_helper.from_array(array, name) for name, array in exported.stored.items()],
    )
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(graph, producer_name="graphdsl", ir_version=IR_VERSION, opset_imports=[opset])


def _settings(step: Step) -> dict[str, Any]:
    """Attributes as ONNX writes them: `to` of Cast is a number."""
    from onnx import helper

    return {k: helper.np_dtype_to_tensor_dtype(np.dtype(str(v))) if k == "to" else v for k, v in step.settings.items()}


def _described(tensor: Tensor) -> onnx.ValueInfoProto:
    from onnx import helper

    element = helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    return helper.make_tensor_value_info(tensor.name, element, tensor.shape)
