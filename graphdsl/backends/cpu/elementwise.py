"""Formulas over whole tensors."""

from __future__ import annotations

import ctypes
from math import prod

from graphdsl.backends.axes import Lying, coalesced
from graphdsl.backends.cpu.formula import bound
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, binds, i64
from graphdsl.ir import Call
from graphdsl.ops import Elementwise, Formulas

SERIAL_ELEMENTS = 8192
"""Elements times operations up to which one thread is as fast as several."""
UNIT = 64
"""Columns that are shared out together."""


class elementwise_task(Task):
    _fields_ = (
        ("formula", address),
        ("sizes", address),
        ("strides", address),
        ("axes", i64),
        ("tables", i64),
        ("rows", i64),
        ("columns", i64),
        ("by_columns", i64),
    )


@binds(Elementwise, Formulas)
def elementwise(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    assert isinstance(call.op, Elementwise | Formulas)
    if not inputs or any(not a.flags.c_contiguous for a in (*inputs, *outputs)):
        return None
    arrays = [*inputs, *outputs]
    table_of = coalesced(arrays, outputs[0].shape)
    shape, strides = table_of.shape, table_of.strides
    outer, (rows, columns) = shape[:-2], shape[-2:]
    formula = bound(machine.library, call.op, arrays, [Lying(s[-2], s[-1]) for s in strides], columns)
    if formula is None:
        return None
    sizes = (ctypes.c_int64 * max(len(outer), 1))(*outer)
    flat = [n * arrays[i].itemsize for i in formula.order for n in strides[i][:-2]]
    table = (ctypes.c_int64 * max(len(flat), 1))(*flat)
    task = elementwise_task(
        formula=ctypes.addressof(formula.task),
        sizes=ctypes.addressof(sizes),
        strides=ctypes.addressof(table),
        axes=len(outer),
        tables=prod(outer),
        rows=rows,
        columns=columns,
        by_columns=prod(outer) * rows < 4 * machine.threads or columns > 16 * prod(outer) * rows,
    )
    task.keeps = (formula, sizes, table)
    small = outputs[0].size * len(arrays) <= SERIAL_ELEMENTS
    return Plan((machine.step("elementwise", task, serial=small),))
