"""Winograd's F(4x4, 3x3): 3x3 convolutions of stride 1 with a quarter of the multiplications."""

from __future__ import annotations

import ctypes
from math import ceil

from graphdsl.backends.cpu.epilogue import Finish
from graphdsl.backends.cpu.task import Machine, Plan, Step, Task, address, f64, i64, pointer, room
from graphdsl.ir import Array

POINTS, TILE = 36, 4


class winograd_task(Task):
    _fields_ = (
        ("x", address),
        *((n, i64) for n in ("height", "width", "channels", "top", "left", "down", "across")),
        *((n, i64) for n in ("first", "last", "block", "parts")),
        ("u", address),
        ("y", address),
        *((n, i64) for n in ("out_height", "out_width", "filters")),
        *((n, address) for n in ("bias", "add", "mask", "after")),
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


def convolution(
    x: Array,
    kernel: Array,
    y: Array,
    before: tuple[int, int],
    machine: Machine,
    *,
    flipped: bool = False,
    fixed: bool = False,
    finish: Finish = NOTHING,
    after: Task | None = None,
    staged: bool | None = None,
) -> Plan:
    """y = x (*) kernel, with `before` zeros above and to the left. flipped: the kernel turned round and transposed, as
    the input gradient has it. fixed: the kernel is transformed once. staged: V of all tiles before any product."""
    channels, filters = x.shape[3], y.shape[3]
    lanes, rows = machine.lanes, ctypes.c_int64.in_dll(machine.library.c, "winograd_rows").value
    down, across = ceil(y.shape[1] / TILE), ceil(y.shape[2] / TILE)
    tiles, panels = len(x) * down * across, ceil(filters / (2 * lanes))
    u = room(POINTS, channels, ceil(filters / lanes) * lanes)
    pack = winograd_pack_task(pointer(kernel), pointer(u), channels, filters, flipped)
    packing = machine.step("winograd_pack", pack, serial=kernel.size < 512, keeps=(u,))
    if staged is None:
        staged = channels * filters >= 128 * 256
    v_group, m_group = (4 * POINTS * rows * lanes * n for n in (ceil(channels / lanes), 2))
    line = 4 * POINTS * lanes
    block = max(1, min(8, BLOCK // (v_group + m_group)))

    def task(first: int, last: int, block: int, parts: int = 1) -> winograd_task:
        made = winograd_task(
            pointer(x), *x.shape[1:], *before, down, across, first, last, block, parts, pointer(u),
            pointer(y), *y.shape[1:], _pointer(finish.bias), _pointer(finish.add), _pointer(finish.mask),
            ctypes.addressof(after) if after else 0, finish.low,
        )  # fmt: skip
        made.keeps = after
        return made

    steps: list[Step] = []
    if staged:
        chunks = ceil(tiles / STAGED)
        for i in range(chunks):
            first, last = tiles * i // chunks, tiles * (i + 1) // chunks
            parts = max(1, min(ceil(machine.threads / panels), (last - first) // rows))
            groups = ceil(ceil((last - first) / parts) / rows)
            at_once = max(1, min(ceil(panels * parts / machine.threads), MOST // (groups * m_group)))
            one = task(first, last, at_once, parts)
            shared, own = groups * parts * v_group + line, groups * m_group * at_once
            steps.append(machine.step("winograd_spread", one, shared=shared, keeps=(u,)))
            steps.append(machine.step("winograd_gather", one, own=own, shared=shared))
    else:
        own = block * (v_group + m_group) + line
        steps.append(machine.step("winograd", task(0, tiles, block), own=own, keeps=(u, *finish.keeps)))
    return Plan(tuple(steps), (packing,)) if fixed else Plan((packing, *steps))


BLOCK = 768 << 10
MOST = 16 << 20
STAGED = 256


def _pointer(array: Array | None) -> int:
    return 0 if array is None else pointer(array)


def kernel_gradient(
    x: Array, dy: Array, dk: Array, before: tuple[int, int], machine: Machine, *, staged: bool | None = None
) -> Plan:
    """dk = what dy sends back to the kernel of the convolution of x with `before` zeros above and to the left."""
    lanes, rows = machine.lanes, ctypes.c_int64.in_dll(machine.library.c, "winograd_rows").value
    channels, filters = (ceil(n / lanes) * lanes for n in (x.shape[3], dy.shape[3]))
    down, across = ceil(dy.shape[1] / TILE), ceil(dy.shape[2] / TILE)
    tiles = len(x) * down * across
    if staged is None:
        staged = channels * filters >= 128 * 128
    size, group = POINTS * channels * filters, 4 * POINTS * rows * (channels + filters)

    def task(first: int, last: int, block: int) -> winograd_kernel_task:
        return winograd_kernel_task(
            pointer(x), *x.shape[1:], *before, down, across, first, last, block, size, pointer(dy), *dy.shape[1:]
        )

    steps: list[Step] = []
    if staged:
        chunks = ceil(tiles / STAGED)
        for i in range(chunks):
            first, last = tiles * i // chunks, tiles * (i + 1) // chunks
            one, shared = task(first, last, 1), 4 * size + group * ceil((last - first) / rows) + 8 * POINTS * lanes
            steps.append(machine.step("winograd_kernel_spread", one, shared=shared))
            steps.append(machine.step("winograd_kernel_product", one, shared=shared))
        parts = 1
    else:
        groups = max(1, min(8, BLOCK // group))
        own, shared = group * groups + 8 * POINTS * lanes, 4 * size * machine.threads
        steps.append(machine.step("winograd_kernel", task(0, tiles, groups * rows), own=own, shared=shared))
        parts = machine.threads
    adding = winograd_kernel_sum_task(pointer(dk), x.shape[3], dy.shape[3], parts)
    return Plan((*steps, machine.step("winograd_kernel_sum", adding)))
