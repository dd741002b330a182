"""Cross-entropies of rows: crossentropy.c. That of single probabilities is a formula."""

from __future__ import annotations

from dataclasses import replace

from graphdsl.backends.cpu.elementwise import elementwise
from graphdsl.backends.cpu.small import small
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, all_float32, binds, i64, pointer
from graphdsl.ir import Call
from graphdsl.ops import BinaryCrossentropy, CategoricalCrossentropy, SoftmaxCrossentropy


class crossentropy_task(Task):
    _fields_ = (("x", address), ("t", address), ("y", address), ("rows", i64), ("classes", i64))


@binds(CategoricalCrossentropy, SoftmaxCrossentropy)
def crossentropy(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """Cross-entropies of rows."""
    (x, t), (y,) = inputs, outputs
    if not all_float32(x, t) or x.size == 0:
        return None
    classes = x.shape[-1]
    task = crossentropy_task(pointer(x), pointer(t), pointer(y), x.size // classes, classes)
    return Plan((machine.step(call.op.name, task, serial=small(4 * x.size)),))


@binds(BinaryCrossentropy)
def binary_crossentropy(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """As the formula that it is."""
    assert isinstance(call.op, BinaryCrossentropy)
    return elementwise(replace(call, op=call.op.as_formula), inputs, outputs, machine)
