"""Steps behind the end of a sequence: mask.c."""

from __future__ import annotations

from math import prod

import numpy as np

from graphdsl.backends.cpu.small import small
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, binds, i64, pointer
from graphdsl.ir import Call
from graphdsl.ops import StepMask


class step_mask_task(Task):
    _fields_ = (
        *(("x", address), ("lengths", address), ("y", address)),
        *(("batch", i64), ("between", i64), ("steps", i64), ("width", i64), ("fill", i64)),
    )


@binds(StepMask)
def step_mask(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """Words of four bytes, whatever they mean."""
    (x, lengths), (y,), op = inputs, outputs, call.op
    assert isinstance(op, StepMask)
    if x.itemsize != 4 or lengths.dtype != np.int32:
        return None
    between, width = prod(x.shape[1 : op.axis]), prod(x.shape[op.axis + 1 :])
    fill = int(np.array(op.fill, x.dtype).view(np.int32))
    sizes = (len(x), between, x.shape[op.axis], width, fill)
    task = step_mask_task(pointer(x), pointer(lengths), pointer(y), *sizes)
    return Plan((machine.step("step_mask", task, serial=small(2 * x.size)),))
