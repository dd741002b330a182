"""How graphs are made: a Builder takes operations one by one and dies when it gives its graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import networkx as nx

from graphdsl.ir.dim import Dim, Symbolic
from graphdsl.ir.graph import Graph, Layer, Node, Result, Role, Value, needed
from graphdsl.ir.operator import ModalOperator, Operator, TypeRuleError
from graphdsl.ir.sources import Constant, Initializer, Input, LengthOf, Weight, Zeros
from graphdsl.ir.types import DType, TensorType
from graphdsl.report import Span, dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next operations belong.

    path     prefix of the names of nodes
    weights  prefix of the names of weights; differs from path inside a use of a shared layer
    layer    the layer being built, None outside one
    spans    where it was written, innermost first
    reuse    weights that exist already under their name are used again: a further use of a shared layer
    frozen   weights made here do not learn, and operations that train and serve differently do as in use
    """

    path: str = ""
    weights: str = ""
    layer: Layer | None = None
    spans: tuple[Span, ...] = ()
    reuse: bool = False
    frozen: bool = False


class Builder:
    """Adds nodes in topological order: an operation can only read values that this builder has made.

    merge: equal pure operations on equal operands become one node (common subexpressions).
    """

    def __init__(self, *, merge: bool = False) -> None:
        self._graph = nx.MultiDiGraph()
        self._results: list[Result] = []
        self._merge = merge
        self._made: dict[tuple[Operator, tuple[Value, ...]], tuple[Value, ...]] = {}
        self._suffix: dict[str, int] = {}
        self._updates: dict[str, Result] = {}
        self.place = Place()

    @classmethod
    def on(cls, graph: Graph, *, merge: bool = False) -> Builder:
        """A builder that has made graph already, results included: for passes that only add."""
        b = cls(merge=merge)
        b._graph = graph.nx.copy()
        b._results = list(graph.results)
        if merge:
            b._made = {
                (node.op, graph.operands(name)): graph.values(name) for name, node in graph.items() if node.op.pure
            }
        return b

    @contextmanager
    def within(self, place: Place) -> Iterator[None]:
        """Everything emitted inside belongs to place."""
        before, self.place = self.place, place
        try:
            yield
        finally:
            self.place = before

    def emit(self, op: Operator, *operands: Value, name: str = "") -> Value:
        """The only result of op; see emit_all."""
        (value,) = self.emit_all(op, *operands, name=name)
        return value

    def emit_all(
        self, op: Operator, *operands: Value, name: str = "", exact: bool = False, types: tuple[TensorType, ...] = ()
    ) -> tuple[Value, ...]:
        """Adds op applied to operands and gives its results. Raises TypeRuleError where op refuses.

        name   last part of the node's name; the operator's name when empty; a number is added where it is taken
        exact  name is the whole name, without the place's path before it
        types  of the results, where they are known; else op is asked
        """
        if self.place.frozen and isinstance(op, ModalOperator):
            return op.inference(self, operands)
        key = (op, operands)
        if self._merge and op.pure and key in self._made:
            return self._made[key]
        types = types or _types(op, operands)
        full = self._free(name if exact else self._join(self.place.path, name or op.name))
        self._graph.add_node(full, node=Node(op, types, self.place.spans, self.place.layer))
        for position, value in enumerate(operands):
            self._graph.add_edge(value.node, full, key=position, port=value.port)
        values = tuple(Value(full, port, t) for port, t in enumerate(types))
        if self._merge and op.pure:
            self._made[key] = values
        return values

    def input(self, name: str, type: TensorType, *, target: bool = False) -> Value:
        """A tensor that whoever runs the graph supplies under this name; the same one when it was asked for before."""
        if name in self._graph:
            return self.value(name)
        return self.emit_all(Input(type, target), name=name, exact=True)[0]

    def constant(self, number: float | int | bool, dtype: DType = DType.FLOAT32) -> Value:
        """A number."""
        return self.emit(Constant.scalar(number, dtype), name="constant")

    def weight(
        self,
        name: str,
        shape: Sequence[Dim],
        init: Initializer = Zeros(),  # noqa: B008 - frozen
        *,
        dtype: DType = DType.FLOAT32,
        trainable: bool = True,
        l1: float = 0.0,
        l2: float = 0.0,
    ) -> Value:
        """A tensor that lives from step to step, called after the layer being built and name.

        Raises TypeRuleError E0401 where a size is known only at run time, E0302 where a further use of a shared layer
        would need another shape.
        """
        _demand_known(name, shape)
        full = self._join(self.place.weights, name)
        learns = trainable and not self.place.frozen
        op = Weight(TensorType(tuple(shape), dtype), init, trainable=learns, state=not trainable, l1=l1, l2=l2)
        if self.place.reuse and full in self._graph:
            return self._again(full, op)
        return self.emit_all(op, name=self._free(full), exact=True)[0]

    def update(self, weight: Value, value: Value) -> None:
        """After the step, weight holds value. A later update of the same weight takes its place; see latest."""
        before = self._updates.get(weight.node)
        if before is not None:
            self._results.remove(before)
        self.result(weight.node, Role.UPDATE, value)
        self._updates[weight.node] = self._results[-1]

    def latest(self, weight: Value) -> Value:
        """What weight holds after the updates so far: what a further use of a shared layer goes on from."""
        update = self._updates.get(weight.node)
        return weight if update is None else update.value

    def result(self, name: str, role: Role, value: Value) -> None:
        """Declares what a run of the graph is for."""
        self._results.append(Result(name, role, value))

    def lengths(self, dim: Dim) -> Value | None:
        """How many steps along an axis of this size are real, int32 [batch]; None where the size is known.

        The lengths of a free dimension T are fed as the input `lengths/T`; those of sizes that follow from it
        (`T - 4`) are computed from them.
        """
        if not isinstance(dim, Symbolic) or dim.names == {"batch"}:
            return None
        if len(dim.names) > 1:
            raise TypeRuleError(f"a size of several free dimensions, {dim}, has no lengths", code="E0401")
        (free,) = dim.names
        given = self.input(f"lengths/{free}", LENGTHS)
        return given if str(dim) == free else self.emit(LengthOf(dim, free), given)

    def value(self, name: str, port: int = 0) -> Value:
        """A result of a node made before."""
        return Value(name, port, self._graph.nodes[name]["node"].types[port])

    def operation(self, value: Value) -> Operator:
        """The operation that made value: what local rewrites look at."""
        op: Operator = self._graph.nodes[value.node]["node"].op
        return op

    def operands(self, value: Value) -> tuple[Value, ...]:
        """What the operation that made value reads."""
        edges = sorted(self._graph.in_edges(value.node, keys=True, data="port"), key=lambda e: e[2])
        return tuple(self.value(u, port) for u, _, _, port in edges)

    def finish(self, *, drop_dead: bool = False) -> Graph:
        """The graph, without what no result needs where that is wanted. The builder must not be used again."""
        nodes, self._graph = self._graph, nx.MultiDiGraph()
        results = tuple(self._results)
        if drop_dead:
            nodes.remove_nodes_from(set(nodes) - needed(nodes, results))
        return Graph(nodes, results)

    def _again(self, full: str, op: Weight) -> Value:
        value = self.value(full)
        if value.type != op.made:
            raise TypeRuleError(
                f"a shared layer has one set of weights: here `{full}` would be {op.made.describe()}, "
                f"in its first use it is {value.type.describe()}",
                code="E0302",
                help="give every use the same number of features, or declare a second shared layer",
            )
        return value

    @staticmethod
    def _join(prefix: str, name: str) -> str:
        return f"{prefix}/{name}" if prefix else name

    def _free(self, wanted: str) -> str:
        if wanted not in self._graph:
            return wanted
        number = self._suffix.get(wanted, 1) + 1
        while f"{wanted}_{number}" in self._graph:
            number += 1
        self._suffix[wanted] = number
        return f"{wanted}_{number}"


LENGTHS = LengthOf.made
"""int32 [batch]"""


def _types(op: Operator, operands: tuple[Value, ...]) -> tuple[TensorType, ...]:
    types = op.type(*(v.type for v in operands))
    return types if isinstance(types, tuple) else (types,)


def _demand_known(name: str, shape: Sequence[Dim]) -> None:
    for dim in shape:
        if isinstance(dim, Symbolic):
            raise TypeRuleError(
                f"the size of `{name}` would be {dim}, which is known only at run time",
                code="E0401",
                help="give it a number in the input's type, or pool over it first (`global_max_pool`, `lstm`)",
            )
