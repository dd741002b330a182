"""Convolutions and their input gradients: which kernels calculate them, and over what they are swept.

The input gradient of a stride s is s convolutions of stride 1 along each axis, each with every s-th tap, turned round,
for every s-th place of the result:

    stride 2, taps a b c:    places 0, 2, 4 ...  from a and c      places 1, 3, 5 ...  from b
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import ceil, gcd, prod
from types import ModuleType

from graphdsl.backends.cpu import conv_five, conv_half, depthwise, winograd
from graphdsl.backends.cpu.choice import Way, Work, convolution_way
from graphdsl.backends.cpu.conv_amx import by_tiles
from graphdsl.backends.cpu.epilogue import Finish, riding
from graphdsl.backends.cpu.gathering import Gathered
from graphdsl.backends.cpu.sweep import Axis, Sweep, swept
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, all_float32, binds
from graphdsl.ir import Array, Call
from graphdsl.ops import Conv, ConvInputGradient, Sliding

WIDEST = 8192
"""The widest padding that kernels serve."""
MOST_PHASES = 4096
"""How many places a stride may have: each has a sweep of its own on the way back."""


@binds(Conv)
def conv(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    (x, kernel), (y,) = inputs, outputs
    assert isinstance(call.op, Conv)
    return forward(call.op, x, kernel, y, machine, Finish())


@binds(ConvInputGradient)
def conv_input_gradient(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    (y, kernel), (x,) = inputs, outputs
    assert isinstance(call.op, ConvInputGradient)
    return backward(call.op, y, kernel, x, machine, Finish())


def forward(
    op: Conv, x: Array, kernel: Array, y: Array, machine: Machine, finish: Finish, gathered: Gathered | None = None
) -> Plan | None:
    """y = conv(x, kernel), finished. gathered: what is wanted of y besides; None where it cannot ride along."""
    if depthwise.served(op, x, y, kernel):
        return None if gathered else depthwise.forward(op, x, kernel, y, machine, finish)
    if not _served(op, x, kernel, y):
        return None
    if not y.size:
        return None if gathered else Plan(())
    axes = [
        Axis(tuple(range(k)), s, d, before, size, out)
        for k, s, d, (before, _), size, out in zip(
            kernel.shape, op.stride, op.dilation, op.pad, x.shape[1:-1], y.shape[1:-1], strict=False
        )
    ]
    way = _way(op, kernel, y, machine, gathered)
    if way is not Way.DIRECT:
        return _by_winograd(x, kernel, y, axes, machine, finish, gathered, flipped=False, staged=way is Way.FAR)
    if by_fives(op, x, kernel, y, machine):
        return None if gathered else _tiled(conv_five, op, x, kernel, y, machine, finish, None, back=False)
    if by_halves(op, x, kernel, y, machine):
        return _tiled(conv_half, op, x, kernel, y, machine, finish, gathered, back=False)
    sweeps = [_sweep(x, kernel, y, axes, op.groups, False, finish)]
    tiles = by_tiles(sweeps, y, machine, finish, gathered)
    return swept(sweeps, y, machine, finish) if tiles is None and not gathered else tiles


def backward(
    op: ConvInputGradient,
    y: Array,
    kernel: Array,
    x: Array,
    machine: Machine,
    finish: Finish,
    gathered: Gathered | None = None,
) -> Plan | None:
    """x = conv_input_gradient(y, kernel), finished. gathered: as in forward, of x."""
    if depthwise.served(op, x, y, kernel):
        return None if gathered else depthwise.backward(op, y, kernel, x, machine, finish)
    if not _served(op, x, kernel, y):
        return None
    if not x.size:
        return None if gathered else Plan(())
    every = [
        phases(k, s, d, before, out, size)
        for k, s, d, (before, _), out, size in zip(
            kernel.shape, op.stride, op.dilation, op.pad, y.shape[1:-1], x.shape[1:-1], strict=False
        )
    ]
    way = _way(op, kernel, x, machine, gathered)
    if way is not Way.DIRECT:
        around = [axis for (axis,) in every]
        return _by_winograd(y, kernel, x, around, machine, finish, gathered, flipped=True, staged=way is Way.FAR)
    if by_fives(op, x, kernel, y, machine) and len(x) >= machine.threads:
        return None if gathered else _tiled(conv_five, op, x, kernel, y, machine, finish, None, back=True)
    if by_halves(op, x, kernel, y, machine):
        return _tiled(conv_half, op, x, kernel, y, machine, finish, gathered, back=True)
    sweeps = [_sweep(y, kernel, x, axes, op.groups, True, finish) for axes in product(*every)]
    tiles = by_tiles(sweeps, x, machine, finish, gathered)
    return swept(sweeps, x, machine, finish) if tiles is None and not gathered else tiles


def _served(op: Sliding, *arrays: Array) -> bool:
    """Over time or space, in float32, with paddings of which a thread's stack holds a line, and strides to match."""
    fits = max(max(pair) for pair in op.pad) <= WIDEST and prod(op.stride) <= MOST_PHASES
    return arrays[0].ndim in (3, 4) and all_float32(*arrays) and fits


def phases(taps: int, stride: int, dilation: int, before: int, out: int, size: int) -> list[Axis]:
    """Along an axis of the gradient: place i gets y[o] * kernel[k] wherever o * stride + k * dilation - before = i."""
    found, common = [], gcd(stride, dilation)
    for place in range(min(stride, size)):
        met = [k for k in reversed(range(taps)) if (place + before - k * dilation) % stride == 0]
        first = (place + before - met[0] * dilation) // stride if met else 0
        results = ceil((size - place) / stride)
        found.append(Axis(tuple(met), 1, dilation // common, -first, out, results, place, stride))
    return found


def _way(op: Sliding, kernel: Array, y: Array, machine: Machine, gathered: Gathered | None) -> Way:
    """What is gathered rides on tiles, where there are any."""
    if gathered and machine.library.tiles:
        return Way.DIRECT
    plain = kernel.ndim == 4 and kernel.shape[:2] == (3, 3) and op.stride == op.dilation == (1, 1) and op.groups == 1
    if not plain:
        return Way.DIRECT
    batch, height, width, filters = y.shape
    channels = kernel.shape[2] * kernel.shape[3] // filters
    ahead = 0 if machine.library.tiles else machine.ahead
    behind = y.size * (1 + len(gathered.factors)) if gathered else 0
    work = Work(batch, height, width, channels, filters, ahead, behind)
    return convolution_way(work, machine, fixed=1 in machine.fixed)


def _by_winograd(
    x: Array,
    kernel: Array,
    y: Array,
    axes: Sequence[Axis],
    machine: Machine,
    finish: Finish,
    gathered: Gathered | None,
    *,
    flipped: bool,
    staged: bool,
) -> Plan | None:
    after, rest = riding(finish, y, machine)
    if rest is None or (gathered and finish.formula is not None):
        return None
    before, fixed = (axes[0].before, axes[1].before), 1 in machine.fixed
    plan = winograd.convolution(
        x, kernel, y, before, machine, finish,
        staged=staged, flipped=flipped, fixed=fixed, after=after, gathered=gathered,
    )  # fmt: skip
    return Plan((*plan.steps, *rest), plan.once)


def by_fives(op: Sliding, x: Array, kernel: Array, y: Array, machine: Machine) -> bool:
    return conv_five.preferred(op, x, kernel.shape[:-2], y, machine)


def by_halves(op: Sliding, x: Array, kernel: Array, y: Array, machine: Machine) -> bool:
    return conv_half.preferred(op, x, kernel.shape[:-2], y, machine, kernel=False)


def _tiled(
    way: ModuleType,
    op: Sliding,
    x: Array,
    kernel: Array,
    y: Array,
    machine: Machine,
    finish: Finish,
    gathered: Gathered | None,
    *,
    back: bool,
) -> Plan | None:
    """By the convolution of a module."""
    after, rest = riding(finish, x if back else y, machine)
    if rest is None or (gathered and finish.formula is not None):
        return None
    more = {"gathered": gathered} if gathered else {}
    plan = way.convolution(op, x, kernel, y, machine, back=back, finish=finish, after=after, **more)
    return Plan((*plan.steps, *rest), plan.once)


def _sweep(x: Array, kernel: Array, y: Array, axes: Sequence[Axis], groups: int, turned: bool, finish: Finish) -> Sweep:
    """Sequences are pictures of one line."""
    if len(axes) == 1:
        whole = Axis((0,), 1, 1, 0, 1, 1)
        return Sweep(x[:, None], kernel[None], y[:, None], whole, axes[0], groups, turned, finish)
    return Sweep(x, kernel, y, axes[0], axes[1], groups, turned, finish)
