"""Sizes as numbers to calculate with: size.c."""

from __future__ import annotations

import numpy as np

from graphdsl.backends.cpu.small import small
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, binds, i64, pointer
from graphdsl.backends.postfix import MOST_CODE, postfix
from graphdsl.ir import Call, LengthOf
from graphdsl.ops import DimNumber


class put_number_task(Task):
    _fields_ = (("y", address), ("bits", i64), ("bytes", i64))


class length_of_task(Task):
    _fields_ = (("lengths", address), ("y", address), ("code", address), ("count", i64), ("batch", i64))


@binds(DimNumber)
def dim_number(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """A number that is stored each time: its memory may have been used for something else."""
    (y,), op = outputs, call.op
    assert isinstance(op, DimNumber)
    bits = int.from_bytes(np.asarray(op.size, y.dtype).tobytes(), "little", signed=True)
    return Plan((machine.step("put_number", put_number_task(pointer(y), bits, y.nbytes), serial=True),))


@binds(LengthOf)
def length_of(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """Lengths through a formula."""
    (lengths,), (y,), op = inputs, outputs, call.op
    assert isinstance(op, LengthOf)
    code = np.array(postfix(op.dim), np.int64)
    if len(code) > MOST_CODE or lengths.dtype != np.int32:
        return None
    task = length_of_task(pointer(lengths), pointer(y), pointer(code), len(code), len(lengths))
    return Plan((machine.step("length_of", task, serial=small(len(code) * len(lengths)), keeps=(code,)),))
