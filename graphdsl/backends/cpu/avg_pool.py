"""Means of windows: avg_pool.c."""

from __future__ import annotations

import numpy as np

from graphdsl.backends.cpu.small import small
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, all_float32, binds, pointer
from graphdsl.backends.cpu.window import GEOMETRY
from graphdsl.backends.layout import window_numbers
from graphdsl.ir import Array, Call
from graphdsl.ops import AvgPool, AvgPoolGradient


class avg_pool_task(Task):
    _fields_ = (("x", address), ("down_scale", address), ("across_scale", address), ("y", address), *GEOMETRY)


@binds(AvgPool, AvgPoolGradient)
def avg_pool(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """Means of windows, and the way back."""
    (x,), (y,), op = inputs, outputs, call.op
    assert isinstance(op, AvgPool | AvgPoolGradient)
    whole, pooled = (x, y) if isinstance(op, AvgPool) else (y, x)
    if not all_float32(x) or x.ndim not in (3, 4):
        return None
    numbers = window_numbers(whole.shape, pooled.shape, op.size, op.stride, op.pad)
    _, height, width, channels, out_height, out_width, *window = numbers
    down = _scales(height, out_height, window[0], window[2], window[4], op.count_padding)
    across = _scales(width, out_width, window[1], window[3], window[5], op.count_padding)
    task = avg_pool_task(pointer(x), pointer(down), pointer(across), pointer(y), *numbers)
    row = 4 * channels * max(width, out_width)
    step = machine.step(op.name, task, serial=small(2 * whole.size), own=row, keeps=(down, across))
    return Plan((step,))


def _scales(size: int, count: int, window: int, stride: int, pad: int, count_padding: bool) -> Array:
    """For each window along an axis 1 / how many numbers it counts there."""
    starts = np.arange(count) * stride - pad
    real = np.minimum(starts + window, size) - np.maximum(starts, 0)
    return (1 / (np.full(count, window) if count_padding else real)).astype(np.float32)
