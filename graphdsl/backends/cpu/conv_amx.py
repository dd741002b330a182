"""Convolutions in AMX tiles, where the processor has them (conv_amx.c): numbers are taken as pairs of bfloat16."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from math import ceil, prod

import numpy as np

from graphdsl.backends.cpu.epilogue import Finish, riding
from graphdsl.backends.cpu.gathering import Gathered, Shares
from graphdsl.backends.cpu.sweep import Sweep, offset_pointer, shares_of, swept
from graphdsl.backends.cpu.task import Machine, Plan, Step, Task, address, f64, i64, pointer, room
from graphdsl.ir import Array

PANEL, DEPTH, PLACES, TILE = 32, 32, 64, 16
SLACK = 64
PLAIN = 64
"""Pixels of a line, where lines are cut as we like."""
BLOCK, FAR_BLOCK, FAR = 384 << 10, 1 << 20, 1 << 20
"""Bytes of laid out lines that are worked on together; more where the weights, of so many bytes, come from far."""
LONGEST = 3 << 20
"""Bytes that the lines under one line of windows may take."""
PRODUCT, LAID_OUT, STORED = 180.0, 0.65, 6.0
"""Cycles for 32 places, filters and numbers of depth; for a number to lay out; for 16 results, which are mostly stored
while tiles multiply."""
DIRECT, STORED_DIRECT = 1 / 38, 8.0
"""Cycles that conv.c takes for a multiplication, and for 16 results."""
WORTH = 0.95
"""Tiles round a little more: they must save more than this."""
SMALL = 3e6
"""Multiplications that are not worth a second thread."""


class conv_amx_task(Task):
    _fields_ = (
        *((n, address) for n in ("x", "packed", "y", "bias", "add", "mask", "after", "before")),
        *((n, i64) for n in ("pixels", "images", "rows", "columns", "limit", "height", "width", "channels", "filters")),
        *((n, i64) for n in ("down", "across", "top", "left", "taps", "dilation", "pieces", "piece_step", "length")),
        *((n, i64) for n in ("x_image", "x_line", "x_pixel", "y_image", "y_line", "y_pixel")),
        *((n, i64) for n in ("pitch", "shared", "block", "line_shares", "panel_shares")),
        ("gathers", i64),
        *((n, address) for n in ("statistics", "other", "second_other", "mean", "second_mean")),
        ("low", f64),
    )


class conv_amx_pack_task(Task):
    _fields_ = (
        *((n, address) for n in ("kernel", "packed", "offsets")),
        *((n, i64) for n in ("segments", "along", "depth", "filters", "stride", "turned")),
    )


class Tiled:
    """How a sweep is done in tiles.

    lines, wide   of results, for each image
    limit         how many results there are, where lines are cut as we like; -1
    pitch, shared pixels of a laid out line, and those of the next that it takes for its own
    pieces, piece_step, length   segments of a window line, pixels from one to the next, numbers in each
    """

    def __init__(self, sweep: Sweep) -> None:
        rows, columns = sweep.rows, sweep.columns
        down, along = sweep.taps
        self.sweep = sweep
        self.channels, self.filters = sweep.x.shape[-1], sweep.y.shape[-1]
        self.plain = rows.plain and columns.plain
        self.images, self.lines, self.wide, self.limit = len(sweep.x), rows.out, columns.out, -1
        if self.plain:
            self.limit = prod(sweep.y.shape[:3])
            self.images, self.lines, self.wide = 1, ceil(self.limit / PLAIN), PLAIN
        whole = columns.dilation == 1 or len(along) == 1
        self.pieces, self.piece_step = (1, 0) if whole else (len(along), columns.dilation)
        self.taps, self.along = len(down), len(along) // max(self.pieces, 1)
        self.length = self.along * self.channels
        self.down, self.across = rows.stride, columns.stride
        self.height: int = self.lines if self.plain else sweep.x.shape[1]
        self.width: int = self.wide if self.plain else sweep.x.shape[2]
        self.x_pixel, self.x_line = self.channels, self.width * self.channels
        if len(down) == len(along) == 1 and rows.before == columns.before == 0:
            self._only_what_is_read()
        self.pitch, self.shared = self.wide, 0
        if not self.plain:
            self._pitch()
        line = 4 * self.pitch * self.channels
        self.window_bytes = line * ((self.taps - 1) * rows.dilation + 1)
        block = BLOCK if 4 * sweep.kernel.size < FAR else FAR_BLOCK
        most = max(1, min(self.lines, (block - self.window_bytes) // (line * self.down) + 1))
        self.block = ceil(self.lines / ceil(self.lines / most))

    def _only_what_is_read(self) -> None:
        """Windows of one pixel: others are not laid out."""
        self.x_line, self.x_pixel = self.x_line * self.down, self.x_pixel * self.across
        self.height, self.width = self.lines, self.wide
        self.down = self.across = 1

    def _pitch(self) -> None:
        """Zeros that lines have on both sides, or at least room for, are there once."""
        columns = self.sweep.columns
        pixels = (self.wide - 1) * self.across + columns.reach
        right = pixels - columns.before - self.width
        self.shared = max(0, min(columns.before, right, columns.reach - 1))
        self.pitch = ceil((pixels - self.shared) / self.across) * self.across

    @property
    def cycles(self) -> float:
        """What it takes, on one thread."""
        rows = self.sweep.rows
        depth = self.taps * self.pieces * ceil(self.length / DEPTH)
        runs = self.images * ceil(self.lines / self.block)
        places = runs * ceil(((self.block - 1) * self.pitch // self.across + self.wide) / TILE) * TILE / PANEL
        wide = ceil(self.filters / 16) / 2
        read = self.block * self.down + (self.taps - 1) * rows.dilation + 1 - self.down
        laid_out = runs * read * self.pitch * self.channels
        return float(places * wide * depth * PRODUCT + laid_out * LAID_OUT + self.results * STORED)

    @property
    def results(self) -> int:
        """In vectors of 16."""
        return int(self.images * self.lines * self.wide * ceil(self.filters / 16))

    @property
    def multiplications(self) -> int:
        return int(self.images * self.lines * self.wide * self.filters * self.taps * self.pieces * self.length)


def by_tiles(
    sweeps: Sequence[Sweep], y: Array, machine: Machine, finish: Finish, gathered: Gathered | None = None
) -> Plan | None:
    """The sweeps in tiles; None where they cannot be, or where conv.c is as fast.

    gathered  what is wanted of the results beside them
    """
    plans = {number: tiled(sweep, machine) for number, sweep in enumerate(sweeps) if sweep.taps[0]}
    if not plans or None in plans.values():
        return None
    if gathered and (len(plans) < len(sweeps) or finish.formula is not None):
        return None
    formula, rest = riding(finish, y, machine, here=len(sweeps) == 1)
    if rest is None:
        return None
    once: list[Step] = []
    steps: list[Step] = []
    shares = Shares(gathered, len(sweeps), y.shape[-1], machine) if gathered else None
    for number, sweep in enumerate(sweeps):
        plan = plans.get(number)
        if plan is None:
            zeros = swept([sweep], y, machine, sweep.finish)
            assert zeros is not None
            steps += zeros.steps
            continue
        packed, pack = packing(plan, machine)
        (once if 1 in machine.fixed else steps).append(pack)
        steps.append(run(plan, packed, formula, machine, shares, number))
    ended = [shares.ended(machine)] if shares else []
    return Plan((*steps, *ended, *rest), tuple(once))


def tiled(sweep: Sweep, machine: Machine) -> Tiled | None:
    """How the sweep is done in tiles; None where it cannot be, or where conv.c is as fast."""
    if not (machine.library.tiles and machine.fast and sweep.groups == 1 and sweep.x.size):
        return None
    found = Tiled(sweep)
    direct = found.multiplications * DIRECT + found.results * STORED_DIRECT
    return found if found.window_bytes <= LONGEST and found.cycles < WORTH * direct else None


def packing(plan: Tiled, machine: Machine) -> tuple[Array, Step]:
    """Room for the weights as tiles, and the step that packs them."""
    kernel, (down, along) = plan.sweep.kernel, plan.sweep.taps
    offsets = np.array([(i * kernel.shape[1] + j) * prod(kernel.shape[2:]) for i in down for j in along], np.int64)
    segments = plan.taps * plan.pieces
    packed = room(ceil(plan.filters / 16) * segments * ceil(plan.length / DEPTH) * 512)
    task = conv_amx_pack_task(
        *(pointer(kernel), pointer(packed), pointer(offsets), segments, plan.along, plan.channels, plan.filters),
        *(kernel.shape[-1], int(plan.sweep.turned)),
    )
    return packed, machine.step("conv_amx_pack", task, serial=kernel.size < 1 << 13, keeps=(packed, offsets))


def run(
    plan: Tiled, packed: Array, formula: Task | None, machine: Machine, gathering: Shares | None, number: int
) -> Step:
    """The step that sweeps. number: of the sweep, among those that gather."""
    sweep, finish = plan.sweep, plan.sweep.finish
    rows, columns, y = sweep.rows, sweep.columns, sweep.y.shape
    start = (rows.place * y[2] + columns.place) * y[3]
    line_shares, panel_shares = shares_of(sweep, plan.images * plan.lines, machine)
    if gathering:
        line_shares, panel_shares = machine.threads, 1
    task = conv_amx_task(
        x=pointer(sweep.x),
        packed=pointer(packed),
        y=pointer(sweep.y) + 4 * start,
        bias=offset_pointer(finish.bias),
        add=offset_pointer(finish.add, start),
        mask=offset_pointer(finish.mask, start),
        after=ctypes.addressof(formula) if formula else 0,
        line_shares=line_shares,
        panel_shares=panel_shares,
        low=finish.low,
        **_geometry(plan),
        **(gathering.fields(number, start) if gathering else {}),
    )
    task.keeps = formula
    lines = plan.down * (plan.block + (plan.taps - 1) * rows.dilation // plan.down)
    plane = (lines * plan.pitch + plan.shared + PLACES * plan.across) * plan.channels + SLACK
    own = 128 + 8 * plan.taps * plan.pieces + 2 * 2 * (plane + 64)
    serial = plan.multiplications < SMALL
    return machine.step("conv_amx", task, serial=serial, own=own, keeps=(packed, *finish.keeps))


def _geometry(plan: Tiled) -> dict[str, int]:
    """The task's sizes and distances."""
    rows, columns, y = plan.sweep.rows, plan.sweep.columns, plan.sweep.y.shape
    sizes = "images height width channels filters limit pitch shared block"
    distances = "down across taps pieces piece_step length x_line x_pixel"
    return {name: getattr(plan, name) for name in f"{sizes} {distances}".split()} | {
        "pixels": plan.limit if plan.plain else prod(plan.sweep.x.shape[1:3]),
        "rows": plan.lines,
        "columns": plan.wide,
        "top": rows.before,
        "left": columns.before,
        "dilation": rows.dilation,
        "x_image": prod(plan.sweep.x.shape[1:]),
        "y_image": prod(y[1:]),
        "y_line": plan.wide * y[3] if plan.plain else rows.step * y[2] * y[3],
        "y_pixel": columns.step * y[3],
    }
