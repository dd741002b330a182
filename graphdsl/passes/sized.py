"""Pass: free sizes become numbers.

    image [batch, H, W, 3]                        image [1, 240, 320, 3]
    conv ── step mask(lengths/H) ── reduce        conv ── reduce

A graph with free sizes serves sequences of every length in one batch, and pays for it with masks. Where all samples
have one size that somebody knows beforehand (the octaves of a dream), the masks have nothing to do.

Assumes  sizes has a number for every free name of the graph, the batch among them.
Gives    the same numbers for samples of that size, none of them padded. Inputs `lengths/…` are constants.
Leaves   what follows from constants to `simplify`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np

from graphdsl.ir import BATCH, Builder, Constant, Graph, Input, Node, Operator, TensorType, Value, rebuild
from graphdsl.ops import StepMask

LENGTHS = "lengths/"


def sized(graph: Graph, sizes: Mapping[str, int]) -> Graph:
    """graph for samples of these sizes; `batch` is how many there are."""
    return rebuild(graph, partial(_rule, sizes))


def _rule(
    sizes: Mapping[str, int], b: Builder, name: str, node: Node, operands: tuple[Value, ...]
) -> tuple[Value, ...] | None:
    if isinstance(node.op, StepMask):
        return operands[:1]
    if isinstance(node.op, Input) and name.startswith(LENGTHS):
        length = sizes[name.removeprefix(LENGTHS)]
        lengths = np.full(sizes[str(BATCH)], length, node.types[0].dtype.numpy)
        return b.emit_all(Constant.array(lengths), name=name, exact=True)
    return b.emit_all(_bound(node.op, sizes), *operands, name=name, exact=True)


def _bound(op: Operator, sizes: Mapping[str, int]) -> Operator:
    """The operator with numbers for sizes, in the types among its settings too."""
    known: dict[str, Any] = {f.name: getattr(op, f.name) for f in fields(op)}  # type: ignore[arg-type]
    types = {name: v.with_shape(v.bind(sizes)) for name, v in known.items() if isinstance(v, TensorType)}
    return (replace(op, **types) if types else op).bound(sizes)  # type: ignore[type-var]
