"""A spec and its weights as an ONNX graph.

Names are ours: a node and its result are called after the layer, stored numbers after the weight. Inputs and outputs
are as the spec says them, the batch axis first and called N; with nchw, pictures are taken channels-first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from graphdsl.interop.onnx import export_attention, export_layers, export_places
from graphdsl.interop.onnx.export_rules import RULES, Rule, write_node
from graphdsl.interop.onnx.export_sheet import FIRST, LAST, Sheet, Step, first, graph_inputs
from graphdsl.ir import (
    BATCH,
    Array,
    Constant,
    Dim,
    Graph,
    Input,
    Operator,
    Role,
    TensorType,
    Weight,
)
from graphdsl.report import dataclass

MORE_RULES = (export_attention, export_layers, export_places)
"""Importing these fills RULES."""


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
    sheet = Sheet(graph, weights, storing=True)
    inputs = graph_inputs(graph)
    turned = {name for name, type in inputs.items() if nchw and type.rank == 4}
    write_graph(sheet, turned, RULES)
    sizes = _Sizes(graph)
    return Exported(
        tuple(sizes.tensor(name, type, name in turned) for name, type in inputs.items()),
        tuple(sizes.tensor(r.name, r.value.type, False) for r in graph.results),
        tuple(sheet.steps),
        sheet.stored,
    )


def write_graph(sheet: Sheet, turned: Collection[str], rules: Mapping[type[Operator], Rule]) -> None:
    """Everything that the results of the sheet's graph need. turned: inputs that come channels-first."""
    graph = sheet.graph
    for name in graph_inputs(graph):
        sheet.bind(graph.value(name), name, FIRST if name in turned else LAST)
    for name, node in graph.items():
        if name in sheet.needed and not (isinstance(node.op, Input | Weight | Constant) or sheet.is_kernel(name)):
            write_node(sheet, name, rules)
    sheet.finish([(r.name, r.value) for r in graph.results])


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
