"""Winograd's F(4x4, 5x5): 5x5 convolutions of stride 1 with a sixth of the multiplications. See conv_five.h."""

from __future__ import annotations

import ctypes
from math import ceil

from graphdsl.backends.cpu.epilogue import Finish
from graphdsl.backends.cpu.task import Machine, Plan, Step, Task, address, f64, i64, pointer, room
from graphdsl.ir import Array
from graphdsl.ops import Sliding

POINTS, TILE, TAPS = 64, 4, 5
LEAST = 8
"""Channels and filters that there must be: of fewer, transforms take longer than what they save."""
AMX = 16
"""Channels and filters of an AMX tile."""
SERIAL = 1 << 18
"""Multiplications that one thread is through with before a second one has begun."""
WORTH = 1 << 22
"""Multiplications of plain sums from which more steps pay."""
PIXELS, FIXED = 400, 100
"""Results of a filter from which transforms of its weights pay; where these are made once."""
NEAR = 384 << 10
"""Bytes of tiles that a thread works on at a time."""
ROWS, MOST = 12, 8
"""A block is a multiple of so many tiles: what tile.h takes at once, or nearly. At most so many times that."""
SUMS = 1 << 21
"""Bytes of a thread's sums of a kernel gradient."""


class conv_five_task(Task):
    _fields_ = (
        *((n, i64) for n in ("height", "width", "channels", "out_height", "out_width", "filters")),
        *((n, i64) for n in ("top", "left", "down", "across", "tiles", "block")),
        *((n, address) for n in ("x", "u", "y", "bias", "add", "mask", "after")),
        ("low", f64),
    )


class conv_five_pack_task(Task):
    _fields_ = (*((n, address) for n in ("kernel", "u")), *((n, i64) for n in ("channels", "filters", "turned")))


class conv_five_kernel_task(Task):
    _fields_ = (
        *((n, i64) for n in ("height", "width", "channels", "out_height", "out_width", "filters")),
        *((n, i64) for n in ("top", "left", "down", "across", "tiles", "block")),
        *((n, address) for n in ("x", "dy")),
    )


class conv_five_sum_task(Task):
    _fields_ = (("dkernel", address), *((n, i64) for n in ("channels", "filters", "parts")))


def preferred(op: Sliding, x: Array, window: tuple[int, ...], y: Array, machine: Machine) -> bool:
    """served, and not faster in AMX tiles: these are, unless channels or filters fill them badly."""
    fill = x.shape[-1] % AMX == 0 == y.shape[-1] % AMX
    return not (machine.library.tiles and fill) and served(op, x, window, y, machine)


def served(op: Sliding, x: Array, window: tuple[int, ...], y: Array, machine: Machine) -> bool:
    """Whether this is the way for a convolution of x with results y, or for its gradients."""
    if window != (TAPS, TAPS) or not op.stride == op.dilation == (1, 1) or op.groups > 1 or not machine.fast:
        return False
    channels, filters = x.shape[-1], y.shape[-1]
    pixels = y.size // filters
    if min(channels, filters) < LEAST or pixels < (FIXED if 1 in machine.fixed else PIXELS):
        return False
    plain, tiles = TAPS**2 * pixels, POINTS * _tiles(y)[0]
    return bool(2 * tiles < plain and plain * channels * filters >= WORTH)


def convolution(
    op: Sliding,
    x: Array,
    kernel: Array,
    y: Array,
    machine: Machine,
    *,
    back: bool,
    finish: Finish,
    after: Task | None,
) -> Plan:
    """y = conv(x, kernel); or, where back, x = its input gradient of y. after: a formula for finished results."""
    columns, rows = (x.shape[-1], y.shape[-1]) if back else (y.shape[-1], x.shape[-1])
    u = room(POINTS, rows, _whole(columns, machine))
    pack = conv_five_pack_task(pointer(kernel), pointer(u), x.shape[-1], y.shape[-1], back)
    packing = machine.step("conv_five_pack", pack, serial=kernel.size * 4 < SERIAL, keeps=(u,))
    size = _size(op, x, y, machine)
    ends = [0 if a is None else pointer(a) for a in (finish.bias, finish.add, finish.mask)]
    source, result = (y, x) if back else (x, y)
    task = conv_five_task(
        *(*size, pointer(source), pointer(u), pointer(result), *ends),
        *(ctypes.addressof(after) if after else 0, finish.low),
    )
    task.keeps = (after, u, *finish.keeps)
    name, serial = "conv_five_back" if back else "conv_five", size[-2] * POINTS * rows * columns < SERIAL
    step = machine.step(name, task, serial=serial, own=_own(x, y, size[-1], machine))
    return Plan((step,), (packing,)) if 1 in machine.fixed else Plan((packing, step))


def kernel_gradient(op: Sliding, x: Array, dy: Array, dkernel: Array, machine: Machine) -> Plan | None:
    """None where there would be too many sums."""
    sums = 4 * POINTS * x.shape[-1] * _whole(dy.shape[-1], machine)
    if sums > SUMS:
        return None
    size, shared = _size(op, x, dy, machine), sums * machine.threads
    task = conv_five_kernel_task(*size, pointer(x), pointer(dy))
    ending = conv_five_sum_task(pointer(dkernel), x.shape[-1], dy.shape[-1], machine.threads)
    own = _own(x, dy, size[-1], machine)
    steps: list[Step] = [machine.step("conv_five_kernel", task, own=own, shared=shared)]
    return Plan((*steps, machine.step("conv_five_sum", ending, shared=shared)))


def _size(op: Sliding, x: Array, y: Array, machine: Machine) -> tuple[int, ...]:
    """The fields of `five`."""
    (top, _), (left, _) = op.pad
    tiles, down, across = _tiles(y)
    channels = _whole(x.shape[-1], machine) + _whole(y.shape[-1], machine)
    times = max(1, min(MOST, NEAR // (4 * POINTS * ROWS * channels), ceil(tiles / machine.threads / ROWS)))
    return *x.shape[1:], *y.shape[1:], top, left, down, across, tiles, ROWS * times


def _own(x: Array, y: Array, block: int, machine: Machine) -> int:
    """Bytes of a block of tiles of both."""
    return sum(4 * POINTS * (block * _whole(a.shape[-1], machine) + machine.lanes) for a in (x, y))


def _tiles(y: Array) -> tuple[int, int, int]:
    """Of all pictures, from top to bottom, from left to right."""
    down, across = ceil(y.shape[1] / TILE), ceil(y.shape[2] / TILE)
    return len(y) * down * across, down, across


def _whole(channels: int, machine: Machine) -> int:
    return ceil(channels / machine.lanes) * machine.lanes
