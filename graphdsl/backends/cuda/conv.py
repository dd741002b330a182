"""Convolutions and their input gradients: conv.cu, products in tiles."""

from __future__ import annotations

from math import ceil, gcd, prod

from graphdsl.backends.cuda import depthwise
from graphdsl.backends.cuda.array import DeviceArray, all_of
from graphdsl.backends.cuda.epilogue import PLAIN, Epilogue, epilogue_args, finishes
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import Arrays, Gpu
from graphdsl.backends.cuda.pack import Lines, packed, room_for
from graphdsl.backends.cuda.tiles import STAGES, Tile, cut
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i32
from graphdsl.ir import Operator
from graphdsl.ops import Conv, ConvInputGradient, Sliding
from graphdsl.report import dataclass

FEW = 32
"""Taps of a window up to which a thread keeps a bit for each."""
FAR = 1 << 32
"""Bytes that a block's windows may span."""
ROUNDING, SINGLE, PAIRING = 680, 250, 1280
"""Products that a processor makes in a cycle from floats that are rounded on their way, from floats that are copied one
by one, and from pairs of bfloat16: predicted from accesses to shared memory, from instructions, from tensor cores."""
MOVING = 14
"""Bytes a cycle and processor, to and from memory."""
LAUNCHING = 4500
"""Cycles that one more launch takes."""


class conv_axis(Arguments):
    _fields_ = tuple((n, i32) for n in ("taps", "stride", "dilation", "before", "size", "out"))


class conv_args(Arguments):
    _fields_ = (
        *((n, address) for n in ("source", "kernel", "to", "room", "counters")),
        ("epilogue", epilogue_args),
        ("down", conv_axis),
        ("along", conv_axis),
        *((n, i32) for n in ("images", "groups", "depth", "wide")),
        *((n, i32) for n in ("kernel_tap", "kernel_group", "kernel_line", "tiles", "share", "aligned")),
    )


@finishes(Conv)
def conv(op: Operator, inputs: Arrays, y: DeviceArray, gpu: Gpu, end: Epilogue) -> Plan | None:
    assert isinstance(op, Conv)
    x, kernel = inputs
    if depthwise.served(op, x, y):
        return depthwise.forward(op, x, kernel, y, gpu, end)
    return _swept(Swept(op, x, kernel, y, _axes(op, kernel, x, y), turned=False), gpu, end)


@finishes(ConvInputGradient)
def conv_input_gradient(op: Operator, inputs: Arrays, x: DeviceArray, gpu: Gpu, end: Epilogue) -> Plan | None:
    assert isinstance(op, ConvInputGradient)
    y, kernel = inputs
    if depthwise.served(op, x, y):
        return depthwise.backward(op, y, kernel, x, gpu, end)
    return _swept(Swept(op, y, kernel, x, _axes(op, kernel, x, y), turned=True), gpu, end)


@dataclass(frozen=True)
class Swept:
    """A convolution that reads source and makes `made`; turned: the input gradient, which reads y."""

    op: Sliding
    source: DeviceArray
    kernel: DeviceArray
    made: DeviceArray
    axes: tuple[conv_axis, conv_axis]
    turned: bool

    @property
    def channels(self) -> int:
        return self.kernel.shape[-2]

    @property
    def filters(self) -> int:
        return self.kernel.shape[-1] // self.op.groups

    @property
    def depth(self) -> int:
        """Numbers that a tap reads of a pixel."""
        return self.filters if self.turned else self.channels

    @property
    def wide(self) -> int:
        """Results a pixel, of a group."""
        return self.channels if self.turned else self.filters

    @property
    def phases(self) -> int:
        """Convolutions that it consists of."""
        return prod(axis.stride for axis in self.axes) if self.turned else 1

    @property
    def taps(self) -> int:
        """Of the window of one phase, at most."""
        if not self.turned:
            return prod(axis.taps for axis in self.axes)
        return prod(ceil(axis.taps / (axis.stride // gcd(axis.stride, axis.dilation))) for axis in self.axes)

    @property
    def pixels(self) -> int:
        """Results of an image in one phase, at most; without channels."""
        if not self.turned:
            return prod(axis.out for axis in self.axes)
        return prod(ceil(axis.size / axis.stride) for axis in self.axes)


def _axes(op: Sliding, kernel: DeviceArray, x: DeviceArray, y: DeviceArray) -> tuple[conv_axis, conv_axis]:
    """Down and along; sequences are pictures of one line."""
    given = zip(kernel.shape, op.stride, op.dilation, op.pad, x.shape[1:-1], y.shape[1:-1], strict=False)
    axes = [conv_axis(k, s, d, before, size, out) for k, s, d, (before, _), size, out in given]
    return (axes[0], axes[1]) if len(axes) == 2 else (conv_axis(1, 1, 1, 0, 1, 1), axes[0])


def _swept(s: Swept, gpu: Gpu, end: Epilogue) -> Plan | None:
    if s.made.ndim not in (3, 4) or not all_of("float32", s.source, s.kernel, s.made):
        return None
    if not s.made.size:
        return Plan(())
    images, others = s.made.shape[0], s.phases * s.op.groups
    if not _in_reach(s) or others >= 1 << 16:
        return None
    f = _in_pairs(s, gpu) if gpu.precision == "bf16" and _worth_packing(s, gpu) else _as_they_are(s, gpu.precision)
    way = cut(images * s.pixels, s.wide, s.taps * f.depth, others, gpu, f.precision, quads=f.quads)
    room = way.workspace(gpu)
    arguments = conv_args(
        *(f.source.address, f.kernel.address, s.made.address, *(array.address for array in room)),
        epilogue=end.arguments,
        down=s.axes[0],
        along=s.axes[1],
        images=images,
        groups=s.op.groups,
        depth=f.depth,
        wide=s.wide,
        kernel_tap=f.tap,
        kernel_group=f.group,
        kernel_line=f.line,
        tiles=way.along,
        share=way.deep,
        aligned=s.wide % 4 == 0 and s.made.address % 16 == 0,
    )
    kernel = unit(way.tile, f.precision, f.vectors, few=s.taps <= FEW, turned=s.turned, by_k=f.by_k, end=end)
    keeps = (*room, f.source, f.kernel)
    sums = Launch(kernel, way.grid, way.tile.threads(f.precision), arguments, way.tile.shared, keeps)
    return Plan((*f.launches, sums), f.once)


def unit(
    tile: Tile, precision: str, vectors: tuple[int, int], *, few: bool, turned: bool, by_k: bool, end: Epilogue = PLAIN
) -> Unit:
    """vectors: how many floats of a pixel, and of the kernel, are copied at a time."""
    flags = (str(yes).lower() for yes in (few, turned, by_k))
    words = (tile.sums(precision), STAGES, *vectors, *flags)
    return Unit("conv", f"conv<{', '.join(map(str, words))}>", conv_args, end.code)


@dataclass(frozen=True)
class Factors:
    """What a product reads.

    tap, group, line  strides of the kernel in floats; line: from k to k or, by_k, from column to column
    depth     numbers that a tap reads of a pixel; in "pairs", pairs of bfloat16
    vectors   how many of them are copied at a time: of pixels, of the kernel
    launches  that make them, every time; once: where a kernel is the same in every run
    """

    source: DeviceArray
    kernel: DeviceArray
    precision: str
    depth: int
    tap: int
    group: int
    line: int
    by_k: bool
    vectors: tuple[int, int]
    launches: tuple[Launch, ...] = ()
    once: tuple[Launch, ...] = ()

    @property
    def quads(self) -> bool:
        return self.vectors == (4, 4) or (self.precision == "float32" and self.vectors[0] == 4)


def _as_they_are(s: Swept, precision: str) -> Factors:
    pixels = s.depth % 4 == 0 and s.source.address % 16 == 0
    kernel = (s.depth if s.turned else s.wide) % 4 == 0 and s.kernel.address % 16 == 0
    if s.turned:
        pixels = pixels and kernel
        kernel = pixels and precision != "float32"
    filters = s.kernel.shape[-1]
    vectors = (4 if pixels else 1, 4 if kernel else 1)
    tap, group = s.channels * filters, s.filters
    return Factors(s.source, s.kernel, precision, s.depth, tap, group, filters, s.turned, vectors)


def _in_pairs(s: Swept, gpu: Gpu) -> Factors:
    """Both factors become bfloat16 first, the kernel with k side by side."""
    pixels, kernel = _pixel_lines(s), _kernel_lines(s)
    made = room_for(pixels, gpu), room_for(kernel, gpu)
    parts = [(pixels, s.source, made[0]), (kernel, s.kernel, made[1])]
    fixed = 1 in gpu.fixed
    launches = (packed(parts[:1] if fixed else parts, gpu),)
    once = (packed(parts[1:], gpu),) if fixed else ()
    pairs = kernel.pairs
    tap, group = kernel.columns * pairs, s.wide * pairs
    return Factors(*made, "pairs", pairs, tap, group, pairs, True, (4, 4), launches, once)


def _pixel_lines(s: Swept) -> Lines:
    """A line a pixel and group; where these leave no gaps, whatever is whole."""
    if s.depth % 8 == 0:
        return Lines(s.source.size // 8, 1, 1, 8, table=8, group=0, column=0, k=1)
    groups = s.op.groups
    pixels = s.source.size // (s.depth * groups)
    return Lines(pixels, groups, 1, s.depth, table=groups * s.depth, group=s.depth, column=0, k=1)


def _kernel_lines(s: Swept) -> Lines:
    """A line a tap and column."""
    filters, columns = s.kernel.shape[-1], s.wide * s.op.groups
    taps = prod(axis.taps for axis in s.axes)
    column, k = (filters, 1) if s.turned else (1, filters)
    return Lines(taps, columns, s.wide, s.depth, table=s.channels * filters, group=s.filters, column=column, k=k)


def _worth_packing(s: Swept, gpu: Gpu) -> bool:
    """Whether products in pairs save more than making them takes."""
    pixels, kernel = _pixel_lines(s), _kernel_lines(s)
    if max(pixels.items, kernel.items) >= 1 << 31:
        return False
    products = s.made.shape[0] * s.pixels * s.phases * s.taps * s.depth * s.wide * s.op.groups
    filled = 8 * kernel.each / s.depth
    saved = products * (1 / (ROUNDING if s.depth % 4 == 0 else SINGLE) - filled / PAIRING)
    moved = 6 * (s.source.size + (0 if 1 in gpu.fixed else s.kernel.size))
    return saved > moved / MOVING + LAUNCHING * gpu.device.processors


def _in_reach(s: Swept) -> bool:
    """Whether offsets within a block are numbers of 32 bits."""
    image = 4 * prod(s.source.shape[1:])
    padding = 4 * s.source.shape[-1] * prod(axis.size + 2 * axis.taps * axis.dilation for axis in s.axes)
    return max(image, padding) * (128 // max(s.pixels, 1) + 2) < FAR and 4 * s.kernel.size < FAR
