"""How a convolution is swept over its input: conv.c. Lines, blocks of lines, shares of threads, packed weights."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from math import ceil, prod

import numpy as np

from graphdsl.backends.cpu.epilogue import Finish, riding
from graphdsl.backends.cpu.task import Machine, Plan, Step, Task, address, f64, i64, pointer, room
from graphdsl.ir import Array
from graphdsl.report import dataclass

BLOCK = 256 << 10
"""Bytes of input and results that are worked on together: with a panel of weights they fit the second cache."""
LINE = 56
"""Pixels of a line, where lines are cut as we like."""
LONG = 1 << 15
"""Floats of input that a line may hold before it is cut."""
FAR, APART = 1024, 16
"""Floats between pixels that meet in the first cache, by powers of two; more between windows that are gathered."""
HIGHEST = {16: 14, 8: 6}
"""Rows of a tile of two vectors, by floats in a vector; 5 of others: see tile.h."""
LOW, MANY_WEIGHTS, FILTERS = 0.7, 1 << 17, 64
"""Windows are gathered for tiles lower than so much of that, where weights and filters are as many or more."""
SMALL = 1.5e6
"""Floating-point operations that are not worth a second thread."""
PACKED = 1 << 14
"""Weights that are not worth a second thread to pack."""
MANY = 1 << 20
"""Bytes of weights that do not fit the second cache together with what they are multiplied by."""
READING, THEIRS = 20.0, 6
"""What reading a weight from far costs beside a multiplication; how much more a number of x, which others wrote."""


class conv_task(Task):
    _fields_ = (
        *((n, address) for n in ("x", "packed", "y", "bias", "add", "mask", "after", "offsets")),
        *((n, i64) for n in ("images", "parts", "rows", "wide", "last")),
        *((n, i64) for n in ("y_image", "y_part", "y_line", "y_pixel", "x_image", "x_part", "x_line", "x_pixel")),
        *((n, i64) for n in ("filters", "channels", "groups", "height", "x_wide")),
        *((n, i64) for n in ("down", "top", "dilation", "taps", "pieces", "length", "from")),
        *((n, i64) for n in ("staged_line", "staged_image", "gathered", "gathered_lines")),
        *((n, i64) for n in ("window", "window_top", "window_pixel")),
        *((n, i64) for n in ("block", "line_shares", "panel_shares")),
        ("low", f64),
    )


class conv_phases_task(Task):
    _fields_ = (("sweeps", address), ("count", i64), ("block", i64))


class conv_pack_task(Task):
    _fields_ = (
        *((n, address) for n in ("kernel", "packed", "offsets")),
        *((n, i64) for n in ("taps", "depth", "columns", "stride", "turned", "groups", "group_step")),
    )


@dataclass(frozen=True)
class Axis:
    """Windows along an axis: result o is the sum over t of x[o * stride + t * dilation - before] * kernel[taps[t]].

    size, out    of x; of the results
    place, step  result o is stored at place + o * step
    """

    taps: tuple[int, ...]
    stride: int
    dilation: int
    before: int
    size: int
    out: int
    place: int = 0
    step: int = 1

    @property
    def inside(self) -> bool:
        """Whether no window reaches past the ends."""
        return self.before <= 0 and self.stride * (self.out - 1) + self.reach - self.before <= self.size

    @property
    def reach(self) -> int:
        return (len(self.taps) - 1) * self.dilation + 1 if self.taps else 0

    @property
    def plain(self) -> bool:
        """Whether result o is x[o] times one tap."""
        return self.single and self.stride == 1 and self.size == self.out

    @property
    def single(self) -> bool:
        """Whether result o is x[o * stride] times one tap."""
        return len(self.taps) == self.step == 1 and not self.before and self.inside


@dataclass(frozen=True)
class Sweep:
    """One pass of a kernel over pictures [images, lines, pixels, channels].

    turned  the kernel's filters are the channels of x, its channels those of y
    """

    x: Array
    kernel: Array
    y: Array
    rows: Axis
    columns: Axis
    groups: int
    turned: bool
    finish: Finish

    @property
    def taps(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of the lines and of the columns; where one has none the other needs none."""
        down, along = self.rows.taps, self.columns.taps
        return (down, along) if down and along else ((), ())


def swept(sweeps: Sequence[Sweep], y: Array, machine: Machine, finish: Finish) -> Plan | None:
    """The sweeps one after another or together, then what they could not do of the formula."""
    once: list[Step] = []
    steps: list[Step] = []
    formula, rest = riding(finish, y, machine, here=len(sweeps) == 1)
    if rest is None:
        return None
    for sweep in sweeps:
        packed, pack = _packing(sweep, machine)
        (once if 1 in machine.fixed else steps).extend(pack)
        steps.append(_run(sweep, packed, formula, machine))
    if len(sweeps) > 1 and 4 * sweeps[0].kernel.size <= MANY:
        steps = _together(sweeps, steps, machine)
    return Plan((*steps, *rest), tuple(once))


def _together(sweeps: Sequence[Sweep], steps: Sequence[Step], machine: Machine) -> list[Step]:
    """The sweeps among the steps as one step at the end."""
    runs = [s for s in steps if isinstance(s.task, conv_task)]
    tasks = [s.task for s in runs]
    if len({t.images * t.parts for t in tasks}) > 1:
        return list(steps)
    tasks.sort(key=lambda t: -t.rows)
    floats = sum(t.wide * (t.x_pixel + t.filters * t.groups) for t in tasks)
    addresses = (ctypes.c_void_p * len(tasks))(*map(ctypes.addressof, tasks))
    block = max(1, min(BLOCK // (4 * floats), min(t.block for t in tasks), tasks[0].rows))
    task = conv_phases_task(ctypes.addressof(addresses), len(tasks), block)
    task.keeps = (addresses, runs)
    serial, own = all(s.serial for s in runs), max(s.own for s in runs)
    return [s for s in steps if not isinstance(s.task, conv_task)] + [
        machine.step("conv_phases", task, serial=serial, own=own)
    ]


def _packing(sweep: Sweep, machine: Machine) -> tuple[Array, list[Step]]:
    """The weights of a sweep in panels, and the step that packs them."""
    depth, columns, groups = sweep.x.shape[-1] // sweep.groups, sweep.y.shape[-1] // sweep.groups, sweep.groups
    down, along = sweep.taps
    taps = np.array([i * sweep.kernel.shape[1] + j for i in down for j in along], np.int64)
    offsets = taps * prod(sweep.kernel.shape[2:])
    packed = room(max(groups * offsets.size * depth * ceil(columns / machine.lanes) * machine.lanes, 1))
    if not offsets.size:
        return packed, []
    filters = sweep.kernel.shape[-1]
    task = conv_pack_task(
        *(pointer(sweep.kernel), pointer(packed), pointer(offsets), offsets.size, depth, columns, filters),
        *(int(sweep.turned), groups, filters // groups),
    )
    return packed, [machine.step("conv_pack", task, serial=packed.size < PACKED, keeps=(packed, offsets))]


def _run(sweep: Sweep, packed: Array, formula: Task | None, machine: Machine) -> Step:
    """The step that sweeps."""
    lines = _lines(sweep, machine)
    sizes, offsets = _windows(sweep, lines)
    rows, columns, channels = sweep.rows, sweep.columns, sweep.x.shape[-1]
    whole, filters = sweep.y.shape, sweep.y.shape[-1]
    start = (rows.place * whole[2] + columns.place) * filters
    y_pixel, x_pixel = columns.step * filters, columns.stride * channels
    line_shares, panel_shares = lines.shares
    task = conv_task(
        x=pointer(sweep.x),
        packed=pointer(packed),
        y=pointer(sweep.y) + 4 * start,
        bias=offset_pointer(sweep.finish.bias),
        add=offset_pointer(sweep.finish.add, start),
        mask=offset_pointer(sweep.finish.mask, start),
        after=ctypes.addressof(formula) if formula else 0,
        offsets=pointer(offsets),
        y_part=lines.wide * y_pixel,
        y_line=rows.step * whole[2] * filters,
        y_pixel=y_pixel,
        x_part=lines.wide * x_pixel,
        line_shares=line_shares,
        panel_shares=panel_shares,
        low=sweep.finish.low,
        **{name: getattr(lines, name) for name in ("images", "parts", "rows", "wide", "last", "block")},
        **{"x_pixel": x_pixel, **sizes},
    )
    task.keeps = formula
    work = 2.0 * packed.size * prod(whole[:3]) / (rows.step * columns.step)
    own = 4 * sizes["staged_image"] * (1 + lines.block // lines.rows)
    return machine.step("conv", task, serial=work < SMALL, own=own, keeps=(packed, offsets, *sweep.finish.keeps))


def _windows(sweep: Sweep, lines: Lines) -> tuple[dict[str, int], Array]:
    """What the task says of pictures and windows, and where the segments of a window begin."""
    rows, columns, channels = sweep.rows, sweep.columns, sweep.x.shape[-1]
    down, along = sweep.taps
    one = (columns.dilation == 1 and sweep.groups == 1) or len(along) == 1
    pieces, depth = 1 if one else max(len(along), 1), channels // sweep.groups
    staged = 0 if columns.inside else ((lines.wide - 1) * columns.stride + columns.reach) * channels
    line = prod(sweep.x.shape[2:])
    segments = range(0, len(along), max(len(along) // pieces, 1))
    below, beside = rows.dilation * (staged or line), columns.dilation * channels
    starts = [i * below + j * beside for i in range(len(down)) for j in segments]
    sizes = {
        "y_image": prod(sweep.y.shape[1:]),
        "x_image": prod(sweep.x.shape[1:]),
        "x_line": line,
        "x_wide": line,
        "filters": sweep.y.shape[-1] // sweep.groups,
        "channels": depth,
        "groups": sweep.groups,
        "height": rows.size,
        "down": rows.stride,
        "top": rows.before,
        "dilation": rows.dilation,
        "taps": len(down),
        "pieces": pieces,
        "length": len(along) * depth // pieces,
        "staged_line": staged,
        "staged_image": min(rows.stride * lines.block + rows.reach, rows.size) * staged,
        "from": -columns.before * channels,
    }
    if lines.gathered:
        return sizes | _gathered(sweep, lines), np.zeros(1, np.int64)
    return sizes, np.array(starts, np.int64)


def _gathered(sweep: Sweep, lines: Lines) -> dict[str, int]:
    """The same where windows are gathered."""
    down, along = sweep.taps
    length = len(down) * len(along) * sweep.x.shape[-1]
    staged = lines.wide * (length + APART)
    return {
        "x_pixel": length + APART,
        "top": 0,
        "taps": 1,
        "pieces": 1,
        "length": length,
        "staged_line": staged,
        "staged_image": staged,
        "gathered": sweep.columns.out,
        "gathered_lines": sweep.rows.out,
        "window": len(down),
        "window_top": sweep.rows.before,
        "window_pixel": sweep.columns.stride * sweep.x.shape[-1],
    }


def worth_gathering(sweep: Sweep, machine: Machine) -> bool:
    """Where single pixels are far apart, or lines of results are so short that tiles of other lines are much higher."""
    rows, columns, channels = sweep.rows, sweep.columns, sweep.x.shape[-1]
    if sweep.groups > 1 or columns.dilation > 1 or rows.step * columns.step > 1 or not sweep.taps[0]:
        return False
    if rows.single and columns.single:
        return columns.stride > 1 and columns.stride * channels >= FAR
    highest = HIGHEST.get(machine.lanes, 5)
    height = columns.out / ceil(columns.out / highest)
    return height <= LOW * highest and sweep.kernel.size >= MANY_WEIGHTS and sweep.y.shape[-1] >= FILTERS


@dataclass(frozen=True)
class Lines:
    """How results are cut into lines, lines into blocks, and both among threads: see conv.h."""

    images: int
    parts: int
    rows: int
    wide: int
    last: int
    block: int
    shares: tuple[int, int]
    gathered: bool


def _lines(sweep: Sweep, machine: Machine) -> Lines:
    x, y, rows, columns = sweep.x, sweep.y, sweep.rows, sweep.columns
    images, down, across = len(x), rows.out, columns.out
    most = max(LINE, LONG // (columns.stride * x.shape[-1]))
    gathered = worth_gathering(sweep, machine)
    if gathered or (rows.plain and columns.plain):
        images, down, across, most = 1, 1, prod(y.shape[:3]), LINE
    parts = max(ceil(across / most), min(ceil(machine.threads / (images * down)), across // LINE))
    if parts > 1 and images == down == 1:
        parts = ceil(parts / machine.threads) * machine.threads
    wide = ceil(across / max(parts, 1))
    parts = ceil(across / wide)
    read = 2 * sweep.kernel.size // y.shape[-1] if gathered else rows.stride * columns.stride * x.shape[-1]
    floats = wide * (read + y.shape[-1])
    block = max(1, min(BLOCK // (4 * floats), images * parts * down))
    shares = shares_of(sweep, images * parts * down, machine)
    return Lines(images, parts, down, wide, across - (parts - 1) * wide, block, shares, gathered)


def shares_of(sweep: Sweep, lines: int, machine: Machine) -> tuple[int, int]:
    """How many threads share the lines, and how many the panels, so that the busiest has little to do and to read."""
    panels = sweep.groups * max(1, ceil(sweep.y.shape[-1] // sweep.groups / machine.lanes) // 2)
    weights, work = sweep.kernel.size, sweep.kernel.size * lines * sweep.columns.out
    options = [(a, machine.threads // a) for a in range(1, machine.threads + 1)]

    def cost(option: tuple[int, int]) -> float:
        by_line, by_panel = option
        done = work * ceil(lines / by_line) / lines * ceil(panels / by_panel) / panels
        return float(done + READING * (THEIRS * sweep.x.size / by_line + weights / by_panel))

    return min(options, key=cost)


def offset_pointer(array: Array | None, offset: int = 0) -> int:
    return 0 if array is None else pointer(array) + 4 * offset
