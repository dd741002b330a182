"""Putting together, cutting out, padding: concat.cu."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import gcd, prod

from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import THREADS, Arrays, Gpu, element_type, launches
from graphdsl.backends.cuda.shape import copied
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i64
from graphdsl.backends.layout import box_axes
from graphdsl.ir import Call
from graphdsl.ops import Concat, Pad, Slice, numbers

PIECES, RANK = 8, 8


class join_args(Arguments):
    _fields_ = (
        *(("y", address), ("pieces", address * PIECES), ("ends", i64 * PIECES)),
        *(("rows", i64), ("width", i64), ("start", i64), ("total", i64), ("count", i64)),
    )


class box_args(Arguments):
    _fields_ = (
        *(("x", address), ("y", address)),
        *((name, i64 * RANK) for name in ("sizes", "limits", "offsets")),
        *(("rank", i64), ("count", i64)),
    )


@launches(Concat)
def concat(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """Up to eight pieces a launch, side by side."""
    (y,), op = outputs, call.op
    assert isinstance(op, Concat)
    if not y.size:
        return None
    rows = prod(y.shape[: op.axis])
    widths = [x.nbytes // rows for x in inputs]
    starts = [0, *accumulate(widths)]
    unit = _widest(*widths, *starts, *(x.address for x in inputs), y.address)
    made = [
        _join(y, inputs[i : i + PIECES], widths[i : i + PIECES], starts[i], rows, unit, gpu)
        for i in range(0, len(inputs), PIECES)
        if sum(widths[i : i + PIECES])
    ]
    return Plan(tuple(made))


def _join(y: DeviceArray, pieces: Arrays, widths: Sequence[int], start: int, rows: int, unit: int, gpu: Gpu) -> Launch:
    """Some pieces from byte number start of every row on, in elements of so many bytes."""
    ends = [end // unit for end in accumulate(widths)]
    pointers = (address * PIECES)(*(x.address for x in pieces))
    row = y.nbytes // rows
    sizes = (rows, row // unit, start // unit, ends[-1], len(pieces))
    arguments = join_args(y.address, pointers, (i64 * PIECES)(*ends), *sizes)
    kernel = Unit("concat", f"join<{element_type(unit)}>", join_args)
    return Launch(kernel, gpu.grid(rows * ends[-1]), THREADS, arguments)


@launches(Slice)
def cut(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A box that begins at start."""
    assert isinstance(call.op, Slice)
    return _box(inputs[0], outputs[0], numbers(call.op.start), gpu)


@launches(Pad)
def pad(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A box that begins before x does."""
    assert isinstance(call.op, Pad)
    return _box(inputs[0], outputs[0], tuple(-n for n in numbers(call.op.before)), gpu)


def _box(x: DeviceArray, y: DeviceArray, offsets: tuple[int, ...], gpu: Gpu) -> Plan | None:
    """y[place] = x[place + offsets]."""
    if x.shape == y.shape:
        return copied(x, y, gpu)
    axes = box_axes(y.shape, x.shape, offsets, y.dtype.itemsize)
    if len(axes) > RANK or not y.size:
        return None
    unit = _widest(*axes[-1], x.address, y.address)
    axes[-1] = (axes[-1][0] // unit, axes[-1][1] // unit, axes[-1][2] // unit)
    columns = [(i64 * RANK)(*column) for column in zip(*axes, strict=True)]
    count = y.nbytes // unit
    arguments = box_args(x.address, y.address, *columns, len(axes), count)
    return Plan((Launch(Unit("concat", f"box<{element_type(unit)}>", box_args), gpu.grid(count), THREADS, arguments),))


def _widest(*numbers: int) -> int:
    """The most bytes, of 16, 4 and 1, that divide all numbers."""
    common = gcd(*numbers)
    return next(unit for unit in (16, 4, 1) if common % unit == 0)
