"""The steps of a network that a Python file is made of.

They are those of an ONNX graph (same names, same words), but for recurrences and attention, which other tools have as
well and which take [batch, time, features], for what acts in training only, and for masks: source code takes every step
of a sample as real.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np

from graphdsl.interop.onnx.export import write_graph
from graphdsl.interop.onnx.export_rules import RULES, Rule
from graphdsl.interop.onnx.export_sheet import Sheet, Step
from graphdsl.ir import Array, Builder, Graph, ModalOperator, Node, Operator, Role, Value, Weight, rebuild
from graphdsl.ops import Attention, Dropout, GaussianNoise, Gru, Lstm, StepMask


def listed(graph: Graph, *, turning: bool) -> Sheet:
    """The outputs of graph, in use. turning: whether convolutions are channels-first."""
    graph = opened(graph.with_results(graph.of_role(Role.OUTPUT)))
    sheet = Sheet(graph, Shapes(graph), turning=turning)
    rules: Mapping[type[Operator], Rule] = {
        **RULES,
        Lstm: _recurrence,
        Gru: _recurrence,
        Attention: _attention,
        StepMask: _unmasked,
        Dropout: _noise,
        GaussianNoise: _noise,
    }
    write_graph(sheet, (), rules)
    sheet.steps = list(_with_biases(sheet))
    if not turning:
        sheet.steps = [_without_sizes(sheet, step) for step in sheet.steps]
        sheet.prune(outputs_of(sheet))
    return sheet


def _without_sizes(sheet: Sheet, step: Step) -> Step:
    """Sizes that are computed are left out where the types of tensors tell them as well."""
    computed = [name for name in step.inputs[1:] if name not in sheet.stored]
    known = step.op in ("Expand", "Slice") and computed
    return replace(step, inputs=tuple("" if n in computed else n for n in step.inputs)) if known else step


def _with_biases(sheet: Sheet) -> Iterator[Step]:
    """A product with a weight and the bias that follows it are one dense layer, however many axes there are."""
    readers, joined = readers_of(sheet), set()
    for number, step in enumerate(sheet.steps):
        after = sheet.steps[number + 1] if number + 1 < len(sheet.steps) else step
        follows = step.op == "MatMul" and step.inputs[1] in sheet.weights and readers.get(step.name) == [number + 1]
        if follows and after.op == "Add" and after.inputs[0] == step.name and after.inputs[1] in sheet.weights:
            joined.add(number + 1)
            yield replace(after, op="Gemm", inputs=(*step.inputs, after.inputs[1]))
        elif step.op == "MatMul" and step.inputs[1] in sheet.weights:
            yield replace(step, op="Gemm")
        elif number not in joined:
            yield step


class Shapes(Mapping[str, Array]):
    """Weights that are all 0 and take no memory: source code has shapes and no numbers."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def __getitem__(self, name: str) -> Array:
        node = self._graph.node(name)
        if not isinstance(node.op, Weight):
            raise KeyError(name)
        return np.broadcast_to(np.float32(0), node.types[0].bind({}))

    def __iter__(self) -> Iterator[str]:
        return (name for name, node in self._graph.items() if isinstance(node.op, Weight))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _recurrence(sheet: Sheet, value: Value) -> None:
    """One step with two results, all states and the last; which of them are read decides what is written of it."""
    op, (x, *weights) = sheet.operation(value), sheet.operands(value)
    assert isinstance(op, Lstm | Gru)
    stored = [sheet.tensor(w) for w in weights if isinstance(sheet.operation(w), Weight)]
    settings = {"units": sheet.numbers(weights[1]).shape[0], "reverse": op.reverse}
    word = "LSTM" if isinstance(op, Lstm) else "GRU"
    made = sheet.write_all(word, [sheet.tensor(x), *stored], "", settings, outputs=2)
    for result, name in zip(sheet.graph.values(value.node), made, strict=False):
        sheet.bind(result, name)


def _attention(sheet: Sheet, value: Value) -> None:
    """One step: other tools have a function for it."""
    op, (q, k, v, *_) = sheet.operation(value), sheet.operands(value)
    assert isinstance(op, Attention)
    asked, given = ((-1, op.heads, x.type.channels // op.heads) for x in (q, v))
    settings = {"heads": op.heads, "causal": op.causal, "split": asked, "taken": given, "width": v.type.channels}
    sheet.bind(value, sheet.write("Attention", [sheet.tensor(x) for x in (q, k, v)], settings=settings))


def _noise(sheet: Sheet, value: Value) -> None:
    """Source code is trained as well, so what acts in training only is written too."""
    op, (x,) = sheet.operation(value), sheet.operands(value)
    order = sheet.order([x])
    rate = op.rate if isinstance(op, Dropout) else op.deviation if isinstance(op, GaussianNoise) else 0.0
    made = sheet.write(type(op).__name__, [sheet.tensor(x, order)], settings={"rate": rate})
    sheet.bind(value, made, order)


def _unmasked(sheet: Sheet, value: Value) -> None:
    x = sheet.operands(value)[0]
    order = sheet.order([x])
    sheet.bind(value, sheet.tensor(x, order), order)


def readers_of(sheet: Sheet) -> dict[str, list[int]]:
    """The numbers of the steps that read each tensor."""
    found: dict[str, list[int]] = {}
    for number, step in enumerate(sheet.steps):
        for name in dict.fromkeys(step.inputs):
            found.setdefault(name, []).append(number)
    return found


def outputs_of(sheet: Sheet) -> Collection[str]:
    """What the spec calls its outputs."""
    return [result.name for result in sheet.graph.results]


def opened(graph: Graph) -> Graph:
    """graph with what layers that learn by a rule of their own (s_cells) do in use in their place."""

    def rule(b: Builder, name: str, node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if not isinstance(node.op, ModalOperator) or not node.op.learns:
            return None
        return node.op.inference(b, operands)

    return rebuild(graph, rule)
