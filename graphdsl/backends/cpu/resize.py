"""Interpolation and its gradient: resize.c."""

from __future__ import annotations

from math import prod

from graphdsl.backends.cpu.small import small
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, all_float32, binds, i64, pointer
from graphdsl.backends.layout import interpolation
from graphdsl.ir import Call
from graphdsl.ops import Interpolate


class interpolate_task(Task):
    _fields_ = (
        *(("x", address), ("weights", address), ("firsts", address), ("counts", address), ("y", address)),
        *(("outer", i64), ("before", i64), ("after", i64), ("inner", i64), ("most", i64)),
    )


@binds(Interpolate)
def interpolate(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """The table of shares, as each result's first operand and its weights from there on."""
    (x,), (y,), op = inputs, outputs, call.op
    assert isinstance(op, Interpolate)
    if not all_float32(x):
        return None
    before, after = x.shape[op.axis], y.shape[op.axis]
    weights, firsts, counts = interpolation(op, before, after)
    tables = (weights, firsts, counts)
    outer, inner = prod(x.shape[: op.axis]), prod(x.shape[op.axis + 1 :])
    sizes = (outer, before, after, inner, weights.shape[1])
    task = interpolate_task(pointer(x), *(pointer(t) for t in tables), pointer(y), *sizes)
    return Plan((machine.step("interpolate", task, serial=small(2 * max(x.size, y.size)), keeps=tables),))
