"""Long short-term memory over whole sequences: lstm.c and lstm_gradient.c."""

from __future__ import annotations

from graphdsl.backends.cpu.recurrence import MANY_ROWS, MOST_ROWS, alone, given, padded, served
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, binds, i64, pointer
from graphdsl.ir import Call
from graphdsl.ops import Lstm, LstmGradient

GATES = 4


class lstm_task(Task):
    _fields_ = (
        *((n, address) for n in ("x", "recurrent", "lengths", "hidden", "last", "gates", "cells")),
        *((n, i64) for n in ("batch", "time", "units", "reverse")),
    )


class lstm_gradient_task(Task):
    _fields_ = (
        *((n, address) for n in ("recurrent", "hidden", "gates", "cells", "dhidden", "dlast", "lengths")),
        *((n, address) for n in ("dx", "drecurrent")),
        *((n, i64) for n in ("batch", "time", "units", "reverse", "parts")),
    )


@binds(Lstm)
def lstm(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    op, (x, recurrent, *lengths) = call.op, inputs
    assert isinstance(op, Lstm)
    if not served(x, recurrent, lengths):
        return None
    batch, time, _ = x.shape
    units = len(recurrent)
    task = lstm_task(
        pointer(x), pointer(recurrent), given(lengths), *map(pointer, outputs), batch, time, units, op.reverse
    )
    wide = padded(units, machine)
    own = 4 * wide * (units * GATES + 3 * MANY_ROWS)
    return Plan((machine.step("lstm", task, serial=alone(x, recurrent), own=own),))


@binds(LstmGradient)
def lstm_gradient(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    op, (recurrent, hidden, gates, cells, *rest) = call.op, inputs
    assert isinstance(op, LstmGradient)
    dhidden, dlast = ([rest.pop(0)] if wanted else [] for wanted in (op.steps, op.last))
    if not served(gates, recurrent, rest):
        return None
    batch, time, width = gates.shape
    units = len(recurrent)
    serial = alone(gates, recurrent)
    parts = 1 if serial else machine.threads
    task = lstm_gradient_task(
        *(pointer(recurrent), pointer(hidden), pointer(gates), pointer(cells)),
        *(given(dhidden), given(dlast), given(rest), pointer(outputs[0]), pointer(outputs[1])),
        *(batch, time, units, op.reverse, parts),
    )
    own, shared = 4 * padded(units, machine) * (width + 3 * MOST_ROWS), 4 * parts * units * width
    walk = machine.step("lstm_gradient", task, serial=serial, own=own, shared=shared)
    return Plan((walk, machine.step("lstm_gradient_sum", task, serial=units * width < 1 << 14, shared=shared)))
