"""What an ONNX graph is written on: its nodes, its stored numbers, and where each of our tensors lies.

Ours are channels-last, ONNX's convolutions channels-first. So a tensor of three axes or more may lie on the sheet in
one order or in both:

    LAST    [N, H, W, C], as the spec says
    FIRST   [N, C, H, W]

A rule asks for a tensor in the order that it needs, and a Transpose is written where it is not there yet. Rules that
work in either order keep the one that is there, so a chain of convolutions has one Transpose at its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

import numpy as np

from graphdsl.interop.refusal import cannot_say
from graphdsl.ir import Array, Constant, Graph, Input, Node, Operator, TensorType, Value, Weight
from graphdsl.ops import Conv, Reshape, Transpose
from graphdsl.report import Failed, dataclass


class Order(Enum):
    """Where the channels stand."""

    LAST = "last"
    FIRST = "first"


RECURRENT = ("LSTM", "GRU")
"""Their results may be left out, each by itself."""

LAST, FIRST = Order.LAST, Order.FIRST


@dataclass(frozen=True)
class Step:
    """One node of an ONNX graph. node: what it came from, the name of a node of ours."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: Mapping[str, Any]
    node: str = ""


def first(rank: int) -> tuple[int, ...]:
    """The axes of a channels-last tensor in the order channels-first."""
    return (0, rank - 1, *range(1, rank - 1))


def last(rank: int) -> tuple[int, ...]:
    """The axes of a channels-first tensor in the order channels-last."""
    return (0, *range(2, rank), 1)


def place_of(axis: int, rank: int, order: Order) -> int:
    """Where an axis, counted channels-last, stands."""
    return first(rank).index(axis) if order is FIRST and rank > 2 else axis


class Sheet:
    """One ONNX graph in the making.

    graph    as the spec says it
    weights  the numbers of its weights, by name
    turning  whether there is an order FIRST at all; without it every tensor stays as ours is, for tools that are
             channels-last as well
    storing  whether weights in another shape may be stored as such; not for code, which loads them as they are
    """

    def __init__(
        self, graph: Graph, weights: Mapping[str, Array], *, turning: bool = True, storing: bool = False
    ) -> None:
        self.graph = graph
        self.weights = weights
        self.turning = turning
        self.storing = storing
        self.needed = graph.needed()
        self.steps: list[Step] = []
        self.stored: dict[str, Array] = {}
        self.ranks: dict[str, int] = {}
        self.origins: dict[str, tuple[str, tuple[int, ...]]] = {}
        self.done: set[str] = set()
        self._names = {*graph_inputs(graph), *(r.name for r in graph.results)}
        self._tensors: dict[tuple[Value, Order], str] = {}
        self._place = self._kind = self._node = ""
        self._places = _places(graph, self.needed)

    # --- what rules read

    def node(self, value: Value) -> Node:
        return self.graph.node(value.node)

    def operation(self, value: Value) -> Operator:
        """What made a value."""
        return self.graph.node(value.node).op

    def operands(self, value: Value) -> tuple[Value, ...]:
        """What was read to make it."""
        return self.graph.operands(value.node)

    def readers(self, value: Value) -> tuple[str, ...]:
        """The nodes that read the node of value on the way to an output; a result of the graph counts as one."""
        found = [n for n in self.graph.users(value.node) if n in self.needed]
        return (*found, *(f"output {r.name}" for r in self.graph.results if r.value.node == value.node))

    def numbers(self, value: Value) -> Array:
        """The numbers of a weight or constant, or of one in another shape, as the kernel of a dense layer that slides.

        Raises Failed E0901 for what is computed: ONNX wants them stored.
        """
        op = self.operation(value)
        if isinstance(op, Weight):
            return self.weights[value.node]
        if isinstance(op, Constant):
            return op.reference()
        if self.storing and isinstance(op, Reshape | Transpose):
            return np.asarray(op.reference(self.numbers(self.operands(value)[0])))
        raise self.refusal(f"`{value.node}` is computed, and numbers are wanted that are stored")

    def is_kernel(self, name: str) -> bool:
        """Whether a node is a weight in another shape, which convolutions alone read as their kernel: it is stored."""
        if not (self.storing and isinstance(self.graph.node(name).op, Reshape | Transpose)):
            return False
        (source,) = self.graph.operands(name)
        readers = self.readers(self.graph.value(name))
        read = all(r in self.graph and (self._is_kernel_of(name, r) or self.is_kernel(r)) for r in readers)
        return read and (self._is_stored(source) or self.is_kernel(source.node))

    def _is_kernel_of(self, name: str, reader: str) -> bool:
        return isinstance(self.graph.node(reader).op, Conv) and self.graph.operands(reader)[1].node == name

    # --- what rules write

    def begin(self, name: str) -> None:
        """What is written from now on belongs to this node of ours."""
        self._place = self._places.get(name, name)
        self._node = name
        layer = self.graph.node(name).layer
        self._kind = self.graph.node(name).op.name if layer is None else layer.kind

    def refusal(self, why: str) -> Failed:
        """E0901 at the layer that is being written."""
        return cannot_say(self._place, self._kind, why)

    def write(
        self,
        op: str,
        inputs: Iterable[str],
        word: str = "",
        settings: Mapping[str, Any] | None = None,
        outputs: int = 1,
    ) -> str:
        """A node; gives the name of its first result. word: what it is to the layer; empty for the layer itself."""
        return self.write_all(op, inputs, word, settings, outputs)[0]

    def write_all(
        self,
        op: str,
        inputs: Iterable[str],
        word: str = "",
        settings: Mapping[str, Any] | None = None,
        outputs: int = 1,
    ) -> tuple[str, ...]:
        """The same; gives the names of all results."""
        name = self.fresh(f"{self._place}/{word}" if word else self._place)
        made = (name, *(self.fresh(f"{name}/result_{i}") for i in range(1, outputs)))
        self.steps.append(Step(op, name, tuple(inputs), made, settings or {}, self._node))
        return made

    def store(self, array: Array, word: str) -> str:
        """Numbers of the layer that is being written."""
        return self.keep(f"{self._place}/{word}", array)

    def whole(self, numbers: Sequence[int], word: str) -> str:
        """A row of whole numbers, as ONNX takes axes, sizes and paddings."""
        return self.store(np.array(numbers, np.int64), word)

    def keep(self, name: str, array: Array, turn: tuple[int, ...] = ()) -> str:
        """Numbers under a name of their own, once where the same are kept twice.

        turn: the order of axes in which a weight was put before it got the shape of array; none: its own.
        """
        known = self.stored.get(name)
        if known is not None and known.dtype == array.dtype and np.array_equal(known, array):
            return name
        origin, name = name, self.fresh(name)
        self.stored[name] = array
        self.origins[name] = (origin, turn)
        return name

    def fresh(self, name: str) -> str:
        """A name that nothing has yet: this one, or with a number behind it."""
        found, number = name, 1
        while found in self._names:
            number += 1
            found = f"{name}_{number}"
        self._names.add(found)
        return found

    # --- where our tensors lie

    def bind(self, value: Value, name: str, order: Order = LAST) -> None:
        """value lies under this name."""
        self._tensors[value, self._order(value, order)] = name
        self.ranks[name] = value.type.rank

    def lies(self, value: Value, order: Order) -> bool:
        """Whether value is there in this order without a Transpose."""
        known = (value, self._order(value, order)) in self._tensors or self._is_stored(value)
        return known and (self.turning or order is LAST)

    def tensor(self, value: Value, order: Order = LAST) -> str:
        """The name under which value lies in this order; it is stored or turned over where it does not yet."""
        key = value, self._order(value, order)
        if key not in self._tensors:
            self._tensors[key] = self._stored(value, key[1]) if self._is_stored(value) else self._turned(value, key[1])
        return self._tensors[key]

    def order(self, values: Iterable[Value]) -> Order:
        """The order that a rule which works in either should keep: FIRST where some tensor is there only so."""
        found = [v for v in values if v.type.rank > 2 and not self._is_stored(v)]
        return FIRST if any((v, FIRST) in self._tensors for v in found) else LAST

    def is_bound(self, value: Value) -> bool:
        return any((value, order) in self._tensors for order in Order)

    def _is_stored(self, value: Value) -> bool:
        return isinstance(self.operation(value), Weight | Constant)

    def _stored(self, value: Value, order: Order) -> str:
        array = self.numbers(value)
        turned = array.transpose(first(array.ndim)) if order is FIRST else array
        turn = first(array.ndim) if order is FIRST else ()
        return self.keep(value.node, np.ascontiguousarray(turned) if turn else array, turn)

    def _order(self, value: Value, order: Order) -> Order:
        """Tensors of two axes or fewer lie in one order only."""
        return order if value.type.rank > 2 and self.turning else LAST

    def _turned(self, value: Value, order: Order) -> str:
        other = FIRST if order is LAST else LAST
        source = self._tensors.get((value, other))
        if source is None:
            raise self.refusal(f"result {value.port} of `{value.node}` is read")
        axes = (first if order is FIRST else last)(value.type.rank)
        place, self._place = self._place, self._places.get(value.node, value.node)
        name = self.write("Transpose", [source], f"channels_{order.value}", {"perm": axes})
        self._place = place
        self.ranks[name] = value.type.rank
        return name

    # --- the end

    def finish(self, outputs: Sequence[tuple[str, Value]]) -> None:
        """Names the results, and leaves out what nothing reads."""
        for name, value in outputs:
            self._name_result(name, self.tensor(value))
        self.prune(name for name, _ in outputs)

    def _name_result(self, name: str, tensor: str) -> None:
        made = {o for step in self.steps for o in step.outputs}
        taken = {r.name for r in self.graph.results}
        if tensor not in made or tensor in taken:
            self.steps.append(Step("Identity", self.fresh(f"{name}/result"), (tensor,), (name,), {}))
            return
        self.steps = [_renamed(step, tensor, name) for step in self.steps]
        for key, known in self._tensors.items():
            self._tensors[key] = name if known == tensor else known

    def prune(self, outputs: Iterable[str]) -> None:
        """Leaves out what none of these tensors needs."""
        kept: list[Step] = []
        wanted = set(outputs)
        for step in reversed(self.steps):
            if wanted.isdisjoint(step.outputs):
                continue
            wanted.update(step.inputs)
            kept.append(replace(step, outputs=_read(step, wanted)))
        self.steps = kept[::-1]
        self.stored = {name: array for name, array in self.stored.items() if name in wanted}


def graph_inputs(graph: Graph) -> dict[str, TensorType]:
    """What must be fed for the results of graph, by name."""
    needed = graph.needed()
    return {name: node.types[0] for name, node in graph.items() if name in needed and isinstance(node.op, Input)}


def _renamed(step: Step, old: str, new: str) -> Step:
    inputs, outputs = (tuple(new if n == old else n for n in names) for names in (step.inputs, step.outputs))
    return replace(step, inputs=inputs, outputs=outputs)


def _read(step: Step, wanted: set[str]) -> tuple[str, ...]:
    """The results up to the last that somebody reads; of recurrences those before it may be left out, too."""
    named = list(step.outputs)
    while named[-1] not in wanted:
        named.pop()
    return tuple(name if name in wanted or step.op not in RECURRENT else "" for name in named)


def _places(graph: Graph, needed: frozenset[str]) -> dict[str, str]:
    """What each node is called on the sheet: the last one of a layer after the layer, the others as in our graph."""
    ends = {node.layer.path: name for name, node in _worked(graph, needed) if node.layer is not None}
    return {name: path for path, name in ends.items()}


def _worked(graph: Graph, needed: frozenset[str]) -> Iterator[tuple[str, Node]]:
    sources = (Input, Weight, Constant)
    return ((name, node) for name, node in graph.items() if name in needed and not isinstance(node.op, sources))
