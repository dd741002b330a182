"""Maxima of windows and of whole sequences, and the ways back: max_pool.c."""

from __future__ import annotations

from graphdsl.backends.cpu.small import small
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, all_float32, binds, i64, pointer
from graphdsl.backends.cpu.window import GEOMETRY
from graphdsl.backends.layout import window_numbers
from graphdsl.ir import Call, Operator
from graphdsl.ops import GlobalMaxPool, MaxPool, MaxPoolGradient, PutWinners, TakeWinners


class max_pool_task(Task):
    _fields_ = (("x", address), ("y", address), ("winner", address), *GEOMETRY)


class max_pool_gradient_task(Task):
    _fields_ = (("dy", address), ("winner", address), ("dx", address), *GEOMETRY)


class winners_task(Task):
    _fields_ = (
        *(("x", address), ("y", address), ("winner", address)),
        *(("batch", i64), ("size", i64), ("places", i64), ("channels", i64)),
    )


@binds(MaxPool)
def max_pool(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """Maxima of windows, and where they stood."""
    op, (x,), (y, winner) = call.op, inputs, outputs
    assert isinstance(op, MaxPool)
    if not all_float32(x) or x.ndim not in (3, 4):
        return None
    numbers = window_numbers(x.shape, y.shape, op.size, op.stride, op.pad)
    task = max_pool_task(pointer(x), pointer(y), pointer(winner), *numbers)
    return Plan((machine.step("max_pool", task, serial=small(x.size, y.size)),))


@binds(MaxPoolGradient)
def max_pool_gradient(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """The way back from windows."""
    op, (dy, winner), (dx,) = call.op, inputs, outputs
    assert isinstance(op, MaxPoolGradient)
    if not all_float32(dy) or dx.ndim not in (3, 4):
        return None
    numbers = window_numbers(dx.shape, dy.shape, op.size, op.stride, op.pad)
    task = max_pool_gradient_task(pointer(dy), pointer(winner), pointer(dx), *numbers)
    return Plan((machine.step("max_pool_gradient", task, serial=small(dx.size)),))


@binds(GlobalMaxPool)
def global_max_pool(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """Maxima over all steps, and where they stood."""
    (x,), (y, winner) = inputs, outputs
    if not all_float32(x):
        return None
    batch, size, channels = x.shape
    task = winners_task(pointer(x), pointer(y), pointer(winner), batch, size, 1, channels)
    return Plan((machine.step("global_max_pool", task, serial=small(x.size, y.size)),))


@binds(PutWinners, TakeWinners)
def moved_winners(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """To the winners, and from them."""
    (x, winner), (y,) = inputs, outputs
    if not all_float32(x) or winner.dtype != "int32":
        return None
    batch, places, channels = winner.shape
    size = (y if _puts(call.op) else x).shape[1]
    task = winners_task(pointer(x), pointer(y), pointer(winner), batch, size, places, channels)
    return Plan((machine.step(call.op.name, task, serial=small(x.size, y.size)),))


def _puts(op: Operator) -> bool:
    return isinstance(op, PutWinners)
