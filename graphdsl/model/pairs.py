"""Losses that need several samples of a class in a batch, and batches that have none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from graphdsl.data import Batches, Column
from graphdsl.ir import Graph
from graphdsl.learn import Feeds, Plan
from graphdsl.ops import Triplets

FEW = 0.5
"""The part of the batches of an epoch from which on nothing is said."""


def unpaired(graph: Graph, plans: Sequence[Plan], feeds: Sequence[Feeds]) -> list[str]:
    """A line for each `triplet` that finds no two samples of a class in most of the batches that are trained on."""
    found = zip(plans, feeds, strict=True)
    return [line for plan, feed in found if isinstance(feed.train, Batches) for line in _lines(graph, plan, feed.train)]


def _lines(graph: Graph, plan: Plan, batches: Batches) -> Iterator[str]:
    ends = plan.judged(graph)
    needed = ends.needed()
    targets = {graph.operands(n)[1].node for n, node in graph.items() if isinstance(node.op, Triplets) and n in needed}
    for column in batches.bound.suited:
        having, count = _with_pair(batches, column.column) if column.wanted.name in targets else (1, 1)
        if having < FEW * count:
            yield _told(column.wanted.name, having, count)


def _with_pair(batches: Batches, column: Column) -> tuple[int, int]:
    """In how many of the batches of the first epoch something is there twice, and how many there are."""
    labels = np.asarray(column.take(batches.bound.rows))[batches.order(0)]
    cut = [labels[i : i + batches.batch] for i in range(0, len(labels), batches.batch)]
    return sum(len(np.unique(part)) < len(part) for part in cut), len(cut)


def _told(target: str, having: int, count: int) -> str:
    """having: of so many batches those with a pair."""
    lacking = f"only {having} of {count} batches have" if having else "no batch has"
    little = "and `triplet` learns from these alone" if having else "so `triplet` learns nothing"
    return f"note: {lacking} two samples of one `{target}`, {little}: write `each=4` into the reader of `data`"
