"""How short a sequence may be: what every batch must at least be padded to.

A window of five on a window of three leaves a step only where there are seven. Sizes grow with the free dimension
they come from, so the least one is found by bisection over all sizes of the graph.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphdsl.ir import BATCH, Graph, Symbolic, evaluate

LONGEST = 2**24
"""Where the search gives up: sizes that never become positive are told when a program is made."""


def shortest(graph: Graph) -> dict[str, int]:
    """The least number for every free dimension (not the batch) with which no size of the graph is below 1."""
    dims = {d for _, node in graph.items() for t in node.types for d in t.shape if isinstance(d, Symbolic)}
    alone: dict[str, list[Symbolic]] = {}
    for dim in dims:
        names = sorted(dim.names - BATCH.names)
        if len(names) == 1:
            alone.setdefault(names[0], []).append(dim)
    return {name: _least(name, sizes) for name, sizes in sorted(alone.items())}


def _least(name: str, dims: Iterable[Symbolic]) -> int:
    sizes = list(dims)
    low, high = 1, 1
    while high < LONGEST and not _fits(name, high, sizes):
        low, high = high + 1, high * 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _fits(name, middle, sizes) else (middle + 1, high)
    return low


def _fits(name: str, size: int, dims: Iterable[Symbolic]) -> bool:
    return all(evaluate(d, {name: size, str(BATCH): 1}) > 0 for d in dims)
