"""Rows of a table, and the way back: embedding.c."""

from __future__ import annotations

from graphdsl.backends.cpu.small import small
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, all_float32, binds, i64, pointer
from graphdsl.ir import Call
from graphdsl.ops import Gather, ScatterAdd

SIZES = (("rows", i64), ("features", i64), ("count", i64), ("words", i64))


class gather_task(Task):
    _fields_ = (("table", address), ("places", address), ("y", address), *SIZES)


class scatter_add_task(Task):
    _fields_ = (("x", address), ("places", address), ("table", address), *SIZES)


@binds(Gather)
def gather(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """Rows of a table, in words of four bytes."""
    (table, places), (y,) = inputs, outputs
    if table.itemsize != 4:
        return None
    sizes = (*table.shape, places.size, places.itemsize // 4)
    task = gather_task(pointer(table), pointer(places), pointer(y), *sizes)
    return Plan((machine.step("gather", task, serial=small(2 * y.size)),))


@binds(ScatterAdd)
def scatter_add(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """Each thread clears its part of the table and adds what belongs there."""
    (x, places), (table,) = inputs, outputs
    if not all_float32(x):
        return None
    sizes = (*table.shape, places.size, places.itemsize // 4)
    task = scatter_add_task(pointer(x), pointer(places), pointer(table), *sizes)
    return Plan((machine.step("scatter_add", task, serial=small(table.size, 2 * x.size)),))
