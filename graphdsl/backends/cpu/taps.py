"""Weighted sums along an axis: taps.c."""

from __future__ import annotations

from math import prod

import numpy as np

from graphdsl.backends.cpu.small import small
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, all_float32, binds, i64, pointer
from graphdsl.ir import Call
from graphdsl.ops import Taps


class taps_task(Task):
    _fields_ = (
        *(("x", address), ("weights", address), ("places", address), ("counts", address), ("y", address)),
        *(("outer", i64), ("before", i64), ("after", i64), ("inner", i64), ("most", i64)),
    )


@binds(Taps)
def taps(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """Tables of places and weights, a row a result."""
    (x,), (y,), op = inputs, outputs, call.op
    assert isinstance(op, Taps)
    if not all_float32(x):
        return None
    places, weights, counts = op.tables()
    tables = (weights.astype(np.float32), places, counts)
    outer, inner = prod(x.shape[: op.axis]), prod(x.shape[op.axis + 1 :])
    sizes = (outer, op.size, len(op.pairs), inner, places.shape[1])
    task = taps_task(pointer(x), *(pointer(t) for t in tables), pointer(y), *sizes)
    return Plan((machine.step("taps", task, serial=small(2 * max(x.size, y.size)), keeps=tables),))
