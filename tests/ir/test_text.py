"""Graphs as text and back."""

from __future__ import annotations

import pytest

from graphdsl.ir import (
    OPERATORS,
    Builder,
    DType,
    Graph,
    GraphTextError,
    Layer,
    Place,
    Role,
    Sample,
    TensorType,
    parse_graph,
    print_graph,
    symbol,
)
from graphdsl.ir.notation import NotationError, Reader, read_dim, read_type, write
from graphdsl.ops import expression as e
from graphdsl.ops import formula
from tests.support.random_graphs import random_graph

SAMPLES = [(name, sample) for name, cls in OPERATORS.items() for sample in cls.samples()]


def equal(a: Graph, b: Graph) -> bool:
    """The same nodes in the same order with the same edges and results; spans aside."""
    nodes = all(a.node(n).op == b.node(n).op and a.node(n).layer == b.node(n).layer for n in a)
    return nodes and [*a] == [*b] and all(a.operands(n) == b.operands(n) for n in a) and a.results == b.results


@pytest.mark.parametrize("seed", range(20))
def test_a_graph_reads_back(seed: int) -> None:
    graph = random_graph(seed)
    again = parse_graph(print_graph(graph))
    assert equal(graph, again)
    assert print_graph(again) == print_graph(graph)


@pytest.mark.parametrize(("name", "sample"), SAMPLES, ids=lambda v: v if isinstance(v, str) else "")
def test_every_operator_reads_back(name: str, sample: Sample) -> None:
    b = Builder()
    types = [TensorType(a.shape, DType(a.dtype.name)) for a in sample.arrays]
    made = b.emit_all(sample.operator, *(b.input(f"x{i}", t) for i, t in enumerate(types)), name=name)
    b.result("last", Role.OUTPUT, made[-1])
    graph = b.finish()
    assert equal(graph, parse_graph(print_graph(graph)))


def test_layers_are_kept() -> None:
    b = Builder()
    layer = Layer("class/conv_1", "conv", '8, 3, name="odd"', ("class",), "shared")
    with b.within(Place("class/conv_1", layer=layer)):
        b.result("y", Role.OUTPUT, formula(b, e.exp, b.input("x", TensorType((symbol("T"), 2))), title="exp"))
    text = print_graph(b.finish())
    assert text.splitlines()[0] == (
        r'layer class/conv_1 = conv("8, 3, name=\"odd\"", blocks=("class",), shared="shared")'
    )
    assert parse_graph(text).node("class/conv_1/exp").layer == layer


def test_second_results_and_odd_names() -> None:
    text = """%"odd name" = input(made=type("float32[batch, 2]")) : float32[batch, 2]
output "odd result" = %"odd name"
"""
    assert print_graph(parse_graph(text)) == text


@pytest.mark.parametrize(
    "dim",
    ["batch", "T - 4", "(T + 1) // 5 - 1", "2 * T * batch + 3", "-T", "2 * (T + 1) // 3", "((T) // 2 + 1) // 3"],
)
def test_sizes_read_back(dim: str) -> None:
    assert str(read_dim(dim)) == dim


def test_every_size_that_is_made_reads_back() -> None:
    t, n = symbol("T"), symbol("N")
    for dim in ((t - 4) // 5 * 3, t * n - t + 7, -t * t, (t * n + 2) // 3 + t // 2, (2 * t + 9) // 4 * n - 8):
        assert read_dim(str(dim)) == dim


@pytest.mark.parametrize("text", ["float32[]", "int32[batch]:indices(10)", "float64[batch, T - 4, 3]:image", "bool[2]"])
def test_types_read_back(text: str) -> None:
    assert str(read_type(text)) == text


@pytest.mark.parametrize(
    "value", [1, -2.5, 1e-300, float("inf"), -float("inf"), True, None, 'a "b"\n', (), (1,), (1, ("x", 2)), b"\x00"]
)
def test_values_read_back(value: object) -> None:
    reader = Reader(write(value))
    assert reader.value() == value
    reader.end()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "cannot read"),
        ("%x = nothing() : float32[]", "no operator `nothing`"),
        ('%x = input(made=type("float32[]")) : float32[3]', r"gives float32\[\]"),
        ("%x = input(made=open(1)) : float32[]", "nothing is called `open`"),
        ("%x = input(other=1) : float32[]", "refuses its arguments"),
        ("%x = input(made=$) : float32[]", "cannot read"),
        ("output y = %x", "'x'"),
        ("%y = sum(axes=(0,)) %x : float32[]", "'x'"),
        ('%x = elementwise(tree=formula("system(x0)"), arity=1) : float32[]', "no function `system`"),
    ],
)
def test_a_line_that_is_none_is_refused(line: str, message: str) -> None:
    with pytest.raises(GraphTextError, match=f"line 2: .*{message}"):
        parse_graph(f"# a comment\n{line}\n")


def test_a_name_is_taken_once() -> None:
    line = '%x = input(made=type("float32[]")) : float32[]\n'
    with pytest.raises(GraphTextError, match="two nodes are called `x`"):
        parse_graph(line * 2)


def test_leftovers_are_refused() -> None:
    with pytest.raises(NotationError, match="left over"):
        read_type("float32[] and more")
