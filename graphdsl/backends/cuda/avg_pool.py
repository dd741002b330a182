"""Means of windows, and the way back: avg_pool.cu."""

from __future__ import annotations

from graphdsl.backends.cuda.array import all_of
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import THREADS, Arrays, Gpu, index_type, launches
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i64
from graphdsl.backends.layout import WINDOW, window_numbers
from graphdsl.ir import Call
from graphdsl.ops import AvgPool, AvgPoolGradient


class avg_pool_args(Arguments):
    _fields_ = (("x", address), ("y", address), *((name, i64) for name in WINDOW), ("count_padding", i64))


@launches(AvgPool, AvgPoolGradient)
def avg_pool(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A thread a number of the result."""
    (x,), (y,), op = inputs, outputs, call.op
    assert isinstance(op, AvgPool | AvgPoolGradient)
    whole, pooled = (x, y) if isinstance(op, AvgPool) else (y, x)
    if not all_of("float32", x) or x.ndim not in (3, 4) or not y.size:
        return None
    numbers = window_numbers(whole.shape, pooled.shape, op.size, op.stride, op.pad)
    arguments = avg_pool_args(x.address, y.address, *numbers, op.count_padding)
    unit = Unit("avg_pool", f"{op.name}<{index_type(y.size)}>", avg_pool_args)
    return Plan((Launch(unit, gpu.grid(y.size), THREADS, arguments),))
