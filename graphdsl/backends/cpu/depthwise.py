"""Convolutions in which every channel has a window of its own: depthwise.c and depthwise_kernel.c."""

from __future__ import annotations

import ctypes
from math import gcd, prod

from graphdsl.backends.cpu.epilogue import Finish
from graphdsl.backends.cpu.formula import epilogue
from graphdsl.backends.cpu.task import (
    BINDERS,
    Arrays,
    Machine,
    Plan,
    Step,
    Task,
    address,
    all_float32,
    f64,
    i64,
    pointer,
)
from graphdsl.ir import Array, Call
from graphdsl.ops import Conv, ConvInputGradient, ConvKernelGradient, Elementwise, Sliding, reach

BLOCKS, FLAT, PLAIN = range(3)
SERIAL = 1 << 16
"""Multiplications that one thread is through with before a second one has begun."""


class sliding(ctypes.Structure):
    _fields_ = tuple(
        (n, i64)
        for n in (
            *("batch", "height", "width", "channels", "out_height", "out_width"),
            *("window_height", "window_width", "stride_height", "stride_width"),
            *("pad_height", "pad_width", "dilation_height", "dilation_width", "way"),
        )
    )


class depthwise_task(Task):
    _fields_ = (
        *((n, address) for n in ("x", "kernel", "y", "bias", "add", "mask", "after")),
        ("s", sliding),
        ("turned", i64),
        ("back", i64),
        ("low", f64),
    )


class depthwise_kernel_task(Task):
    _fields_ = (("x", address), ("dy", address), ("dkernel", address), ("s", sliding), ("parts", i64))


def is_depthwise(op: Sliding, channels: int, filters: int) -> bool:
    return op.groups == channels == filters and len(op.stride) <= 2


def forward(op: Conv, x: Array, kernel: Array, y: Array, machine: Machine, finish: Finish) -> Plan | None:
    """y = conv(x, kernel), finished."""
    return _plan(_sliding(op, x, y, kernel.shape[:-2], machine), (x, kernel, y), machine, finish)


def backward(op: ConvInputGradient, y: Array, kernel: Array, x: Array, machine: Machine, finish: Finish) -> Plan | None:
    """x = conv_input_gradient(y, kernel), finished: with stride 1 a convolution with the window turned round."""
    window = kernel.shape[:-2]
    far = reach(window, op.dilation)
    pad = tuple((r - 1 - lo, r - 1 - hi) for r, (lo, hi) in zip(far, op.pad, strict=True))
    if all(s == 1 for s in op.stride) and all(lo >= 0 for lo, _ in pad):
        s = _sliding(Conv(op.stride, pad, op.dilation, op.groups), y, x, window, machine)
        if s.way != PLAIN:
            return _plan(s, (y, kernel, x), machine, finish, turned=True)
    s = _sliding(op, y, x, window, machine)
    s.way = PLAIN
    return _plan(s, (y, kernel, x), machine, finish, back=True)


def kernel_gradient(op: ConvKernelGradient, x: Array, dy: Array, dkernel: Array, machine: Machine) -> Plan:
    """dkernel = conv_kernel_gradient(x, dy)."""
    s = _sliding(op, x, dy, op.size, machine)
    serial = dy.size * prod(op.size) < SERIAL
    rows = s.batch * s.out_height
    parts = 1 if serial else min(machine.threads, max(1, rows // 2))
    task = depthwise_kernel_task(pointer(x), pointer(dy), pointer(dkernel), s, parts)
    shared = 4 * parts * prod(op.size) * (_phases(s, machine) if s.way == FLAT else -(-s.channels // machine.lanes))
    shared *= machine.lanes
    own = 4 * _flat_row(s) if s.way == FLAT else 0
    first = machine.step("depthwise_kernel", task, serial=serial, own=own, shared=shared)
    return Plan((first, machine.step("depthwise_kernel_ending", task, serial=True, shared=shared)))


def _sliding(op: Sliding, x: Array, y: Array, window: tuple[int, ...], machine: Machine) -> sliding:
    """Over time: pictures of height 1."""
    axes = len(window)

    def pair(numbers: tuple[int, ...], missing: int = 1) -> tuple[int, ...]:
        return (*(missing,) * (2 - axes), *numbers)

    size, stride, dilation = pair(window), pair(op.stride), pair(op.dilation)
    before = pair(tuple(lo for lo, _ in op.pad), 0)
    if size in ((3, 3), (5, 5)) and stride in ((1, 1), (2, 2)) and dilation == (1, 1) and x.shape[-1] >= machine.lanes:
        way = BLOCKS
    else:
        way = FLAT if x.shape[-1] < machine.lanes and stride[1] == 1 else PLAIN
    return sliding(
        *(len(x), *pair(x.shape[1:-1]), x.shape[-1], *pair(y.shape[1:-1])), *(*size, *stride, *before, *dilation, way)
    )


def _plan(
    s: sliding, arrays: Arrays, machine: Machine, finish: Finish, *, turned: bool = False, back: bool = False
) -> Plan | None:
    y = arrays[2]
    formula, rest = _formula(y, machine, finish)
    if rest is None:
        return None
    task = depthwise_task(
        *(pointer(a) for a in arrays),
        *(0 if a is None else pointer(a) for a in (finish.bias, finish.add, finish.mask)),
        *(ctypes.addressof(formula) if formula else 0, s, turned, back, finish.low),
    )
    task.keeps = formula
    taps = s.window_height * s.window_width
    own = 16 * (s.window_height + s.window_width)
    if s.way == FLAT:
        own = 4 * ((taps + 1) * _phases(s, machine) * machine.lanes + s.window_height * _flat_row(s))
    serial = y.size * taps < SERIAL
    return Plan((machine.step("depthwise", task, serial=serial, own=own, keeps=finish.keeps), *rest))


def _formula(y: Array, machine: Machine, finish: Finish) -> tuple[Task | None, tuple[Step, ...] | None]:
    """The formula as a task for rows of y, or as steps of its own; None where C knows neither."""
    if finish.formula is None:
        return None, ()
    operands = [*finish.operands]
    operands[finish.place] = y
    task = epilogue(machine.library, finish.formula, operands, y, finish.place)
    if task is not None:
        return task, ()
    alone = BINDERS.get(Elementwise)
    plan = alone(Call("", finish.formula, (), ()), operands, [y], machine) if alone else None
    return None, plan.steps if plan else None


def _phases(s: sliding, machine: Machine) -> int:
    """How many vectors go by before the pattern of channels repeats."""
    return int(s.channels // gcd(s.channels, machine.lanes))


def _flat_row(s: sliding) -> int:
    """Floats of a row with its padding."""
    return int((s.out_width + (s.window_width - 1) * s.dilation_width) * s.channels)


def served(op: Sliding, *arrays: Array) -> bool:
    """Whether these kernels do it: x (or its gradient) and y are the first two."""
    return is_depthwise(op, arrays[0].shape[-1], arrays[1].shape[-1]) and all_float32(*arrays) and arrays[0].size > 0
