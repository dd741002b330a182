"""3x3 convolutions of stride 2 by Winograd's F(7, 2): see conv_half.h."""

from __future__ import annotations

import ctypes
from math import ceil

from graphdsl.backends.cpu.choice import Work, shorter
from graphdsl.backends.cpu.epilogue import Finish
from graphdsl.backends.cpu.gathering import Gathered, Shares
from graphdsl.backends.cpu.task import Machine, Plan, Task, address, f64, i64, pointer, room
from graphdsl.ir import Array
from graphdsl.ops import Sliding

TILE = 7
TAPS, POINTS, PRODUCTS = 9, 64, 225
"""Of a kernel; of a tile where it has two taps both ways; multiplications of a tile."""
LEAST = 16
"""Channels and filters that there must be: of fewer, transforms take longer than what they save."""
PACKED = 1 << 14
"""Weights that are not worth a second thread to pack."""
SMALL = 1 << 16
"""Bytes of sums that are not worth a second thread."""
SERIAL = 1 << 18
"""Multiplications that one thread is through with before a second one has begun."""
ROWS = 14
"""A block is a multiple of so many tiles, or nearly: what tile.h takes at once."""
NEAR, KERNEL_NEAR = 8 << 20, 2 << 20
"""Bytes of tiles that a thread works on at a time: many share the weights that are made for them; of a kernel gradient,
which makes none, as many as the second cache holds."""


class conv_half_task(Task):
    _fields_ = (
        *((n, i64) for n in ("height", "width", "channels", "out_height", "out_width", "filters")),
        *((n, i64) for n in ("top", "left", "down", "across", "tiles", "block")),
        *((n, address) for n in ("x", "u", "y", "bias", "add", "mask", "after")),
        ("gathers", i64),
        *((n, address) for n in ("statistics", "other", "second_other", "mean", "second_mean")),
        ("low", f64),
    )


class conv_half_pack_task(Task):
    _fields_ = (*((n, address) for n in ("kernel", "u")), *((n, i64) for n in ("channels", "filters", "turned")))


class conv_half_kernel_task(Task):
    _fields_ = (
        *((n, i64) for n in ("height", "width", "channels", "out_height", "out_width", "filters")),
        *((n, i64) for n in ("top", "left", "down", "across", "tiles", "block")),
        *((n, address) for n in ("x", "dy")),
    )


class conv_half_sum_task(Task):
    _fields_ = (("dkernel", address), *((n, i64) for n in ("channels", "filters", "parts")))


def preferred(op: Sliding, x: Array, window: tuple[int, ...], y: Array, machine: Machine, *, kernel: bool) -> bool:
    """Whether this is the fastest way for a convolution of x with results y, or for its gradients.

    kernel  for its kernel gradient
    """
    if machine.library.tiles or not machine.fast or not served(op, x, window, y):
        return False
    (tiles, *_), block = _tiles(y, TILE), _block(x, y, NEAR, machine)
    work = Work(len(y), y.shape[1], y.shape[2], x.shape[-1], y.shape[-1])
    blocks = ceil(ceil(tiles / machine.threads) / block)
    made = PRODUCTS * tiles * (_whole(x.shape[-1], machine) + _whole(y.shape[-1], machine))
    weights = machine.threads * (POINTS * blocks + 16) * x.shape[-1] * _whole(y.shape[-1], machine)
    products = PRODUCTS * tiles * x.shape[-1] * _whole(y.shape[-1], machine)
    return shorter(work, products, made, weights, machine, kernel=kernel)


def served(op: Sliding, x: Array, window: tuple[int, ...], y: Array) -> bool:
    """Whether it can be done this way, and pictures are not empty."""
    plain = window == (3, 3) and op.stride == (2, 2) and op.dilation == (1, 1) and op.groups == 1
    near = all(max(pair) <= 1 for pair in op.pad)
    return bool(plain and near and y.size and min(x.shape[-1], y.shape[-1]) >= LEAST)


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
    gathered: Gathered | None = None,
) -> Plan:
    """y = conv(x, kernel); or, where back, x = its input gradient of y.

    after     a formula for finished results
    gathered  what is wanted of the results beside them; not with after
    """
    shares = Shares(gathered, 1, x.shape[-1] if back else y.shape[-1], machine) if gathered else None
    columns, rows = (x.shape[-1], y.shape[-1]) if back else (y.shape[-1], x.shape[-1])
    u = room(TAPS, rows, _whole(columns, machine))
    pack = conv_half_pack_task(pointer(kernel), pointer(u), x.shape[-1], y.shape[-1], back)
    packing = machine.step("conv_half_pack", pack, serial=kernel.size < PACKED, keeps=(u,))
    size = _size(op, x, y, NEAR, machine, back=back)
    ends = [0 if a is None else pointer(a) for a in (finish.bias, finish.add, finish.mask)]
    source, result = (y, x) if back else (x, y)
    task = conv_half_task(
        *(*size, pointer(source), pointer(u), pointer(result), *ends),
        ctypes.addressof(after) if after else 0, low=finish.low, **(shares.fields() if shares else {}),
    )  # fmt: skip
    task.keeps = (after, u, *finish.keeps)
    name, serial = "conv_half_back" if back else "conv_half", size[-2] * PRODUCTS * rows * columns < SERIAL
    own = _own(source, POINTS, size[-1], machine) + _own(result, POINTS + 15, size[-1], machine)
    own += 4 * (rows * (9 * machine.lanes + 16 * _whole(columns, machine)) + 3 * _whole(columns, machine))
    steps = (machine.step(name, task, serial=serial, own=own), *((shares.ended(machine),) if shares else ()))
    return Plan(steps, (packing,)) if 1 in machine.fixed else Plan((packing, *steps))


def kernel_gradient(op: Sliding, x: Array, dy: Array, dkernel: Array, machine: Machine) -> Plan:
    """dkernel = what dy sends back to the kernel of the convolution of x."""
    size = _size(op, x, dy, KERNEL_NEAR, machine)
    sums = 4 * x.shape[-1] * _whole(dy.shape[-1], machine)
    task = conv_half_kernel_task(*size, pointer(x), pointer(dy))
    ending = conv_half_sum_task(pointer(dkernel), x.shape[-1], dy.shape[-1], machine.threads)
    own = _own(x, POINTS, size[-1], machine) + _own(dy, POINTS, size[-1], machine) + 8 * sums
    shared = TAPS * sums * machine.threads
    steps = (machine.step("conv_half_kernel", task, own=own, shared=shared),)
    return Plan((*steps, machine.step("conv_half_sum", ending, serial=shared < SMALL, shared=shared)))


def _size(op: Sliding, x: Array, y: Array, near: int, machine: Machine, *, back: bool = False) -> tuple[int, ...]:
    """The fields of `halved`."""
    (top, _), (left, _) = op.pad
    tiles = _tiles(x, 2 * TILE) if back else _tiles(y, TILE)
    down, across = tiles[1:]
    return *x.shape[1:], *y.shape[1:], top, left, down, across, tiles[0], _block(x, y, near, machine)


def _tiles(a: Array, side: int) -> tuple[int, int, int]:
    """Of all pictures, from top to bottom, from left to right."""
    down, across = ceil(a.shape[1] / side), ceil(a.shape[2] / side)
    return len(a) * down * across, down, across


def _block(x: Array, y: Array, near: int, machine: Machine) -> int:
    """Tiles that a thread takes at a time: all its blocks are of nearly one size."""
    channels = _whole(x.shape[-1], machine) + _whole(y.shape[-1], machine)
    each = ceil(_tiles(y, TILE)[0] / machine.threads)
    most = ROWS * max(1, near // (4 * POINTS * ROWS * channels))
    return max(1, ceil(each / ceil(each / most)))


def _own(a: Array, points: int, block: int, machine: Machine) -> int:
    """Bytes of so many points of a block of tiles."""
    return 4 * points * (block * _whole(a.shape[-1], machine) + machine.lanes)


def _whole(channels: int, machine: Machine) -> int:
    return ceil(channels / machine.lanes) * machine.lanes
