"""Losses that need several samples of a class in a batch, and batches that have none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from graphdsl.data import Batches, Rows
from graphdsl.ir import Graph
from graphdsl.learn import Feeds, Plan
from graphdsl.ops import Triplets

FEW = 0.5
"""The part of the batches of an epoch from which on nothing is said."""


def unpaired(graph: Graph, plans: Sequence[Plan], feeds: Sequence[Feeds], *, read: bool) -> list[str]:
    """A line for each `triplet` that finds no two samples of a class in most of the batches that are trained on.

    read  whether the samples come from the readers of the sections, which could put them together
    """
    pairs = [(p, f.train) for p, f in zip(plans, feeds, strict=True) if isinstance(f.train, Batches)]
    return [line for plan, batches in pairs for line in _lines(plan.judged(graph), batches, read)]


def _lines(ends: Graph, batches: Batches, read: bool) -> Iterator[str]:
    needed = ends.needed()
    targets = {ends.operands(n)[1].node for n, node in ends.items() if isinstance(node.op, Triplets) and n in needed}
    for column in batches.bound.suited:
        if column.wanted.name in targets:
            labels = np.asarray(column.column.take(batches.bound.rows))
            yield from _told(column.wanted.name, labels, batches, read)


def _told(target: str, labels: Rows, batches: Batches, read: bool) -> Iterator[str]:
    """labels: of all samples that are trained on."""
    if not _pair(labels):
        yield f"note: no two samples are of one `{target}`, so `triplet` learns nothing: it needs several of each"
        return
    order = batches.order(0)
    cut = [np.unique(order[i : i + batches.batch]) for i in range(0, len(order), batches.batch)]
    having = sum(_pair(labels[places]) for places in cut)  # a sample that is taken twice is no pair with itself
    if having < FEW * len(cut):
        lacking = f"only {having} of {len(cut)} batches have" if having else "no batch has"
        little = "and `triplet` learns from these alone" if having else "so `triplet` learns nothing"
        yield f"note: {lacking} two samples of one `{target}`, {little}: {_advice(target, batches, read)}"


def _pair(labels: Rows) -> bool:
    """Whether two are of one class."""
    return len(np.unique(labels)) < len(labels)


def _advice(target: str, batches: Batches, read: bool) -> str:
    """What puts samples of a class together."""
    if (batches.each or 1) > 1:
        return f"take more samples of each `{target}`"
    return "write `each=4` into the reader of `data`" if read else "give `fit` a larger `batch`"
