"""Stated limits: what a text may ask for before it is refused. A size bomb ends in a diagnostic, in bounded time."""

from __future__ import annotations

from graphdsl.ir import Dim, Symbolic, TensorType

MAX_LAYERS = 100_000
"""Uses of layers and blocks in one spec, those of models inside it included."""

MAX_REPEATS = 100_000
"""`* n` after a layer."""

MAX_DEPTH = 64
"""How deep expressions, blocks and models may stand inside each other, counted together."""

MAX_USES = 32
"""How deep blocks, shared layers and models alone may be used inside each other."""

MAX_ELEMENTS = 2**31 - 1
"""Numbers in one tensor, for one sample."""

MAX_NUMBER = 2**63 - 1
"""The largest whole number, either way from 0."""


def is_bounded(type: TensorType) -> bool:
    """Whether a tensor of this type stays within MAX_ELEMENTS; a free dimension counts as 1."""
    total = 1
    for dim in type.shape:
        total *= max(1, _least(dim))
        if total > MAX_ELEMENTS:
            return False
    return True


def _least(dim: Dim) -> int:
    if isinstance(dim, Symbolic):
        return max(abs(coefficient) for _, coefficient in dim.terms)
    return dim
