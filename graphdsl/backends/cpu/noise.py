"""Random numbers, the same as everywhere: noise.c."""

from __future__ import annotations

from graphdsl.backends.cpu.small import small
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, binds, i64, pointer
from graphdsl.ir import Call
from graphdsl.ops import RandomUniform


class random_uniform_task(Task):
    _fields_ = (("counter", address), ("y", address), ("key", i64), ("count", i64))


@binds(RandomUniform)
def random_uniform(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """The same numbers for the same counter."""
    (counter,), (y,), op = inputs, outputs, call.op
    assert isinstance(op, RandomUniform)
    task = random_uniform_task(pointer(counter), pointer(y), op.key, y.size)
    return Plan((machine.step("random_uniform", task, serial=small(2 * y.size)),))
