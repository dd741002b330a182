"""The largest over axes: aggregate.c."""

from __future__ import annotations

from math import prod

from graphdsl.backends.cpu.small import small
from graphdsl.backends.cpu.task import (
    Arrays,
    Machine,
    Plan,
    Step,
    Task,
    address,
    all_float32,
    binds,
    i64,
    pointer,
    room,
)
from graphdsl.ir import Call
from graphdsl.ops import Max


class max_task(Task):
    _fields_ = (("x", address), ("y", address), ("outer", i64), ("size", i64), ("inner", i64))


@binds(Max)
def largest(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """One step for each run of neighbouring axes, the last run first."""
    (x,), (y,), op = inputs, outputs, call.op
    assert isinstance(op, Max)
    if not all_float32(x) or x.size == 0:
        return None
    steps: list[Step] = []
    runs = _runs([a for a in op.axes if x.shape[a] != 1]) or [(0, 0)]
    shape = list(x.shape) or [1]
    for number, (first, last) in enumerate(reversed(runs), 1):
        sizes = prod(shape[:first]), prod(shape[first:last]), prod(shape[last:])
        target = y if number == len(runs) else room(sizes[0] * sizes[2])
        task = max_task(pointer(x), pointer(target), *sizes)
        name = "max_of_rows" if sizes[2] == 1 else "max_of_columns"
        steps.append(machine.step(name, task, serial=small(x.size), keeps=(x,)))
        shape[first:last], x = [1] * (last - first), target
    return Plan(tuple(steps))


def _runs(axes: list[int]) -> list[tuple[int, int]]:
    """Neighbours among axes together, as first and behind the last: [1, 2, 4] is [(1, 3), (4, 5)]."""
    found: list[tuple[int, int]] = []
    for axis in sorted(axes):
        if found and found[-1][1] == axis:
            found[-1] = (found[-1][0], axis + 1)
        else:
            found.append((axis, axis + 1))
    return found
