"""Putting together, cutting out, padding: concat.c."""

from __future__ import annotations

from math import prod

import numpy as np

from graphdsl.backends.cpu.shape import copied
from graphdsl.backends.cpu.small import small
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, binds, i64, pointer
from graphdsl.backends.layout import box_axes
from graphdsl.ir import Array, Call
from graphdsl.ops import Concat, Pad, Slice, numbers


class join_task(Task):
    _fields_ = (
        *(("y", address), ("pieces", address), ("widths", address)),
        *(("count", i64), ("rows", i64), ("width", i64)),
    )


class box_task(Task):
    _fields_ = (
        *(("x", address), ("y", address), ("sizes", address), ("limits", address), ("offsets", address)),
        ("rank", i64),
    )


@binds(Concat)
def concat(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """One piece after another, row by row."""
    (y,), op = outputs, call.op
    assert isinstance(op, Concat)
    rows = prod(y.shape[: op.axis])
    widths = [prod(x.shape[op.axis :]) * x.itemsize for x in inputs]
    pieces, tables = np.array([pointer(x) for x in inputs], np.uintp), np.array(widths, np.int64)
    task = join_task(pointer(y), pointer(pieces), pointer(tables), len(inputs), rows, sum(widths))
    return Plan((machine.step("join", task, serial=small(2 * y.size), keeps=(pieces, tables)),))


@binds(Slice)
def cut(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """A box that begins at start."""
    assert isinstance(call.op, Slice)
    return _box(inputs[0], outputs[0], numbers(call.op.start), machine)


@binds(Pad)
def pad(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """A box that begins before x does."""
    assert isinstance(call.op, Pad)
    return _box(inputs[0], outputs[0], tuple(-n for n in numbers(call.op.before)), machine)


def _box(x: Array, y: Array, offsets: tuple[int, ...], machine: Machine) -> Plan:
    """y[place] = x[place + offsets]."""
    if x.shape == y.shape:
        return copied(x, y, machine)
    axes = box_axes(y.shape, x.shape, offsets, y.itemsize)
    tables = np.array(axes, np.int64).T.copy()
    task = box_task(pointer(x), pointer(y), *(pointer(row) for row in tables), len(axes))
    return Plan((machine.step("box", task, serial=small(2 * y.size), keeps=(tables,)),))
