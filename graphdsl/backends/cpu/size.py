"""Sizes as numbers to calculate with: size.c."""

from __future__ import annotations

import numpy as np

from graphdsl.backends.cpu.small import small
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, binds, i64, pointer
from graphdsl.ir import Call, Dim, LengthOf
from graphdsl.ops import DimNumber

PUSH, LENGTH, ADD, MULTIPLY, DIVIDE = range(5)
MOST_CODE = 64
"""The stack in C is as deep as this; no more than every instruction can push."""


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


def postfix(dim: Dim) -> list[tuple[int, int]]:
    """What the machine in C does to work out a size from the one length it depends on."""
    if isinstance(dim, int):
        return [(PUSH, dim)]
    code = [(PUSH, 0)]
    for monomial, coefficient in dim.terms:
        code.append((PUSH, coefficient))
        for atom in monomial:
            code += [(LENGTH, 0)] if isinstance(atom, str) else [*postfix(atom.numerator), (DIVIDE, atom.denominator)]
            code.append((MULTIPLY, 0))
        code.append((ADD, 0))
    return code
