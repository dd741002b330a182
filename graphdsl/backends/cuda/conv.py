"""Convolutions and their input gradients: conv.cu, products in tiles."""

from __future__ import annotations

from math import ceil, gcd, prod

from graphdsl.backends.cuda.array import DeviceArray, all_of
from graphdsl.backends.cuda.epilogue import PLAIN, Epilogue, epilogue_args, finishes
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import Arrays, Gpu
from graphdsl.backends.cuda.tiles import STAGES, Tile, cut
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i32
from graphdsl.ir import Operator
from graphdsl.ops import Conv, ConvInputGradient, Sliding
from graphdsl.report import dataclass

FEW = 32
"""Taps of a window up to which a thread keeps a bit for each."""
FAR = 1 << 32
"""Bytes that a block's windows may span."""


class conv_axis(Arguments):
    _fields_ = tuple((n, i32) for n in ("taps", "stride", "dilation", "before", "size", "out"))


class conv_args(Arguments):
    _fields_ = (
        *((n, address) for n in ("source", "kernel", "to", "room", "counters")),
        ("epilogue", epilogue_args),
        ("down", conv_axis),
        ("along", conv_axis),
        *((n, i32) for n in ("images", "groups", "channels", "filters", "tiles", "share", "aligned", "unused")),
    )


@finishes(Conv)
def conv(op: Operator, inputs: Arrays, y: DeviceArray, gpu: Gpu, end: Epilogue) -> Plan | None:
    assert isinstance(op, Conv)
    x, kernel = inputs
    return _swept(Swept(op, x, kernel, y, _axes(op, kernel, x, y), turned=False), gpu, end)


@finishes(ConvInputGradient)
def conv_input_gradient(op: Operator, inputs: Arrays, x: DeviceArray, gpu: Gpu, end: Epilogue) -> Plan | None:
    assert isinstance(op, ConvInputGradient)
    y, kernel = inputs
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
    images, groups = s.made.shape[0], s.op.groups
    if not _in_reach(s) or s.phases * groups >= 1 << 16:
        return None
    pixel_quads = s.depth % 4 == 0 and s.source.address % 16 == 0
    kernel_quads = (s.depth if s.turned else s.wide) % 4 == 0 and s.kernel.address % 16 == 0
    if s.turned:
        pixel_quads = pixel_quads and kernel_quads
        kernel_quads = pixel_quads and gpu.precision != "float32"
    quads = pixel_quads and (kernel_quads or gpu.precision == "float32")
    way = cut(images * s.pixels, s.wide, s.taps * s.depth, s.phases * groups, gpu, quads=quads)
    room = way.workspace(gpu)
    arguments = conv_args(
        *(s.source.address, s.kernel.address, s.made.address, *(array.address for array in room)),
        epilogue=end.arguments,
        down=s.axes[0],
        along=s.axes[1],
        images=images,
        groups=groups,
        channels=s.channels,
        filters=s.filters,
        tiles=way.along,
        share=way.deep,
        aligned=s.wide % 4 == 0 and s.made.address % 16 == 0,
    )
    kernel = unit(way.tile, gpu.precision, (pixel_quads, kernel_quads), few=s.taps <= FEW, turned=s.turned, end=end)
    return Plan((Launch(kernel, way.grid, way.tile.threads(gpu.precision), arguments, way.tile.shared, room),))


def unit(
    tile: Tile, precision: str, quads: tuple[bool, bool], *, few: bool, turned: bool, end: Epilogue = PLAIN
) -> Unit:
    """quads: whether pixels and the kernel are copied so."""
    vectors = (4 if four else 1 for four in quads)
    flags = (str(yes).lower() for yes in (few, turned))
    words = (tile.sums(precision), STAGES, *vectors, *flags)
    return Unit("conv", f"conv<{', '.join(map(str, words))}>", conv_args, end.code)


def _in_reach(s: Swept) -> bool:
    """Whether offsets within a block are numbers of 32 bits."""
    image = 4 * prod(s.source.shape[1:])
    padding = 4 * s.source.shape[-1] * prod(axis.size + 2 * axis.taps * axis.dilation for axis in s.axes)
    return max(image, padding) * (128 // max(s.pixels, 1) + 2) < FAR and 4 * s.kernel.size < FAR
