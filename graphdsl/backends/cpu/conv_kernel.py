"""The gradient of a convolution's kernel: conv_kernel.c."""

from __future__ import annotations

from math import ceil, prod

from graphdsl.backends.cpu import conv_five, conv_half, depthwise, winograd
from graphdsl.backends.cpu.choice import Way, Work, gradient_way
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Step, Task, address, all_float32, binds, i64, pointer
from graphdsl.ir import Array, Call
from graphdsl.ops import ConvKernelGradient, reach
from graphdsl.report import dataclass

PIXELS = 192
"""About as many as a block should have: the fewer, the more often sums are written; the more, the less fits caches."""
LINE, NARROW = 320, 128
"""Pixels of a line that is not cut; where sums are few, so that a block and a panel fit the first cache."""
FEW_SUMS = 2048
"""Sums that are few."""
SHORT = 12
"""Runs of fewer floats do not fill tiles: windows are gathered."""
TILE, DEPTH = 16, 32
"""Rows and columns of an AMX tile of sums; how many products each sums."""
FEW, MANY = 4, 8
"""Channels up to which, and from which on, AMX tiles are faster than vectors and Winograd's way."""
NEAR, FIRST, SECOND = 28 << 10, 52 << 10, 3 << 19
"""Bytes of tiles that stay in the first cache; the same with those of lines around; that stay in the second cache."""
PLACES = 320
"""About as many as a block of AMX tiles should have."""
SMALL = 1 << 16
"""Bytes of sums that are not worth a second thread."""
SERIAL = 1 << 18
"""Multiplications that one thread is through with before a second one has begun."""


class conv_kernel_task(Task):
    _fields_ = (
        *((n, address) for n in ("x", "dy", "dkernel")),
        *((n, i64) for n in ("batch", "height", "width", "channels", "out_height", "out_width", "filters")),
        *((n, i64) for n in ("window_height", "window_width", "stride_height", "stride_width")),
        *((n, i64) for n in ("pad_height", "pad_width", "dilation_height", "dilation_width", "groups")),
        *((n, i64) for n in ("piece", "block", "copied", "gathered", "turned", "straight", "parts", "slices")),
        *((n, i64) for n in ("copy_floats", "gather_floats")),
    )


class conv_kernel_amx_task(Task):
    _fields_ = (
        *((n, address) for n in ("x", "dy")),
        *((n, i64) for n in ("batch", "height", "width", "channels", "out_height", "out_width", "filters")),
        *((n, i64) for n in ("window_height", "window_width", "stride_height", "stride_width")),
        *((n, i64) for n in ("pad_height", "pad_width", "dilation_height", "dilation_width")),
        *((n, i64) for n in ("lines", "columns", "block", "pitch", "places", "depth", "parts", "slices", "sums")),
        *((n, i64) for n in ("chunk", "near")),
    )


class conv_kernel_amx_ending_task(Task):
    _fields_ = (("dkernel", address), *((n, i64) for n in ("channels", "filters", "taps", "parts", "sums")))


class conv_kernel_ending_task(Task):
    _fields_ = (
        ("dkernel", address),
        *((n, i64) for n in ("groups", "group_filters", "runs", "run", "line", "turned", "parts", "sums")),
    )


@dataclass(frozen=True)
class Geometry:
    """A convolution over pictures; time is a picture of height 1, and so are pixels that have no neighbours."""

    batch: int
    size: tuple[int, int]
    channels: int
    out: tuple[int, int]
    filters: int
    window: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    padded: bool

    @property
    def numbers(self) -> tuple[int, ...]:
        """The fields of the task, in order."""
        first = (self.batch, *self.size, self.channels, *self.out, self.filters)
        return (*first, *self.window, *self.stride, *self.pad, *self.dilation, self.groups)

    @property
    def reached(self) -> tuple[int, int]:
        down, across = reach(self.window, self.dilation)
        return down, across


def geometry(op: ConvKernelGradient, x: Array, dy: Array) -> Geometry:
    """The sizes of the call. Windows of one pixel know no lines: the batch is one picture of one line."""
    axes = len(op.size)
    padded = any(lo or hi for lo, hi in op.pad)
    if set(op.size) == set(op.stride) == {1} and not padded:
        line = (1, x.size // x.shape[-1])
        return Geometry(
            *(1, line, x.shape[-1], line, dy.shape[-1]), *((1, 1), (1, 1), (0, 0), (1, 1)), *(op.groups, False)
        )

    def pair(*numbers: int, missing: int = 1) -> tuple[int, int]:
        down, across = (*(missing,) * (2 - axes), *numbers)
        return down, across

    before = (lo for lo, _ in op.pad)
    return Geometry(
        *(len(x), pair(*x.shape[1:-1]), x.shape[-1], pair(*dy.shape[1:-1]), dy.shape[-1]),
        *(pair(*op.size), pair(*op.stride), pair(*before, missing=0), pair(*op.dilation)),
        *(op.groups, padded),
    )


@dataclass(frozen=True)
class Layout:
    """How conv_kernel.c goes about it; see there.

    runs     how many runs a window has, each of `run` floats
    columns  of a row of sums
    sums     floats of one part
    """

    runs: int
    run: int
    gathered: bool
    turned: bool
    sums: int


def layout(g: Geometry, lanes: int) -> Layout:
    """What the rows of the products are, and whether x is gathered for them."""
    part_in, part_out = g.channels // g.groups, g.filters // g.groups
    joined = g.groups == 1 and g.dilation[1] == 1
    taps, across = g.window[0] * g.window[1], g.window[1] if joined else 1
    gathered = across * part_in < SHORT and taps > across
    runs = 1 if gathered else taps // across
    run = taps * part_in // runs
    upright, turned = runs * run * ceil(part_out / lanes), part_out * runs * ceil(run / lanes)
    turn = turned < (1.05 if part_out <= lanes < run else 0.9) * upright
    sums = g.groups * lanes * (turned if turn else upright)
    return Layout(runs, run, gathered, turn, sums)


@binds(ConvKernelGradient)
def conv_kernel_gradient(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    op, (x, dy), (dkernel,) = call.op, inputs, outputs
    assert isinstance(op, ConvKernelGradient)
    if not all_float32(x, dy) or len(op.size) > 2 or not x.size:
        return None
    if depthwise.served(op, x, dy):
        return depthwise.kernel_gradient(op, x, dy, dkernel, machine)
    g = geometry(op, x, dy)
    fives = conv_five.preferred(op, x, op.size, dy, machine)
    plan = conv_five.kernel_gradient(op, x, dy, dkernel, machine) if fives else None
    if plan is not None:
        return plan
    if conv_half.preferred(op, x, op.size, dy, machine, kernel=True):
        return conv_half.kernel_gradient(op, x, dy, dkernel, machine)
    if machine.library.tiles and machine.fast and g.groups == 1 and dy.size * dkernel.size // g.filters >= SERIAL:
        if g.channels >= MANY:
            return conv_kernel_amx(g, x, dy, dkernel, machine)
        if g.channels <= FEW and prod(g.window) > 1:
            return conv_kernel_few(g, x, dy, dkernel, machine)
    if op.size == (3, 3) and op.stride == op.dilation == (1, 1) and op.groups == 1:
        batch, height, width, filters = dy.shape
        way = gradient_way(Work(batch, height, width, x.shape[3], filters), machine)
        if way is not Way.DIRECT:
            (top, _), (left, _) = op.pad
            return winograd.kernel_gradient(x, dy, dkernel, (top, left), machine, staged=way is Way.FAR)
    return conv_kernel(g, x, dy, dkernel, machine)


def conv_kernel(g: Geometry, x: Array, dy: Array, dkernel: Array, machine: Machine) -> Plan:
    """Sums of outer products over blocks of lines, then the sum of the threads' parts: conv_kernel.c."""
    how, lanes, part_out = layout(g, machine.lanes), machine.lanes, g.filters // g.groups
    most = NARROW if how.sums <= FEW_SUMS or lanes < 16 else LINE
    piece = ceil(g.out[1] / ceil(g.out[1] / most))
    lines = g.batch * g.out[0] * ceil(g.out[1] / piece)
    block = min(lines, max(1, round(PIXELS / piece)))
    serial = dy.size * dkernel.size // g.filters < SERIAL
    wide = how.sums > (x.size + dy.size) // 4 and how.runs * g.filters // g.groups >= 8 * machine.lanes
    parts = 1 if serial or wide else min(machine.threads, lines)
    slices = machine.threads if wide and not serial else 1
    copied = g.padded or how.gathered or how.turned
    straight = parts == g.groups == 1 and not how.turned and g.filters % machine.lanes == 0
    room = 4 * machine.lanes
    copy = _copied_rows(g, block, piece) * ((piece - 1) * g.stride[1] + g.reached[1]) * g.channels + room
    gather = block * piece * how.run + room if how.gathered else 0
    own = 48 * block + 4 * (copy * copied + gather + block * piece * 3 * machine.lanes)
    task = conv_kernel_task(
        *(pointer(a) for a in (x, dy, dkernel)), *g.numbers,
        piece, block, copied, how.gathered, how.turned, straight, parts, slices, copy * copied, gather,
    )  # fmt: skip
    shared = 0 if straight else 4 * how.sums * parts
    first = machine.step("conv_kernel", task, serial=serial, own=own, shared=shared)
    if straight:
        return Plan((first,))
    line = (how.runs if how.turned else 1) * lanes * ceil((how.run if how.turned else part_out) / lanes)
    ending = conv_kernel_ending_task(
        pointer(dkernel), g.groups, part_out, how.runs, how.run, line, how.turned, parts, how.sums
    )
    return Plan((first, _ending(ending, shared, machine)))


def _ending(task: conv_kernel_ending_task, shared: int, machine: Machine) -> Step:
    return machine.step("conv_kernel_ending", task, serial=shared < SMALL, shared=shared)


@dataclass(frozen=True)
class Bands:
    """How results are cut up for tiles: see conv_kernel_amx.h.

    pitch   places from line to line
    depth   steps along the places of a band
    shift   of the last tap against the first, in lines and in places
    behind  places that the last tiles may read behind a band's
    """

    lines: int
    columns: int
    pitch: int
    depth: int
    count: int
    shift: tuple[int, ...]
    behind: int


def _bands(g: Geometry, most: int, step: int) -> Bands:
    """Bands of about `most` places, of which a step takes `step`."""
    shift = tuple((k - 1) * d // s for k, d, s in zip(g.window, g.dilation, g.stride, strict=True))
    columns = ceil(g.out[1] / ceil(g.out[1] / most))
    lines = _lines(g, shift, most, step) if columns == g.out[1] else 1
    pitch = columns + shift[1]
    if step == DEPTH:  # lines begin with a pair of places
        pitch += pitch % 2
    elif columns == g.out[1] and g.stride[1] == 1:  # the zeros behind a line are those before the next one
        pitch -= max(0, min(shift[1], g.pad[1], pitch - g.size[1] - g.pad[1]))
    count = g.batch * ceil(g.out[0] / lines) * ceil(g.out[1] / columns)
    behind = shift[0] * pitch + shift[1]
    return Bands(lines, columns, pitch, ceil(((lines - 1) * pitch + columns) / step), count, shift, behind)


def conv_kernel_amx(g: Geometry, x: Array, dy: Array, dkernel: Array, machine: Machine) -> Plan:
    """For many channels."""
    taps, vectors, filters = prod(g.window), ceil(g.channels / TILE), ceil(g.filters / TILE)
    phases = prod(s if k > 1 else 1 for k, s in zip(g.window, g.stride, strict=True))
    bands = _bands(g, max(TILE, min(PLACES, SECOND // (256 * (phases * vectors + filters)))), TILE)
    sums = filters * taps * vectors * TILE * TILE
    wide = machine.threads <= filters and sums > (x.size + dy.size) // 4
    parts, slices = (1, machine.threads) if wide else (min(machine.threads, bands.count), 1)
    block = min(ceil(ceil(bands.count / parts) / 2), max(1, PLACES // (bands.depth * TILE)))
    places = bands.depth * TILE + bands.behind
    own = block * bands.depth * (8 + 2048 * filters) + block * phases * vectors * 128 * places + 8 * taps * vectors + 64
    near = taps * max(1, 4 // taps)
    steps, bytes_a_step = block * bands.depth, 128 * TILE * (ceil(near / taps) + 2)
    most = max(4, (FIRST - 128 * bands.behind) // bytes_a_step)
    chunk = ceil(steps / ceil(steps / most))
    task = conv_kernel_amx_task(
        *(pointer(x), pointer(dy), *g.numbers[:-1], bands.lines, bands.columns, block),
        *(bands.pitch, places, bands.depth, parts, slices, sums, chunk, near),
    )
    ending = conv_kernel_amx_ending_task(pointer(dkernel), g.channels, g.filters, taps, parts, sums)
    shared = 4 * sums * parts
    first = machine.step("conv_kernel_amx", task, own=own, shared=shared)
    return Plan((first, machine.step("conv_kernel_amx_ending", ending, serial=shared < SMALL, shared=shared)))


def conv_kernel_few(g: Geometry, x: Array, dy: Array, dkernel: Array, machine: Machine) -> Plan:
    """For few channels."""
    bands, rows = _bands(g, 2 * PLACES, DEPTH), prod(g.window) * g.channels
    tiles, filters = ceil(rows / TILE), ceil(g.filters / TILE)
    line = filters * TILE
    sums, parts = tiles * TILE * line, min(machine.threads, bands.count)
    places = bands.depth * DEPTH + bands.behind + 2 + DEPTH
    phases = prod(s if k > 1 else 1 for k, s in zip(g.window, g.stride, strict=True))
    planes = g.channels * phases * 2 * (2 * places + 64)
    block = max(2, min(bands.depth, NEAR // (2048 * (tiles + filters))))
    own = 8 * rows + 64 + block * 2048 * (tiles + filters) + planes
    task = conv_kernel_amx_task(
        *(pointer(x), pointer(dy), *g.numbers[:-1], bands.lines, bands.columns, block),
        *(bands.pitch, places, bands.depth, parts, 1, sums, 0, 0),
    )
    ending = conv_kernel_ending_task(pointer(dkernel), 1, g.filters, 1, rows, line, False, parts, sums)
    shared = 4 * sums * parts
    return Plan((machine.step("conv_kernel_few", task, own=own, shared=shared), _ending(ending, shared, machine)))


def _lines(g: Geometry, shift: tuple[int, ...], most: int, step: int) -> int:
    """Lines of a band, so that few places are in vain."""

    def waste(lines: int) -> float:
        bands, places = ceil(g.out[0] / lines), lines * (g.out[1] + shift[1])
        return bands * (ceil(places / step) * step + 0.25 * shift[0] * (g.out[1] + shift[1]))

    few = max(1, min(g.out[0], 2 * most // (g.out[1] + shift[1])))
    return min(range(few, 0, -1), key=waste)


def _copied_rows(g: Geometry, block: int, piece: int) -> int:
    """The most rows of x that the lines of a block read."""
    down = g.reached[0]
    if piece < g.out[1]:
        return block * down
    pictures = min(block, (block + g.out[0] - 2) // g.out[0] + 1)
    return block * g.stride[0] + pictures * max(down - g.stride[0], 0)
