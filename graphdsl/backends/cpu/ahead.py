"""A formula and the convolution that reads its result, in one call.

Where the convolution is done in AMX tiles (conv_amx.c) or by Winograd in blocks of tiles (winograd.c) it works the
formula out itself, some lines at a time just before it lays them out, and reads them from the cache. Otherwise the
formula runs first.
"""

from __future__ import annotations

import ctypes
from dataclasses import replace

from graphdsl.backends.cpu.conv_amx import conv_amx_pack_task, conv_amx_task
from graphdsl.backends.cpu.formula import epilogue
from graphdsl.backends.cpu.task import BINDERS, Arrays, Machine, Plan, Task, all_float32, binds, pointer
from graphdsl.backends.cpu.winograd import winograd_pack_task, winograd_task
from graphdsl.ir import Array, Call
from graphdsl.ops import Ahead

PACKING = (conv_amx_pack_task, winograd_pack_task)
LARGE = 1 << 20
"""Bytes of the formula's result from which it pays: less stays in the caches anyway."""
MANY = 4
"""Images for each thread, which gets whole ones."""


@binds(Ahead)
def ahead(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    op, (x, *results) = call.op, outputs
    assert isinstance(op, Ahead)
    first, others = op.split(inputs)
    places = op.placed(-1, range(len(first), len(inputs)))
    fixed = frozenset(i for i, place in enumerate(places) if place in machine.fixed)
    passed = 2 * x.size + sum(a.size for a in first) if _pays(x, machine) else 0
    told = replace(machine, fixed=fixed, ahead=passed)
    consumer = _plan(Call("", op.consumer, (), ()), op.placed(x, others), results, told)
    if consumer is None:
        return None
    task = epilogue(machine.library, op.formula, first, x, -1) if all_float32(x, *others) else None
    if task is not None and _rides(consumer, task, x, machine):
        return consumer
    formula = _plan(Call("", op.formula, (), ()), first, [x], machine)
    return Plan((*formula.steps, *consumer.steps), consumer.once) if formula else None


def _plan(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    binder = BINDERS.get(type(call.op))
    return binder(call, inputs, outputs, machine) if binder else None


def _pays(x: Array, machine: Machine) -> bool:
    """Whether blocks of tiles are worth making x for themselves."""
    return x.nbytes >= LARGE and len(x) >= MANY * machine.threads


def _rides(consumer: Plan, formula: Task, x: Array, machine: Machine) -> bool:
    """Lets the consumer's first sweep work the formula out; False where it cannot, or would not gain."""
    sweeps = [s.task for s in consumer.steps if not isinstance(s.task, PACKING)]
    task = sweeps[0] if sweeps else None
    if not isinstance(task, conv_amx_task | winograd_task) or task.x != pointer(x) or x.nbytes < LARGE:
        return False
    if isinstance(task, winograd_task):
        if task.parts or not _pays(x, machine):
            return False
    elif task.images < MANY * machine.threads and not (task.limit >= 0 and task.panel_shares == 1):
        return False
    else:
        task.line_shares, task.panel_shares = machine.threads, 1
    task.before = ctypes.addressof(formula)
    task.keeps = (task.keeps, formula)
    return True
