"""Gradients of convolutions' kernels: conv_kernel.cu, products in tiles."""

from __future__ import annotations

from math import prod

from graphdsl.backends.cuda import depthwise
from graphdsl.backends.cuda.array import DeviceArray, all_of
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import Arrays, Gpu, blocks, launches
from graphdsl.backends.cuda.tiles import MOST, STAGES, Cut, cut
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i32, i64
from graphdsl.ir import Call
from graphdsl.ops import ConvKernelGradient

FAR, MOST_PIXELS, MOST_GROUPS = 1 << 32, 1 << 31, 1 << 16
"""Floats that offsets reach; what pixels are counted in; blocks along z."""
SHARES = 512
"""Blocks that may share the pixels of a tile."""
LANES, SHARERS = 32, 8
"""Of a block of conv_kernel_total."""


class conv_kernel_args(Arguments):
    _fields_ = (
        *((name, address) for name in ("x", "dy", "made", "room", "counters")),
        *((name, i32) for name in ("height", "width", "out_height", "out_width")),
        *((name, i32) for name in ("window_height", "window_width", "stride_height", "stride_width")),
        *((name, i32) for name in ("dilation_height", "dilation_width", "top", "left")),
        *((name, i32) for name in ("images", "groups", "channels", "filters", "tiles", "share", "aligned", "unused")),
    )


class conv_kernel_total_args(Arguments):
    _fields_ = (
        *(("parts", address), ("made", address)),
        *((name, i64) for name in ("rows", "filters", "groups", "tiles", "along", "count")),
    )


@launches(ConvKernelGradient)
def conv_kernel_gradient(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """Depthwise, or a product in tiles whose blocks share the pixels."""
    (x, dy), (made,), op = inputs, outputs, call.op
    assert isinstance(op, ConvKernelGradient)
    if x.ndim not in (3, 4) or not all_of("float32", x, dy, made) or not made.size:
        return None
    if depthwise.served(op, x, dy):
        return depthwise.kernel_gradient(op, x, dy, made, gpu)
    groups, taps, pixels = op.groups, prod(op.size), prod(dy.shape[:-1])
    if max(x.size, dy.size) >= FAR or pixels >= MOST_PIXELS or groups >= MOST_GROUPS or not dy.size:
        return None
    channels, filters = x.shape[-1] // groups, dy.shape[-1] // groups
    across = channels % 4 == 0 and x.address % 16 == 0
    along = filters % 4 == 0 and dy.address % 16 == 0
    way = cut(
        taps * channels, filters, prod(dy.shape[:-1]), groups, gpu, gpu.precision, quads=across and along, most=SHARES
    )
    room = way.workspace(gpu)
    pointers = [array.address for array in room] or [0, 0]
    axes = depthwise.sizes(op, x, dy, op.size)
    images, height, width, _, out_height, out_width, *window = axes
    arguments = conv_kernel_args(
        *(x.address, dy.address, made.address, *pointers, height, width, out_height, out_width, *window),
        *(images, groups, channels, filters, way.along, way.deep),
        filters % 4 == 0 and made.address % 16 == 0,
    )
    apart = way.shares > MOST
    vectors = f"{4 if across else 1}, {4 if along else 1}, {str(apart).lower()}"
    unit = Unit("conv_kernel", f"conv_kernel<{way.tile.sums(gpu.precision)}, {STAGES}, {vectors}>", conv_kernel_args)
    first = Launch(unit, way.grid, way.tile.threads(gpu.precision), arguments, way.tile.shared, room)
    return Plan((first, _total(way, room, made, taps * channels, groups))) if apart else Plan((first,))


def _total(way: Cut, room: Arrays, made: DeviceArray, rows: int, groups: int) -> Launch:
    """Adds up what the shares have left."""
    sizes = (rows, made.shape[-1] // groups, groups, way.down * way.along, way.along, way.shares)
    arguments = conv_kernel_total_args(room[0].address, made.address, *sizes)
    name = f"conv_kernel_total<{way.tile.rows}, {way.tile.columns}>"
    unit = Unit("conv_kernel", name, conv_kernel_total_args)
    return Launch(unit, blocks(made.size, LANES), LANES * SHARERS, arguments, keeps=tuple(room))
