"""Each numbered rule can be broken, and is then told."""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import pytest

from graphdsl.ir import (
    RULES,
    Builder,
    Graph,
    Input,
    InvalidGraph,
    Layer,
    Node,
    Result,
    Role,
    TensorType,
    Value,
    Weight,
    Zeros,
    demand_valid,
    verify,
)
from graphdsl.ops import formula
from tests.support.random_graphs import random_graph

SCALAR = TensorType(())
ROW = TensorType((3,))


def raw(
    *nodes: tuple[str, Node], edges: tuple[tuple[str, str, int, int], ...] = (), results: tuple[Result, ...] = ()
) -> Graph:
    """A graph past the Builder, which would refuse it. edges: from, to, position, port."""
    graph = nx.MultiDiGraph()
    for name, node in nodes:
        graph.add_node(name, node=node)
    for u, v, position, port in edges:
        graph.add_edge(u, v, key=position, port=port)
    return Graph(graph, results)


def source(type: TensorType = ROW) -> Node:
    return Node(Input(type), (type,))


def twice() -> Node:
    b = Builder()
    made = formula(b, lambda x: 2 * x, b.input("x", ROW), title="twice")
    return b.finish().node(made.node)


def _payload() -> Graph:
    graph = nx.MultiDiGraph()
    graph.add_node("x", node=source(), extra=1)
    return Graph(graph, ())


def _layers() -> Graph:
    one, two = (Node(Input(ROW), (ROW,), (), Layer("a", kind)) for kind in ("conv", "dense"))
    return raw(("x", one), ("y", two))


def result(role: Role, name: str = "y", value: Value = Value("x", 0, ROW)) -> tuple[Result, ...]:  # noqa: B008 - frozen
    return (Result(name, role, value),)


WEIGHT = Node(Weight(ROW, Zeros()), (ROW,))
BROKEN: dict[str, Callable[[], Graph]] = {
    "V1": _payload,
    "V2": lambda: raw(("x", source()), ("y", twice()), edges=(("x", "y", 1, 0),)),
    "V3": lambda: raw(("x", source()), ("y", twice()), edges=(("x", "y", 0, 5),)),
    "V4": lambda: raw(("y", twice()), ("x", source()), edges=(("x", "y", 0, 0),)),
    "V5": lambda: raw(("x", source(SCALAR)), ("y", twice()), edges=(("x", "y", 0, 0),)),
    "V6": lambda: raw(("x", source()), results=result(Role.OUTPUT, value=Value("z", 0, ROW))),
    "V7": lambda: raw(("x", source()), results=result(Role.UPDATE, "x")),
    "V8": lambda: raw(("x", source()), results=result(Role.LOSS)),
    "V9": lambda: raw(("x", source(TensorType((-1,))))),
    "V10": lambda: raw(("x//y", source())),
    "V11": _layers,
}


def test_every_rule_has_a_graph_that_breaks_it() -> None:
    assert set(BROKEN) == set(RULES)


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_told(rule: str) -> None:
    assert [v.rule for v in verify(BROKEN[rule]())] == [rule]


def test_all_violations_are_told() -> None:
    found = verify(raw(("x/", source(TensorType((-1,)))), ("/y", source())))
    assert sorted(v.rule for v in found) == ["V10", "V10", "V9"]


@pytest.mark.parametrize(
    "graph",
    [
        raw(("x", source()), ("w", WEIGHT), results=(*result(Role.UPDATE, "w"), *result(Role.GRADIENT, "x"))),
        random_graph(1),
    ],
)
def test_a_good_graph_has_none(graph: Graph) -> None:
    assert verify(graph) == ()


@pytest.mark.parametrize("role", [Role.UPDATE, Role.GRADIENT])
def test_an_update_has_the_type_of_its_weight(role: Role) -> None:
    short = raw(("x", source(SCALAR)), ("w", WEIGHT), results=result(role, "w", Value("x", 0, SCALAR)))
    assert [v.rule for v in verify(short)] == ["V7"]


def test_a_result_has_the_type_of_its_value() -> None:
    graph = raw(("x", source()), results=result(Role.OUTPUT, value=Value("x", 0, SCALAR)))
    assert [v.rule for v in verify(graph)] == ["V6"]


def test_the_message_says_after_which_pass() -> None:
    with pytest.raises(InvalidGraph, match="after fuse: V10: `x//y` is no path"):
        demand_valid(BROKEN["V10"](), "fuse")
