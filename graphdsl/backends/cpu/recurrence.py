"""Recurrent layers over whole sequences: recurrence.c walks the cells of lstm.c and gru.c through time."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, all_float32, binds, i64, pointer
from graphdsl.ir import Array, Call
from graphdsl.ops import Gru, GruGradient, Lstm, LstmGradient

SERIAL = 100_000
"""Multiplications that one thread is through with by the time that another has begun."""

TILE_ROWS = 7
"""Rows of a batch, for each thread, from which on AMX tiles are faster than vectors."""

TILE_STEPS = 8
"""Steps that the way back in tiles saves up."""

PAIR = 2048
"""Bytes of two AMX tiles."""

BLOCK = 1 << 19
"""Bytes of flows that are kept until the gradients of the weights grow by them: they stay in the second cache."""


class recurrence_task(Task):
    _fields_ = (
        *((n, address) for n in ("x", "kernel", "recurrent", "bias", "heard_bias", "lengths")),
        *((n, address) for n in ("hidden", "last", "gates", "kept")),
        *((n, i64) for n in ("batch", "time", "features", "units", "reverse", "tiles")),
    )


class recurrence_gradient_task(Task):
    _fields_ = (
        *((n, address) for n in ("x", "kernel", "recurrent", "hidden", "gates", "kept")),
        *((n, address) for n in ("dhidden", "dlast", "lengths")),
        *((n, address) for n in ("dx", "dkernel", "drecurrent", "dbias", "dheard_bias")),
        *((n, i64) for n in ("batch", "time", "features", "units", "reverse")),
        *((n, i64) for n in ("parts", "rows", "block", "tiles")),
    )


@binds(Lstm, Gru)
def recurrence(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    op, (x, kernel, recurrent, *rest) = call.op, inputs
    assert isinstance(op, Lstm | Gru)
    biases = 2 if isinstance(op, Gru) else int(op.biased)
    given, lengths = rest[:biases], rest[biases:]
    if not _served(x, kernel, recurrent, lengths):
        return None
    made: list[Array | None] = [None] * 4
    for place, array in zip(op.gives, outputs, strict=True):
        made[place] = array
    batch, _, features = x.shape
    units, width = recurrent.shape
    alone = _alone(x, recurrent)
    tiles = _in_tiles(batch, alone, machine)
    task = recurrence_task(
        *map(_pointer, (x, kernel, recurrent)),
        *map(_pointer, [*given, None, None][:2]),
        _pointer(lengths[0] if lengths else None),
        *map(_pointer, made),
        *(*x.shape, units, op.reverse, tiles),
    )
    wide, gates = _padded(units, machine), width // max(units, 1)
    if tiles:
        depth = _up(features, 32) + _up(units, 32)
        own = wide // 16 * (256 + depth * gates * PAIR) + 4 * PAIR + 2 * (32 * depth * 64 + 3 * 64 * wide) + 6 * 64
    else:
        own = 4 * wide * (4 + gates * (features + units) + 3 * _rows(machine))
    return Plan((machine.step(op.name, task, serial=alone, own=own),))


@binds(LstmGradient, GruGradient)
def recurrence_gradient(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    op, (x, kernel, recurrent, hidden, gates, kept, *rest) = call.op, inputs
    assert isinstance(op, LstmGradient | GruGradient)
    arrived = [rest.pop(0) if wanted else None for wanted in (op.steps, op.last)]
    if not _served(x, kernel, recurrent, rest):
        return None
    made: list[Array | None] = [None] * 5
    for place, array in zip(op.gives, outputs, strict=True):
        made[place] = array
    (batch, time, features), units, width = x.shape, len(recurrent), gates.shape[2]
    alone, flows = _alone(x, recurrent), 2 if isinstance(op, GruGradient) else 1
    parts, tiles = 1 if alone else machine.threads, _in_tiles(batch, alone, machine)
    rows = 16 if tiles else 12 if machine.lanes == 16 else 6
    longest = max(BLOCK // (4 * flows * rows * max(width, 1)), 1)
    block = TILE_STEPS if tiles else -(-time // max(_up(time, longest), 1))
    task = recurrence_gradient_task(
        *map(_pointer, (x, kernel, recurrent, hidden, gates, kept, *arrived, rest[0] if rest else None, *made)),
        *(batch, time, features, units, op.reverse, parts, rows, block, tiles),
    )
    wide = _padded(units, machine)
    own = 4 * (width * (wide + _padded(features, machine)) + 3 * rows * wide)
    own += 4 * flows * width * (16 if tiles else rows * block)
    own += _room(features, units, width, flows) if tiles else 0
    shared = 4 * parts * (units + features + 2) * width
    walk = machine.step(op.name, task, serial=parts == 1, own=own, shared=shared)
    total = machine.step(f"{op.name}_sum", task, serial=(units + features) * width < 1 << 14, shared=shared)
    return Plan((walk, total))


def _room(features: int, units: int, width: int, flows: int) -> int:
    """Bytes that the way back in tiles takes: see room_of in recurrence_amx_back.c."""
    depth, x, h = _up(width, 32), *(_up(n, 32) * 2 for n in (features, units))
    tiles = 2 * (x + h) * depth + 2 * flows * depth + 2 + 4 * (max(x, h) + flows * 2 * depth)
    return tiles * PAIR + 9 * 64


def _served(x: Array, kernel: Array, recurrent: Array, lengths: Sequence[Array]) -> bool:
    """Whether C knows the numbers."""
    return all_float32(x, kernel, recurrent) and all(a.dtype == np.int32 for a in lengths)


def _pointer(array: Array | None) -> int | None:
    return None if array is None else pointer(array)


def _padded(units: int, machine: Machine) -> int:
    """Whole vectors."""
    return -(-units // machine.lanes) * machine.lanes


def _up(n: int, unit: int) -> int:
    """How many units hold n."""
    return -(-n // unit)


def _rows(machine: Machine) -> int:
    """Rows of a batch that C takes together, at most."""
    return ctypes.c_int64.in_dll(machine.library.c, "recurrence_rows").value


def _in_tiles(batch: int, alone: bool, machine: Machine) -> bool:
    """Whether products are taken in AMX tiles, which have sixteen rows."""
    rows = batch if alone else batch // machine.threads
    return machine.library.tiles and machine.fast and rows >= TILE_ROWS


def _alone(x: Array, recurrent: Array) -> bool:
    """Whether one thread should walk all rows."""
    work = x.shape[0] * x.shape[1] * (x.shape[2] + len(recurrent)) * recurrent.shape[1]
    return work < SERIAL or len(x) == 1
