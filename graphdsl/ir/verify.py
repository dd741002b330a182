"""What every graph must be. Numbered rules; all of them are checked, all violations told.

A violation is our bug, never the user's: tests verify after every pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import networkx as nx

from graphdsl.ir.graph import Graph, Layer, Node, Role, Value
from graphdsl.ir.operator import Fusion, TypeRuleError
from graphdsl.ir.sources import Input, Weight
from graphdsl.ir.types import TensorType
from graphdsl.report import dataclass

Rule = Callable[[Graph], Iterator[str]]

RULES: dict[str, Rule] = {}
"""The rules by number."""


@dataclass(frozen=True)
class Violation:
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"


class InvalidGraph(AssertionError):
    """A graph that breaks rules; violations holds all of them."""

    def __init__(self, violations: tuple[Violation, ...], after: str) -> None:
        where = f"after {after}: " if after else ""
        AssertionError.__init__(self, where + "; ".join(map(str, violations)))
        self.violations = violations


def verify(graph: Graph) -> tuple[Violation, ...]:
    """Everything that is wrong with graph. Rules after V4 need whole edges, so they wait until those are whole."""
    found: list[Violation] = []
    for number, rule in RULES.items():
        if found and number == FIRST_OF_MEANING:
            break
        found += [Violation(number, message) for message in rule(graph)]
    return tuple(found)


def demand_valid(graph: Graph, after: str = "") -> None:
    """Raises InvalidGraph. after: the pass that made it."""
    violations = verify(graph)
    if violations:
        raise InvalidGraph(violations, after)


FIRST_OF_MEANING = "V5"


def _rule(number: str) -> Callable[[Rule], Rule]:
    def add(rule: Rule) -> Rule:
        RULES[number] = rule
        return rule

    return add


@_rule("V1")
def payload(graph: Graph) -> Iterator[str]:
    """The NetworkX graph is frozen; a node holds a Node and nothing else, an edge the port it comes from."""
    if not nx.is_frozen(graph.nx):
        yield "the graph is not frozen"
    for name, data in graph.nx.nodes(data=True):
        if list(data) != ["node"] or not isinstance(data["node"], Node):
            yield f"`{name}` holds {', '.join(data) or 'nothing'}"
    for u, v, data in graph.nx.edges(data=True):
        if list(data) != ["port"]:
            yield f"the edge from `{u}` to `{v}` holds {', '.join(data) or 'nothing'}"


@_rule("V2")
def positions(graph: Graph) -> Iterator[str]:
    """The operands of a node are numbered 0, 1, 2 … without a gap; sources have none."""
    found: dict[str, list[int]] = {name: [] for name in graph}
    for _, v, position in graph.nx.edges(keys=True):
        found[v].append(position)
    for name, numbers in found.items():
        if sorted(numbers) != list(range(len(numbers))):
            yield f"`{name}` has operands at {sorted(numbers)}"
        data = graph.nx.nodes[name].get("node")
        if numbers and isinstance(data, Node) and data.op.fusion is Fusion.SOURCE:
            yield f"`{name}` is a source and has operands"


@_rule("V3")
def ports(graph: Graph) -> Iterator[str]:
    """An edge comes from a port that its node has."""
    for u, v, port in graph.nx.edges(data="port"):
        if not _has_port(graph, u, port):
            yield f"`{v}` reads result {port} of `{u}`"


@_rule("V4")
def topological(graph: Graph) -> Iterator[str]:
    """Nodes stand after what they read."""
    place = {name: index for index, name in enumerate(graph)}
    for u, v in graph.nx.edges():
        if place[u] >= place[v]:
            yield f"`{v}` stands before `{u}`, which it reads"


@_rule("V5")
def types(graph: Graph) -> Iterator[str]:
    """The types of a node's results are those that its operator gives for its operands."""
    for name, node in graph.items():
        try:
            given = node.op.type(*(v.type for v in graph.operands(name)))
        except TypeRuleError as error:
            yield f"`{name}`: {error.message}"
            continue
        given = given if isinstance(given, tuple) else (given,)
        if given != node.types:
            yield f"`{name}` is {_told(node.types)}, {node.op.name} gives {_told(given)}"


@_rule("V6")
def results(graph: Graph) -> Iterator[str]:
    """Results are values of the graph, with their types; their keys differ."""
    for result in graph.results:
        if not _is_value(graph, result.value):
            yield f"the {result.role} `{result.name}` is no value of the graph"
    keys = Counter((r.role, r.key) for r in graph.results)
    yield from (f"{count} results are called `{key}`" for (_, key), count in keys.items() if count > 1)


@_rule("V7")
def updates(graph: Graph) -> Iterator[str]:
    """An update names a weight and has its type (kinds aside); a gradient names a weight or an input."""
    for result in graph.of_role(Role.UPDATE, Role.GRADIENT):
        op = graph.node(result.name).op if result.name in graph else None
        whole = isinstance(op, Weight) or (result.role is Role.GRADIENT and isinstance(op, Input))
        if not whole:
            yield f"the {result.role} `{result.name}` names no weight"
        elif _plain(result.value.type) != _plain(graph.node(result.name).types[0]):
            yield f"the {result.role} of `{result.name}` is {result.value.type}"


@_rule("V8")
def losses(graph: Graph) -> Iterator[str]:
    """A loss is a single number."""
    for result in graph.of_role(Role.LOSS):
        if result.value.type.rank or not result.value.type.dtype.is_float:
            yield f"the loss `{result.name}` is {result.value.type}"


@_rule("V9")
def sizes(graph: Graph) -> Iterator[str]:
    """No size is negative, and those of weights are numbers."""
    made = [(name, node.op, type) for name, node in graph.items() for type in node.types]
    for name, op, type in made:
        if any(isinstance(d, int) and d < 0 for d in type.shape):
            yield f"`{name}` is {type}"
        if isinstance(op, Weight) and not all(isinstance(d, int) for d in type.shape):
            yield f"the weight `{name}` is {type}"


@_rule("V10")
def names(graph: Graph) -> Iterator[str]:
    """Names are paths: parts between single slashes, none empty."""
    for name in graph:
        if not all(name.split("/")):
            yield f"`{name}` is no path"


@_rule("V11")
def layers(graph: Graph) -> Iterator[str]:
    """A path belongs to one layer."""
    known: dict[str, Layer] = {}
    for name, node in graph.items():
        if node.layer is not None and known.setdefault(node.layer.path, node.layer) != node.layer:
            yield f"`{name}` belongs to another layer `{node.layer.path}`"


def _has_port(graph: Graph, name: str, port: int) -> bool:
    node = graph.nx.nodes[name].get("node")
    return isinstance(node, Node) and port in range(len(node.types))


def _is_value(graph: Graph, value: Value) -> bool:
    known = value.node in graph and _has_port(graph, value.node, value.port)
    return known and graph.node(value.node).types[value.port] == value.type


def _plain(type: TensorType) -> tuple[object, ...]:
    return type.shape, type.dtype


def _told(types: tuple[TensorType, ...]) -> str:
    return ", ".join(map(str, types))
