"""Scores become probabilities: softmax.c."""

from __future__ import annotations

from graphdsl.backends.cpu.small import small
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, all_float32, binds, i64, pointer
from graphdsl.ir import Call
from graphdsl.ops import Softmax


class softmax_task(Task):
    _fields_ = (("x", address), ("y", address), ("rows", i64), ("classes", i64))


@binds(Softmax)
def softmax(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """Rows of scores."""
    (x,), (y,) = inputs, outputs
    if not all_float32(x) or x.size == 0:
        return None
    classes = x.shape[-1]
    task = softmax_task(pointer(x), pointer(y), x.size // classes, classes)
    return Plan((machine.step("softmax", task, serial=small(3 * x.size)),))
