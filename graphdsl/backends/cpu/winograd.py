"""Winograd's F(4x4, 3x3): 3x3 convolutions of stride 1 with a quarter of the multiplications."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from math import ceil

from graphdsl.backends.cpu.epilogue import Finish
from graphdsl.backends.cpu.gathering import Gathered, Shares
from graphdsl.backends.cpu.task import Machine, Plan, Step, Task, address, f64, i64, pointer, room
from graphdsl.ir import Array

POINTS, TILE = 36, 4
SERIAL = 4096
"""Multiplications of a point that are not worth a second thread."""


class winograd_task(Task):
    _fields_ = (
        ("x", address),
        *((n, i64) for n in ("height", "width", "channels", "top", "left", "down", "across")),
        *((n, i64) for n in ("first", "last", "block", "parts")),
        ("u", address),
        ("y", address),
        *((n, i64) for n in ("out_height", "out_width", "filters")),
        *((n, address) for n in ("bias", "add", "mask", "after", "before")),
        ("gathers", i64),
        *((n, address) for n in ("statistics", "other", "second_other", "mean", "second_mean")),
        ("low", f64),
    )


class winograd_pack_task(Task):
    _fields_ = (("kernel", address), ("u", address), ("channels", i64), ("filters", i64), ("flipped", i64))


class winograd_kernel_task(Task):
    _fields_ = (
        ("x", address),
        *((n, i64) for n in ("height", "width", "channels", "top", "left", "down", "across")),
        *((n, i64) for n in ("first", "last", "block", "room")),
        ("dy", address),
        *((n, i64) for n in ("out_height", "out_width", "filters")),
    )


class winograd_kernel_sum_task(Task):
    _fields_ = (("dk", address), ("channels", i64), ("filters", i64), ("parts", i64))


NOTHING = Finish()
NEAR, CLOSE = 768 << 10, 144 << 10
"""Bytes of transformed inputs and products that a thread works on at a time; where weights stay in its second cache."""
KEPT = 1 << 18
"""Transformed weights that do. As NEAR in kernels/winograd.h."""
MOST = 16 << 20
"""Bytes of products that a thread makes before it transforms them back."""
STAGED = 256
"""Tiles that are all transformed before any product."""


def rows_of(machine: Machine) -> int:
    """Tiles in a group."""
    return ctypes.c_int64.in_dll(machine.library.c, "winograd_rows").value


def tiles_at_once(channels: int, machine: Machine, room: int = NEAR) -> int:
    """How many tiles of so many channels, inputs and results together, a thread takes at a time."""
    group = 4 * POINTS * rows_of(machine) * _whole(channels, machine)
    return rows_of(machine) * max(1, min(8, room // group))


def convolution(
    x: Array,
    kernel: Array,
    y: Array,
    before: tuple[int, int],
    machine: Machine,
    finish: Finish = NOTHING,
    *,
    staged: bool,
    flipped: bool = False,
    fixed: bool = False,
    after: Task | None = None,
    gathered: Gathered | None = None,
) -> Plan:
    """y = x (*) kernel, with `before` zeros above and to the left.

    staged   all tiles are transformed before any product
    flipped  the kernel turned round and transposed, as the input gradient has it
    fixed    the kernel is transformed once
    after    a formula for the finished results
    gathered what is wanted of the results beside them; not with after
    """
    shares = Shares(gathered, 1, y.shape[3], machine) if gathered else None
    u = room(POINTS, x.shape[3], _whole(y.shape[3], machine))
    pack = winograd_pack_task(pointer(kernel), pointer(u), x.shape[3], y.shape[3], flipped)
    packing = machine.step("winograd_pack", pack, serial=kernel.size < SERIAL, keeps=(u,))

    def task(first: int, last: int, block: int, parts: int = 0) -> winograd_task:
        made = winograd_task(
            pointer(x), *x.shape[1:], *before, *_tiles(y)[1:], first, last, block, parts, pointer(u),
            pointer(y), *y.shape[1:], _pointer(finish.bias), _pointer(finish.add), _pointer(finish.mask),
            ctypes.addressof(after) if after else 0, low=finish.low, **(shares.fields() if shares else {}),
        )  # fmt: skip
        made.keeps = (after, u, *finish.keeps)
        return made

    steps = _staged(task, x, y, machine) if staged else _in_blocks(task, x, y, machine)
    steps = (*steps, shares.ended(machine)) if shares else steps
    return Plan(steps, (packing,)) if fixed else Plan((packing, *steps))


def _in_blocks(task: Callable[..., winograd_task], x: Array, y: Array, machine: Machine) -> tuple[Step, ...]:
    channels, tiles = x.shape[3] + 2 * machine.lanes, _tiles(y)[0]
    weights = POINTS * x.shape[3] * _whole(y.shape[3], machine)
    block = tiles_at_once(channels, machine, CLOSE if weights <= KEPT else NEAR) // rows_of(machine)
    one = task(0, tiles, block)
    serial = tiles * POINTS * x.shape[3] * y.shape[3] < SERIAL * POINTS
    return (machine.step("winograd", one, serial=serial, own=block * _group(channels, machine) + _line(machine)),)


def _staged(task: Callable[..., winograd_task], x: Array, y: Array, machine: Machine) -> tuple[Step, ...]:
    rows, panel, tiles = rows_of(machine), 2 * machine.lanes, _tiles(y)[0]
    panels, v_group, m_group = ceil(y.shape[3] / panel), _group(x.shape[3], machine), _group(panel, machine)
    steps: list[Step] = []
    chunks = _chunks(tiles)
    parts = max(1, min(ceil(machine.threads / panels), tiles // len(chunks) // rows))
    for first, last in chunks:
        groups = ceil(ceil((last - first) / parts) / rows)
        at_once = max(1, min(ceil(panels * parts / machine.threads), MOST // (groups * m_group)))
        one, shared = task(first, last, at_once, parts), groups * parts * v_group + _line(machine)
        steps.append(machine.step("winograd_spread", one, shared=shared))
        steps.append(machine.step("winograd_gather", one, own=groups * m_group * at_once, shared=shared))
    return tuple(steps)


def kernel_gradient(x: Array, dy: Array, dk: Array, before: tuple[int, int], machine: Machine, *, staged: bool) -> Plan:
    """dk = what dy sends back to the kernel of the convolution of x with `before` zeros above and to the left."""
    channels, filters = _whole(x.shape[3], machine), _whole(dy.shape[3], machine)
    tiles, *across = _tiles(dy)
    size, group = POINTS * channels * filters, _group(channels + filters, machine)

    def task(first: int, last: int, block: int) -> winograd_kernel_task:
        return winograd_kernel_task(
            pointer(x), *x.shape[1:], *before, *across, first, last, block, size, pointer(dy), *dy.shape[1:]
        )

    steps: list[Step] = []
    if staged:
        for first, last in _chunks(tiles):
            shared = 4 * size + group * ceil((last - first) / rows_of(machine)) + 2 * _line(machine)
            one = task(first, last, 1)
            steps.append(machine.step("winograd_kernel_spread", one, shared=shared))
            steps.append(machine.step("winograd_kernel_product", one, shared=shared))
    else:
        block = tiles_at_once(channels + filters, machine)
        own, shared = group * block // rows_of(machine) + 2 * _line(machine), 4 * size * machine.threads
        steps.append(machine.step("winograd_kernel", task(0, tiles, block), own=own, shared=shared))
    parts = 1 if staged else machine.threads
    adding = winograd_kernel_sum_task(pointer(dk), x.shape[3], dy.shape[3], parts)
    return Plan((*steps, machine.step("winograd_kernel_sum", adding)))


def _tiles(y: Array) -> tuple[int, int, int]:
    """Of all pictures, from top to bottom, from left to right."""
    down, across = ceil(y.shape[1] / TILE), ceil(y.shape[2] / TILE)
    return len(y) * down * across, down, across


def _chunks(tiles: int) -> list[tuple[int, int]]:
    count = ceil(tiles / STAGED)
    return [(tiles * i // count, tiles * (i + 1) // count) for i in range(count)]


def _whole(channels: int, machine: Machine) -> int:
    return ceil(channels / machine.lanes) * machine.lanes


def _group(channels: int, machine: Machine) -> int:
    """Bytes of a group of tiles."""
    return 4 * POINTS * rows_of(machine) * _whole(channels, machine)


def _line(machine: Machine) -> int:
    """Bytes that lie between the points of a group, all together."""
    return 4 * POINTS * machine.lanes


def _pointer(array: Array | None) -> int:
    return 0 if array is None else pointer(array)
