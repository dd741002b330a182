"""Interpolation and its gradient: resize.cu."""

from __future__ import annotations

from math import prod

from graphdsl.backends.cuda.array import all_of
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import THREADS, Arrays, Gpu, index_type, launches
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i64
from graphdsl.backends.layout import interpolation
from graphdsl.ir import Call
from graphdsl.ops import Interpolate


class interpolate_args(Arguments):
    _fields_ = (
        *(("x", address), ("weights", address), ("firsts", address), ("y", address)),
        *(("outer", i64), ("before", i64), ("after", i64), ("inner", i64), ("most", i64)),
    )


@launches(Interpolate)
def interpolate(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A thread a number, by a table of each place's first operand and weights."""
    (x,), (y,), op = inputs, outputs, call.op
    assert isinstance(op, Interpolate)
    if not all_of("float32", x) or not y.size:
        return None
    before, after = x.shape[op.axis], y.shape[op.axis]
    weights, firsts, _ = interpolation(op, before, after)
    tables = (gpu.constant(weights), gpu.constant(firsts))
    sizes = (prod(x.shape[: op.axis]), before, after, prod(x.shape[op.axis + 1 :]), weights.shape[1])
    arguments = interpolate_args(x.address, *(t.address for t in tables), y.address, *sizes)
    unit = Unit("resize", f"interpolate<{index_type(y.size)}>", interpolate_args)
    return Plan((Launch(unit, gpu.grid(y.size), THREADS, arguments, keeps=tables),))
