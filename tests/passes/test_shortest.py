"""How short a sequence may be."""

from __future__ import annotations

import pytest

from graphdsl.ir import Graph, parse_graph
from graphdsl.passes import lower, shortest
from graphdsl.report import Failed


def sliced(*sizes: str) -> Graph:
    """Slices of these sizes of one sequence of T steps."""
    text = '%x = input(made=type("float32[batch, T, 2]")) : float32[batch, T, 2]\n'
    for i, size in enumerate(sizes):
        shape = f'start=(0, 0, 0), size=(dim("batch"), dim("{size}"), 2)'
        text += f"%y{i} = slice({shape}) %x : float32[batch, {size}, 2]\noutput y{i} = %y{i}\n"
    return parse_graph(text)


@pytest.mark.parametrize(
    ("sizes", "least"),
    [(("T",), 1), (("T - 4",), 5), (("T - 4", "(T + 1) // 5 - 2"), 14), (("2 * T - 7",), 4), (("T - 999",), 1000)],
)
def test_shortest(sizes: tuple[str, ...], least: int) -> None:
    graph = sliced(*sizes)
    assert shortest(graph) == {"T": least}
    lower(graph, {"batch": 1, "T": least})
    with pytest.raises(Failed, match="E0408"):
        lower(graph, {"batch": 1, "T": least - 1})


def test_a_graph_without_free_sizes() -> None:
    assert shortest(parse_graph('%x = input(made=type("float32[batch, 3]")) : float32[batch, 3]\n')) == {}
