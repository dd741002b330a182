"""Calls that are alike become one launch: the updates of a network's weights, its running averages (elementwise.cu).

A launch costs microseconds, an update of a few hundred weights does not. Calls of one formula wait for the last of them
as long as nobody needs what an earlier one makes, or writes over what it reads:

    update a   … b = f(c) …   update d   … e = g(a) …   update h           a and d in one launch, behind d; h alone
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.device import Device
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import Gpu
from graphdsl.backends.cuda.order import Planned, ended
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i64
from graphdsl.report import dataclass

ROW, SHORT = "elementwise<1, ", ", u32>"
"""How the kernels begin and end that may be put together: formulas over one row of fewer than 2^31 elements."""


class many_args(Arguments):
    _fields_ = (("entries", address), ("ends", address), ("count", i64))


@dataclass(frozen=True)
class Together:
    """Calls in one launch."""

    calls: tuple[Planned, ...]
    inputs: tuple[DeviceArray, ...]
    outputs: tuple[DeviceArray, ...]
    plan: Plan


def together(calls: Sequence[Planned], device: Device) -> list[Planned]:
    """The calls, alike ones as one, each where the last of its members stood."""
    before = ended(calls)
    open_: dict[Unit, list[int]] = {}
    groups: dict[int, list[int]] = {}
    for number, call in enumerate(calls):
        needed = [unit for unit, members in open_.items() if any(before[number] >> m & 1 for m in members)]
        for unit in needed:
            members = open_.pop(unit)
            groups[members[-1]] = members
        if _may(call):
            open_.setdefault(call.plan.launches[0].unit, []).append(number)
    groups |= {members[-1]: members for members in open_.values()}
    gone = {n for members in groups.values() if len(members) > 1 for n in members[:-1]}
    made: list[Planned] = []
    for number, call in enumerate(calls):
        members = groups.get(number, [])
        if number not in gone:
            made.append(_joined([calls[m] for m in members], device) if len(members) > 1 else call)
    return made


def _may(call: Planned) -> bool:
    launches = call.plan.launches
    kernels = [launch.unit.expression for launch in launches]
    return len(kernels) == 1 and kernels[0].startswith(ROW) and kernels[0].endswith(SHORT)


def _joined(calls: Sequence[Planned], device: Device) -> Together:
    """One launch: a table of the calls' own arguments, and of the blocks that each takes."""
    launches = [call.plan.launches[0] for call in calls]
    first = launches[0].unit
    table = np.frombuffer(b"".join(bytes(x.arguments) for x in launches), np.uint8)
    ends = np.array(list(accumulate(x.grid[0] for x in launches)), np.int32)
    tables = tuple(Gpu(device).constant(array) for array in (table, ends))
    vector = first.expression.removeprefix(ROW).partition(",")[0]
    unit = Unit(first.stem, f"elementwise_many<{vector}>", many_args, first.code)
    arguments = many_args(*(t.address for t in tables), len(calls))
    assert ctypes.sizeof(first.arguments) % 8 == 0, "entries follow each other without gaps"
    keeps = (*tables, *(array for x in launches for array in x.keeps))
    launch = Launch(unit, (int(ends[-1]), 1, 1), launches[0].block, arguments, keeps=keeps)
    return Together(
        tuple(calls),
        tuple(a for call in calls for a in call.inputs),
        tuple(a for call in calls for a in call.outputs),
        Plan((launch,)),
    )
