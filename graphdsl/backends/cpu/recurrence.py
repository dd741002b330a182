"""What the calls of recurrent layers share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphdsl.backends.cpu.task import Machine, all_float32, pointer
from graphdsl.ir import Array

MANY_ROWS = 48
"""Rows of a batch that a thread walks together forward, at most."""

MOST_ROWS = 8
"""The same on the way back."""

SERIAL = 100_000
"""Multiplications that one thread is through with by the time that another has begun."""


def served(x: Array, recurrent: Array, lengths: Sequence[Array]) -> bool:
    """Whether C knows the numbers."""
    return all_float32(x, recurrent) and all(a.dtype == np.int32 for a in lengths)


def given(array: Sequence[Array]) -> int | None:
    """The address of what may be left out."""
    return pointer(array[0]) if array else None


def padded(units: int, machine: Machine) -> int:
    """Whole vectors."""
    return -(-units // machine.lanes) * machine.lanes


def alone(x: Array, recurrent: Array) -> bool:
    """Whether one thread should walk all rows."""
    return x.size * len(recurrent) < SERIAL or len(x) == 1
