"""Maxima of windows and of whole sequences, and the ways back: max_pool.cu."""

from __future__ import annotations

from math import ceil

from graphdsl.backends.cuda.array import all_of
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import THREADS, Arrays, Gpu, index_type, launches
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i64
from graphdsl.backends.layout import WINDOW, window_numbers
from graphdsl.ir import Call
from graphdsl.ops import GlobalMaxPool, MaxPool, MaxPoolGradient, PutWinners, TakeWinners

GEOMETRY = tuple((name, i64) for name in WINDOW)
CHANNELS, SHARERS = 32, 8
"""Of a block of global_max_pool."""


class max_pool_args(Arguments):
    _fields_ = (("x", address), ("y", address), ("winner", address), *GEOMETRY)


class max_pool_gradient_args(Arguments):
    _fields_ = (("dy", address), ("winner", address), ("dx", address), *GEOMETRY)


class winners_args(Arguments):
    _fields_ = (
        *(("x", address), ("y", address), ("winner", address)),
        *(("batch", i64), ("size", i64), ("places", i64), ("channels", i64)),
    )


@launches(MaxPool)
def max_pool(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A thread a window."""
    op, (x,), (y, winner) = call.op, inputs, outputs
    assert isinstance(op, MaxPool)
    if not all_of("float32", x) or x.ndim not in (3, 4) or not y.size:
        return None
    numbers = window_numbers(x.shape, y.shape, op.size, op.stride, op.pad)
    unit = Unit("max_pool", f"max_pool<{index_type(y.size)}>", max_pool_args)
    arguments = max_pool_args(x.address, y.address, winner.address, *numbers)
    return Plan((Launch(unit, gpu.grid(y.size), THREADS, arguments),))


@launches(MaxPoolGradient)
def max_pool_gradient(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A thread a place, which asks the windows that cover it."""
    op, (dy, winner), (dx,) = call.op, inputs, outputs
    assert isinstance(op, MaxPoolGradient)
    if not all_of("float32", dy) or dx.ndim not in (3, 4) or not dx.size:
        return None
    numbers = window_numbers(dx.shape, dy.shape, op.size, op.stride, op.pad)
    unit = Unit("max_pool", f"max_pool_gradient<{index_type(dx.size)}>", max_pool_gradient_args)
    arguments = max_pool_gradient_args(dy.address, winner.address, dx.address, *numbers)
    return Plan((Launch(unit, gpu.grid(dx.size), THREADS, arguments),))


@launches(GlobalMaxPool)
def global_max_pool(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A block 32 channels of a sample."""
    (x,), (y, winner) = inputs, outputs
    if not all_of("float32", x) or not y.size or len(x.shape) != 3 or x.shape[0] > 65535:
        return None
    batch, size, channels = x.shape
    arguments = winners_args(x.address, y.address, winner.address, batch, size, 1, channels)
    grid = (ceil(channels / CHANNELS), batch, 1)
    return Plan((Launch(Unit("max_pool", "global_max_pool", winners_args), grid, CHANNELS * SHARERS, arguments),))


@launches(PutWinners, TakeWinners)
def moved_winners(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """To the winners, and from them."""
    (x, winner), (y,), op = inputs, outputs, call.op
    if not all_of("float32", x) or not all_of("int32", winner) or not y.size:
        return None
    batch, places, channels = winner.shape
    size = (y if isinstance(op, PutWinners) else x).shape[1]
    arguments = winners_args(x.address, y.address, winner.address, batch, size, places, channels)
    unit = Unit("max_pool", f"{op.name}<{index_type(y.size)}>", winners_args)
    return Plan((Launch(unit, gpu.grid(y.size), THREADS, arguments),))
