"""Where the largest number of each window stood, and the way back."""

from __future__ import annotations

from math import prod

from graphdsl.ir import Builder, DType, Flag, Padding, Size, TensorType, TypeRuleError, Value, indices, layer
from graphdsl.ops.concat import known_along
from graphdsl.ops.max_pool import MaxPool, PutWinners
from graphdsl.ops.pool_window import windows
from graphdsl.ops.shape import Shape, reshape
from graphdsl.ops.take import Cast
from graphdsl.ops.window import demand_float, demand_spatial


@layer()
def max_pool_places(
    b: Builder, x: Value, size: Size, *, stride: Size | None = None, pad: Padding = "valid", ceil: Flag = False
) -> tuple[Value, Value]:
    """A max_pool that also says where its numbers stood: `y, places = x -> max_pool_places(2)`.

    x        [time, features], [height, width, channels] or [depth, height, width, channels], of known sizes
    returns  as `max_pool`; and int(n) of the same shape: the place within x in row order, channel by channel

    The settings are those of `max_pool`. `max_unpool` reads both.

    E0301, E0305  as `max_pool`
    E0401  a size is known only at run time

    Source: Badrinarayanan et al. 2015 (SegNet).
    """
    slide = windows("max_pool_places", x.type, size, stride, pad, ceil, 1)
    count = prod(known_along(x.type, a, "max_pool_places") for a in range(1, x.type.rank - 1))
    y, places = b.emit_all(MaxPool(slide.size, slide.stride, slide.pads), x)
    return y, b.emit(Cast(DType.INT32, count), places, name="places")


@layer()
def max_unpool(b: Builder, x: Value, places: Value, shape: Shape) -> Value:
    """Numbers put back where they stood, among zeros: `[y, places] -> max_unpool(28x28)`.

    x        [..., channels]
    places   int(n), the shape of x, as `max_pool_places` gives it: places in row order, channel by channel
    shape    height and width of the result, or what else stands before its channels; n places or more
    returns  [shape..., channels]

    Several for one place are added up.

    E0301  x and places differ in shape, or are no picture
    E0303  places are no whole numbers
    E0305  the result has too few places
    """
    demand_spatial("max_unpool", x.type)
    demand_float("max_unpool", x.type)
    if places.type.shape != x.type.shape:
        raise TypeRuleError(
            f"every number needs its place: {x.type.describe()} and {places.type.describe()}", operand=1
        )
    if places.type.kind.name != indices(1).name:
        raise TypeRuleError(
            f"places are whole numbers, got {places.type.describe()}",
            code="E0303",
            operand=1,
            help="`y, places = x -> max_pool_places(2)` gives them",
        )
    sizes = shape if isinstance(shape, tuple) else (shape,)
    if prod(sizes) < places.type.kind.classes:
        made = TensorType(sizes).describe()
        raise TypeRuleError(
            f"{made} has {prod(sizes)} places, and {places.type.kind.classes} are needed",
            code="E0305",
            attribute="shape",
        )
    batch, *spatial, channels = x.type.shape
    rows = (batch, TensorType(tuple(spatial)).count, channels)
    put = b.emit(PutWinners(prod(sizes)), reshape(b, x, rows), reshape(b, places, rows))
    return reshape(b, put, (batch, *sizes, channels))
