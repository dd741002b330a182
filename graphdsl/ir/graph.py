"""The graph: nodes are operations, edges are tensors. NetworkX holds the edges and nothing else does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import cached_property

import networkx as nx

from graphdsl.ir.operator import Operator
from graphdsl.ir.types import TensorType
from graphdsl.report import Span, dataclass


@dataclass(frozen=True, slots=True)
class Value:
    """One result of one node: what an edge carries."""

    node: str
    port: int
    type: TensorType

    def __hash__(self) -> int:
        return hash((self.node, self.port))


@dataclass(frozen=True, slots=True)
class Layer:
    """One use of a layer in the spec: what people see as a box. The operations it is made of carry it.

    path      where it stands, `class/stage_2/bottleneck_1/conv_1`
    kind      the word in the spec, `conv`
    settings  as understood, `64, 3, stride=2`
    blocks    paths of the blocks around it, outermost first: ("class/stage_2", "class/stage_2/bottleneck_1")
    shared    path under which its weights live when it is a use of a shared layer, else empty
    """

    path: str
    kind: str
    settings: str = ""
    blocks: tuple[str, ...] = ()
    shared: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """op applied to the operands that the graph's edges bring.

    types  of the results, one a port
    spans  where it was written: the stage first, then the uses of the blocks around it, innermost first
    layer  the layer it is part of; None for inputs and for what passes add
    """

    op: Operator
    types: tuple[TensorType, ...]
    spans: tuple[Span, ...] = ()
    layer: Layer | None = None


class Role(StrEnum):
    """What a result is to whoever runs the graph."""

    OUTPUT = "output"
    LOSS = "loss"
    TAP = "tap"
    UPDATE = "update"
    """The new value of the weight of the same name, after the step."""
    STATE = "state"
    """What the input `state/NAME` is at the next step, in a graph that reads a sequence step by step."""
    GRADIENT = "gradient"
    """The derivative of the total loss by the weight or input of the same name."""


@dataclass(frozen=True, slots=True)
class Result:
    """Something a run of the graph is for. Nodes that no result needs are dead."""

    name: str
    role: Role
    value: Value

    @property
    def key(self) -> str:
        """What a run calls it: an output by its name, others with their role before it (`loss/total`)."""
        return self.name if self.role is Role.OUTPUT else f"{self.role}/{self.name}"


def _position(edge: tuple[int, Value]) -> int:
    return edge[0]


class Graph:
    """Immutable. `nx` is a frozen MultiDiGraph.

    A node's name leads to {"node": Node}, an edge (u, v, key = operand position) to {"port": result of u}.

    Nodes stand in topological order: the order they were added in.
    """

    def __init__(self, graph: nx.MultiDiGraph, results: tuple[Result, ...]) -> None:
        self.nx = nx.freeze(graph)
        self.results = results

    def __iter__(self) -> Iterator[str]:
        return iter(self.nx)

    def __len__(self) -> int:
        return len(self.nx)

    def __contains__(self, name: object) -> bool:
        return name in self.nx

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        return dict(self.nx.nodes(data="node"))

    def node(self, name: str) -> Node:
        return self._nodes[name]

    def items(self) -> Iterator[tuple[str, Node]]:
        """Names and nodes, in topological order."""
        return iter(self._nodes.items())

    def value(self, name: str, port: int = 0) -> Value:
        """A result of the node called name."""
        return Value(name, port, self.node(name).types[port])

    def values(self, name: str) -> tuple[Value, ...]:
        """Every result of the node called name."""
        return tuple(Value(name, port, t) for port, t in enumerate(self.node(name).types))

    @cached_property
    def _operands(self) -> dict[str, tuple[Value, ...]]:
        gathered: dict[str, list[tuple[int, Value]]] = {name: [] for name in self.nx}
        edges = (
            (u, v, edge) for u, users in self.nx.adjacency() for v, edges in users.items() for edge in edges.items()
        )
        for u, v, (position, data) in edges:
            port = data["port"]
            gathered[v].append((position, Value(u, port, self._nodes[u].types[port])))
        return {name: tuple([x for _, x in sorted(found, key=_position)]) for name, found in gathered.items()}

    def operands(self, name: str) -> tuple[Value, ...]:
        """What flows into the node, in operand order."""
        return self._operands[name]

    @cached_property
    def _users(self) -> dict[str, tuple[str, ...]]:
        return {name: tuple(users) for name, users in self.nx.adjacency()}

    def users(self, name: str) -> tuple[str, ...]:
        """The nodes that read any result of the node, each once."""
        return self._users[name]

    def with_results(self, results: Iterable[Result]) -> Graph:
        """The same nodes, run for other ends."""
        return Graph(self.nx, tuple(results))

    def of_role(self, *roles: Role) -> tuple[Result, ...]:
        return tuple(r for r in self.results if r.role in roles)

    def needed(self) -> frozenset[str]:
        """The nodes that some result needs, found in one sweep backward."""
        return needed(self.nx, self.results)


def needed(graph: nx.MultiDiGraph, results: Iterable[Result]) -> frozenset[str]:
    """The nodes of graph that some of the results need; an update needs the weight that it is written into."""
    seen: set[str] = set()
    waiting = [name for r in results for name in ((r.value.node, r.name) if r.role is Role.UPDATE else (r.value.node,))]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(graph.predecessors(name))
    return frozenset(seen)
