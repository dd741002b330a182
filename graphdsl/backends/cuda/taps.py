"""Weighted sums along an axis: taps.cu."""

from __future__ import annotations

from math import prod

import numpy as np

from graphdsl.backends.cuda.array import all_of
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import THREADS, Arrays, Gpu, index_type, launches
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i64
from graphdsl.ir import Call
from graphdsl.ops import Taps


class taps_args(Arguments):
    _fields_ = (
        *(("x", address), ("weights", address), ("places", address), ("counts", address), ("y", address)),
        *(("outer", i64), ("before", i64), ("after", i64), ("inner", i64), ("most", i64)),
    )


@launches(Taps)
def taps(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A thread a number, by tables of each result's places and weights."""
    (x,), (y,), op = inputs, outputs, call.op
    assert isinstance(op, Taps)
    if not all_of("float32", x) or not y.size:
        return None
    places, weights, counts = op.tables()
    tables = (gpu.constant(weights.astype(np.float32)), gpu.constant(places), gpu.constant(counts))
    outer, inner = prod(x.shape[: op.axis]), prod(x.shape[op.axis + 1 :])
    sizes = (outer, op.size, len(op.pairs), inner, places.shape[1])
    arguments = taps_args(x.address, *(t.address for t in tables), y.address, *sizes)
    unit = Unit("taps", f"taps<{index_type(y.size)}>", taps_args)
    return Plan((Launch(unit, gpu.grid(y.size), THREADS, arguments, keeps=tables),))
