"""The same numbers elsewhere: shape.c."""

from __future__ import annotations

from math import prod

import numpy as np

from graphdsl.backends.cpu.small import small
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Step, Task, address, binds, i64, pointer
from graphdsl.backends.layout import joined_axes
from graphdsl.ir import Array, Call
from graphdsl.ops import Reshape, Transpose


class copy_task(Task):
    _fields_ = (("x", address), ("y", address), ("bytes", i64))


class transpose_task(Task):
    _fields_ = (
        *(("x", address), ("y", address), ("sizes", address), ("strides", address)),
        *(("rank", i64), ("turned", i64)),
    )


def copied(x: Array, y: Array, machine: Machine) -> Plan:
    """y is filled with the bytes of x."""
    task = copy_task(pointer(x), pointer(y), y.nbytes)
    return Plan((machine.step("copy", task, serial=small(y.size)),))


@binds(Reshape)
def reshape(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """A copy, where memory has to move at all."""
    return copied(inputs[0], outputs[0], machine)


@binds(Transpose)
def transpose(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """Axes that stay neighbours are one; then rows are copied, or squares turned over."""
    (x,), (y,), op = inputs, outputs, call.op
    assert isinstance(op, Transpose)
    groups = joined_axes(op.axes, x.shape)
    if len(groups) <= 1 or y.size == 0:
        return copied(x, y, machine)
    sizes = [prod(x.shape[a] for a in group) for group in groups]
    strides = [prod(x.shape[group[-1] + 1 :]) * x.itemsize for group in groups]
    innermost = max(group[-1] for group in groups)
    if groups[-1][-1] == innermost:
        sizes[-1] *= x.itemsize
        return Plan((_step("transpose_rows", x, y, sizes, strides, -1, machine),))
    turned = next(i for i, group in enumerate(groups) if group[-1] == innermost)
    if x.itemsize != 4:
        return Plan((_step("transpose_rows", x, y, [*sizes, x.itemsize], [*strides, 1], -1, machine),))
    return Plan((_step("transpose_squares", x, y, sizes, strides, turned, machine),))


def _step(name: str, x: Array, y: Array, sizes: list[int], strides: list[int], turned: int, machine: Machine) -> Step:
    tables = np.array([sizes, strides], np.int64)
    task = transpose_task(pointer(x), pointer(y), pointer(tables[0]), pointer(tables[1]), len(sizes), turned)
    return machine.step(name, task, serial=small(2 * y.size), keeps=(tables,))
