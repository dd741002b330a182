"""Convolutions in which every channel has a window of its own: depthwise.cu."""

from __future__ import annotations

from math import ceil, prod

from graphdsl.backends.cuda.array import DeviceArray, all_of
from graphdsl.backends.cuda.epilogue import PLAIN, Epilogue, epilogue_args
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import THREADS, Gpu
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i32, i64
from graphdsl.ops import Conv, ConvInputGradient, ConvKernelGradient, Sliding, reach

STRIP = 4
"""Neighbouring results that a thread makes."""
LANES, TAPS = 32, 9
"""Channels of a block of the kernel gradient, and taps that it sums at a time."""
PARTS = 64
"""Of the lines that the kernel gradient sums, at most: each leaves one sum a tap and channel."""

SIZES = (
    *("batch", "height", "width", "channels", "out_height", "out_width"),
    *("window_height", "window_width", "stride_height", "stride_width"),
    *("dilation_height", "dilation_width", "top", "left"),
)


class depthwise_args(Arguments):
    _fields_ = (
        *(("x", address), ("kernel", address), ("y", address), ("epilogue", epilogue_args)),
        *((name, i32) for name in SIZES),
        *(("turned", i32), ("parts", i32)),
    )


class depthwise_total_args(Arguments):
    _fields_ = (("parts", address), ("y", address), ("count", i64), ("size", i64))


def served(op: Sliding, whole: DeviceArray, results: DeviceArray) -> bool:
    """Whether these kernels do it. whole: x, or its gradient; results: y, or its gradient."""
    depthwise = op.groups == whole.shape[-1] == results.shape[-1] and whole.ndim in (3, 4)
    return depthwise and all_of("float32", whole, results) and bool(whole.size and results.size)


def forward(op: Conv, x: DeviceArray, kernel: DeviceArray, y: DeviceArray, gpu: Gpu, end: Epilogue) -> Plan:
    """y = conv(x, kernel), finished."""
    return _swept(op, x, kernel, y, gpu, end, turned=False)


def backward(
    op: ConvInputGradient, y: DeviceArray, kernel: DeviceArray, x: DeviceArray, gpu: Gpu, end: Epilogue
) -> Plan:
    """x = conv_input_gradient(y, kernel), finished: with stride 1 a convolution with the window turned round."""
    window = kernel.shape[:-2]
    far = reach(window, op.dilation)
    pad = tuple((r - 1 - lo, r - 1 - hi) for r, (lo, hi) in zip(far, op.pad, strict=True))
    if all(s == 1 for s in op.stride) and all(d == 1 for d in op.dilation) and window in STRIPS:
        return _swept(Conv(op.stride, pad, op.dilation, op.groups), y, kernel, x, gpu, end, turned=True)
    arguments = depthwise_args(y.address, kernel.address, x.address, end.arguments, *sizes(op, x, y, window))
    return Plan(
        (Launch(Unit("depthwise", "depthwise_back", depthwise_args, end.code), gpu.grid(x.size), THREADS, arguments),)
    )


STRIPS = ((3, 3), (5, 5))
"""Windows that are compiled in."""


def _swept(
    op: Conv, x: DeviceArray, kernel: DeviceArray, y: DeviceArray, gpu: Gpu, end: Epilogue, *, turned: bool
) -> Plan:
    window, channels = kernel.shape[:-2], x.shape[-1]
    arguments = depthwise_args(x.address, kernel.address, y.address, end.arguments, *sizes(op, x, y, window), turned)
    plain = window in STRIPS and op.stride in ((1, 1), (2, 2)) and op.dilation == (1, 1)
    if not plain:
        unit = Unit("depthwise", "depthwise_any", depthwise_args, end.code)
        return Plan((Launch(unit, gpu.grid(y.size), THREADS, arguments),))
    vector = 4 if channels % 4 == 0 and all(a.address % 16 == 0 for a in (x, kernel, y)) else 1
    unit = Unit("depthwise", f"depthwise<{vector}, {window[0]}, {window[1]}, {op.stride[0]}>", depthwise_args, end.code)
    strips = prod(y.shape[:-2]) * ceil(y.shape[-2] / STRIP) * (channels // vector)
    return Plan((Launch(unit, gpu.grid(strips), THREADS, arguments),))


def kernel_gradient(op: ConvKernelGradient, x: DeviceArray, dy: DeviceArray, made: DeviceArray, gpu: Gpu) -> Plan:
    """made = conv_kernel_gradient(x, dy): sums of parts of the lines, then of the parts."""
    channels, taps = x.shape[-1], prod(op.size)
    groups = ceil(channels / LANES)
    lines = prod(dy.shape[:-2])
    parts = max(1, min(PARTS, lines // 8, ceil(4 * gpu.device.processors / groups)))
    room = gpu.room(parts, taps, channels)
    arguments = depthwise_args(
        x.address, dy.address, room.address, PLAIN.arguments, *sizes(op, x, dy, op.size), 0, parts
    )
    unit = Unit("depthwise", f"depthwise_kernel<{TAPS}>", depthwise_args, PLAIN.code)
    first = Launch(unit, (groups, parts, ceil(taps / TAPS)), THREADS, arguments, keeps=(room,))
    total = depthwise_total_args(room.address, made.address, parts, taps * channels)
    ending = Unit("depthwise", "depthwise_total", depthwise_total_args, PLAIN.code)
    return Plan((first, Launch(ending, gpu.grid(taps * channels), THREADS, total, keeps=(room,))))


def sizes(op: Sliding, whole: DeviceArray, results: DeviceArray, window: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers of SIZES. Over time: pictures of height 1."""
    axes = len(window)

    def pair(numbers: tuple[int, ...], missing: int = 1) -> tuple[int, ...]:
        return (*(missing,) * (2 - axes), *numbers)

    before = pair(tuple(lo for lo, _ in op.pad), 0)
    pictures = (whole.shape[0], *pair(whole.shape[1:-1]), whole.shape[-1], *pair(results.shape[1:-1]))
    return (*pictures, *pair(window), *pair(op.stride), *pair(op.dilation), *before)
