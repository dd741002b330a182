"""Formulas over whole tensors."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from math import prod

from graphdsl.backends.cpu.formula import Lying, bound
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, binds, i64
from graphdsl.ir import Array, Call
from graphdsl.ops import Elementwise

SERIAL_ELEMENTS = 8192
"""Elements times operations up to which one thread is as fast as several."""
UNIT = 64
"""Columns that are shared out together."""


class elementwise_task(Task):  # noqa: N801 - the struct's name in C
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


@binds(Elementwise)
def elementwise(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    assert isinstance(call.op, Elementwise)
    if not inputs or any(not a.flags.c_contiguous for a in (*inputs, *outputs)):
        return None
    arrays = [*inputs, outputs[0]]
    shape, strides = coalesced(arrays, outputs[0].shape)
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
    small = outputs[0].size * (1 + len(inputs)) <= SERIAL_ELEMENTS
    return Plan((machine.step("elementwise", task, serial=small),))


def coalesced(arrays: Sequence[Array], whole: tuple[int, ...]) -> tuple[list[int], list[list[int]]]:
    """The shape with as few axes as possible, two at least, and each array's strides along them, in elements.

    Neighbours that every array has, or lacks, together become one axis: [32, 28, 28, 8] + [8] is a table of 25088 rows.
    """
    padded = [(1,) * (len(whole) - a.ndim) + a.shape for a in arrays]
    shape: list[int] = []
    present: list[tuple[bool, ...]] = []
    for axis, size in enumerate(whole):
        has = tuple(p[axis] != 1 for p in padded)
        if size == 1:
            continue
        if present and present[-1] == has:
            shape[-1] *= size
        else:
            shape.append(size)
            present.append(has)
    while len(shape) < 2:
        shape.insert(0, 1)
        present.insert(0, (False,) * len(arrays))
    strides = []
    for index in range(len(arrays)):
        own, step = [0] * len(shape), 1
        for axis in range(len(shape) - 1, -1, -1):
            if present[axis][index]:
                own[axis] = step
                step *= shape[axis]
        strides.append(own)
    return shape, strides
