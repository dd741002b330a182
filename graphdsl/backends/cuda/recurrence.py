"""Recurrent layers over whole sequences: few units in one launch for all steps, many in a launch a step.

forward   inputs · kernel, one product for all steps; then the walk: recurrence.cu, or recurrence_step.cu T times
back      the walk back, which leaves what flowed into the gates; then one product for each gradient
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

import numpy as np

from graphdsl.backends.cuda.array import DeviceArray, all_of
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import Arrays, Gpu, in_turn, launches
from graphdsl.backends.cuda.linear import Steps, Tile, multiplied
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i32
from graphdsl.ir import Call
from graphdsl.ops import Gru, GruGradient, Lstm, LstmGradient, MatMul
from graphdsl.report import dataclass

FEW = 128
"""Units up to which a block keeps all recurrent weights; no more than the last of UNITS."""
SCARCE = 96
"""Units up to which all weights are in registers."""
UNITS = (16, 32, 48, 64, 96, 128)
"""What numbers of units are padded to; four lanes take 16 in a quad each."""
REGISTERS, WORKING = 1 << 16, 70
"""Registers of a processor; those of a thread that hold no weights."""
WARPS = 32
FORWARD = Tile(16, 64, 4, 4, 8, 8, 3, 0.3)
BACK = Tile(16, 16, 4, 4, 16, 4, 4, 0.3)


class recurrence_args(Arguments):
    _fields_ = (
        *((n, address) for n in ("read", "recurrent", "bias", "heard_bias", "lengths")),
        *((n, address) for n in ("hidden", "last", "gates", "kept")),
        *((n, i32) for n in ("batch", "time", "units", "reverse", "step")),
    )


class recurrence_gradient_args(Arguments):
    _fields_ = (
        *((n, address) for n in ("recurrent", "hidden", "gates", "kept", "dhidden", "dlast", "lengths")),
        *((n, address) for n in ("flowed", "heard", "sums", "dstate", "dcell")),
        *((n, i32) for n in ("batch", "time", "units", "reverse", "step")),
    )


class sums_args(Arguments):
    _fields_ = (*((n, address) for n in ("sums", "first", "second")), ("rows", i32), ("columns", i32))


@dataclass(frozen=True)
class Walk:
    """Of a cell through time. back: from the last step read to the first."""

    cell: str
    batch: int
    time: int
    units: int
    reverse: bool
    back: bool = False

    @property
    def gates(self) -> int:
        return 4 if self.cell == "lstm" else 3

    @property
    def tables(self) -> int:
        """How many kinds of flows there are into the gates: what the state brings, a GRU takes apart."""
        return 1 if self.cell == "lstm" else 2

    @property
    def ends(self) -> tuple[int, int, int, bool]:
        """What every launch is told, before the step."""
        return self.batch, self.time, self.units, self.reverse

    @property
    def steps(self) -> Iterator[int]:
        return reversed(range(self.time)) if self.reverse != self.back else iter(range(self.time))

    def rows(self, gpu: Gpu) -> int:
        """Samples of a block: as few as keep all processors at work, and one where registers are scarce."""
        return 1 if self.batch <= 2 * gpu.device.processors or self.units > SCARCE else 2

    @property
    def quads(self) -> int:
        """Of weights that a thread has for each gate."""
        return next(n for n in UNITS if self.units <= n) // 16

    @property
    def held(self) -> int:
        """Quads of weights that a thread keeps in registers."""
        free = min(REGISTERS // (ceil(64 * self.quads / 128) * 128), 255) - WORKING
        return min(self.gates * self.quads, free // 4)

    @property
    def shared(self) -> int:
        """Bytes of weights that a block keeps in shared memory: the others."""
        return (self.gates * self.quads - self.held) * 16 * 64 * self.quads

    def few(self, gpu: Gpu) -> bool:
        """Whether a block can keep all weights, so that one launch walks through all steps."""
        return self.units <= FEW and self.shared <= gpu.device.shared

    def whole(self, arguments: Arguments, gpu: Gpu, *keeps: DeviceArray) -> Launch:
        """The launch that takes groups of samples from the first step to the last."""
        quads, rows, held = self.quads, self.rows(gpu), self.held
        name = "recurrence_gradient" if self.back else "recurrence"
        unit = Unit("recurrence", f"{name}<{self.cell}_cell, {quads}, {held}, {rows}>", type(arguments))
        return Launch(unit, (ceil(self.batch / rows), 1, 1), 64 * quads, arguments, self.shared, keeps)

    def step(self, arguments: Arguments, quads: bool) -> Launch:
        """The launch of one step. quads: whether numbers are copied four at a time."""
        tile = BACK if self.back else FORWARD
        name = "recurrence_step_back" if self.back else "recurrence_step"
        text = f"{name}<{tile.text}, {self.cell}_cell, {4 if quads else 1}>"
        grid = (ceil(self.units / 16), ceil(self.batch / tile.rows), 1)
        unit = Unit("recurrence_step", text, type(arguments))
        return Launch(unit, grid, tile.threads, arguments, tile.shared(False, self.back))


@launches(Lstm, Gru)
def recurrence(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """The inputs' part of all steps as one product, then the walk."""
    op, (x, kernel, recurrent, *rest) = call.op, inputs
    assert isinstance(op, Lstm | Gru)
    biases = 2 if isinstance(op, Gru) else int(op.biased)
    given, lengths = rest[:biases], rest[biases:]
    if not _served(x, kernel, recurrent, lengths):
        return None
    (batch, time, features), (units, width), every = x.shape, recurrent.shape, x.shape[0] * x.shape[1]
    made: list[DeviceArray | None] = [None] * 4
    for place, array in zip(op.gives, outputs, strict=True):
        made[place] = array
    hidden, last, gates, kept = made
    walk = Walk("gru" if isinstance(op, Gru) else "lstm", batch, time, units, op.reverse)
    read = gates or gpu.room(batch, time, width)
    if not walk.few(gpu):
        hidden, kept = hidden or gpu.room(batch, time, units), kept or gpu.room(batch, time, units)
    product = multiplied(MatMul(), x.reshaped(every, features), kernel, read.reshaped(every, width), gpu)
    arrays = (read, recurrent, *[*given, None, None][:2], lengths[0] if lengths else None, hidden, last, gates, kept)
    return in_turn(product, _walked(walk, arrays, gpu))


def _walked(walk: Walk, arrays: Sequence[DeviceArray | None], gpu: Gpu) -> Plan:
    """All steps forward. arrays: in the order of recurrence_args."""
    addresses, keeps = [_address(a) for a in arrays], tuple(a for a in arrays if a)
    if walk.few(gpu):
        return Plan((walk.whole(recurrence_args(*addresses, *walk.ends, 0), gpu, *keeps),))
    quads = walk.units % 4 == 0 and _aligned(addresses[1], addresses[5])
    found = [walk.step(recurrence_args(*addresses, *walk.ends, t), quads) for t in walk.steps]
    return Plan((replace(found[0], keeps=keeps), *found[1:]))


@launches(LstmGradient, GruGradient)
def recurrence_gradient(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """The walk back, then a product for every gradient that is asked for."""
    op, (x, kernel, recurrent, hidden, gates, kept, *rest) = call.op, inputs
    assert isinstance(op, LstmGradient | GruGradient)
    arrived = [rest.pop(0) if wanted else None for wanted in (op.steps, op.last)]
    if not _served(x, kernel, recurrent, rest):
        return None
    (batch, time, features), (units, width), every = x.shape, recurrent.shape, x.shape[0] * x.shape[1]
    walk = Walk("gru" if isinstance(op, GruGradient) else "lstm", batch, time, units, op.reverse, back=True)
    lengths = rest[0] if rest else None
    flows = gpu.room(walk.tables, every, width)
    flowed, heard = (_table(flows, n) for n in (0, walk.tables - 1))
    back, sums = _walked_back(walk, (recurrent, hidden, gates, kept, *arrived, lengths, flowed, heard), flows, gpu)
    made: list[DeviceArray | None] = [None] * 5
    for place, array in zip(op.gives, outputs, strict=True):
        made[place] = array
    dx, dkernel, drecurrent, *dbiases = made
    plans: list[Plan | None] = [back]
    if dx:
        plans.append(multiplied(MatMul(False, True), flowed, kernel, dx.reshaped(every, features), gpu))
    if dkernel:
        steps = Steps(time, 0, lengths)
        plans.append(multiplied(MatMul(True), x.reshaped(every, features), flowed, dkernel, gpu, steps=steps))
    if drecurrent:
        steps = Steps(time, 1 if op.reverse else -1, None)
        plans.append(multiplied(MatMul(True), hidden.reshaped(every, units), heard, drecurrent, gpu, steps=steps))
    if any(dbiases):
        plans.append(_biases(sums, dbiases))
    return in_turn(*plans)


def _walked_back(
    walk: Walk, arrays: Sequence[DeviceArray | None], flows: DeviceArray, gpu: Gpu
) -> tuple[Plan, DeviceArray]:
    """All steps back, and the tables whose columns sum up to the biases' gradients. arrays: in the order of
    recurrence_gradient_args; the last two are parts of flows."""
    addresses, keeps, width = [_address(a) for a in arrays], tuple(a for a in arrays if a), walk.gates * walk.units
    if walk.few(gpu):
        sums = gpu.room(walk.tables, ceil(walk.batch / walk.rows(gpu)), width)
        arguments = recurrence_gradient_args(*addresses, sums.address, None, None, *walk.ends, 0)
        return Plan((walk.whole(arguments, gpu, *keeps, sums),)), sums
    between = gpu.room(walk.batch, walk.units), gpu.room(walk.batch, walk.units)
    quads = width % 4 == 0 and _aligned(addresses[0], *addresses[-2:])
    found = [
        walk.step(recurrence_gradient_args(*addresses, None, *map(_address, between), *walk.ends, t), quads)
        for t in walk.steps
    ]
    return Plan((replace(found[0], keeps=(*keeps, *between)), *found[1:])), flows


def _biases(sums: DeviceArray, made: Sequence[DeviceArray | None]) -> Plan:
    """The sums of the columns of each table."""
    tables, rows, width = sums.shape
    arguments = sums_args(sums.address, *map(_address, made), rows, width)
    unit = Unit("recurrence", f"recurrence_sums<{WARPS}>", sums_args)
    return Plan((Launch(unit, (ceil(width / 32), tables, 1), 32 * WARPS, arguments, keeps=(sums,)),))


def _table(flows: DeviceArray, number: int) -> DeviceArray:
    _, rows, width = flows.shape
    return DeviceArray(flows.memory, flows.address + number * rows * width * 4, (rows, width), flows.dtype)


def _served(x: DeviceArray, kernel: DeviceArray, recurrent: DeviceArray, lengths: Sequence[DeviceArray]) -> bool:
    """Whether kernels know the numbers, count them in 32 bits, and there are any."""
    known = all_of("float32", x, kernel, recurrent) and all(a.dtype == np.int32 for a in lengths)
    every = x.shape[0] * x.shape[1] * max(x.shape[2], recurrent.shape[1])
    return known and 0 < every < 1 << 31 and recurrent.size > 0


def _aligned(*addresses: int | None) -> bool:
    """Whether quads begin there."""
    return all((a or 0) % 16 == 0 for a in addresses)


def _address(array: DeviceArray | None) -> int | None:
    return array.address if array else None
