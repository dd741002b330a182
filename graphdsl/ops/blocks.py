"""Places become features and features places, or features change their order: nothing is calculated."""

from __future__ import annotations

from math import prod
from typing import Annotated

from graphdsl.ir import Builder, Choice, Count, Size, Symbolic, TypeRuleError, Value, layer
from graphdsl.ops.shape import reshape, transposed
from graphdsl.ops.window import Sizes, demand_spatial, per_axis

Order = Annotated[str, Choice(("block", "channel"))]


@layer()
def space_to_depth(b: Builder, x: Value, size: Size, *, order: Order = "block") -> Value:
    """Every block of places becomes one place with all their features.

    x        [time, features] or [height, width, channels], whose sizes are multiples of the block's
    size     of the blocks
    order    `block`: feature c of place p in the block becomes feature p * channels + c (TensorFlow, ONNX). `channel`:
             feature c * places + p (PyTorch's pixel_unshuffle)
    returns  [height / size, width / size, channels * size²]

    E0301  x is of none of these shapes
    E0305  the blocks do not fit x
    E0401  a size is known only at run time
    """
    demand_spatial("space_to_depth", x.type)
    blocks = per_axis("size", size, x.type.rank - 2)
    batch, *spatial, channels = x.type.shape
    for n, block in zip(_known("space_to_depth", x), blocks, strict=True):
        if n % block:
            raise TypeRuleError(f"blocks of {block} do not fit {x.type.describe()}", code="E0305", attribute="size")
    axes = len(blocks)
    cut = tuple(d for n, block in zip(spatial, blocks, strict=True) for d in (n // block, block))
    outer, inner = range(1, 2 * axes, 2), range(2, 2 * axes + 1, 2)
    last = 2 * axes + 1
    moved = (0, *outer, *inner, last) if order == "block" else (0, *outer, last, *inner)
    turned = transposed(b, reshape(b, x, (batch, *cut, channels)), moved)
    return reshape(b, turned, (batch, *(n // k for n, k in zip(spatial, blocks, strict=True)), channels * prod(blocks)))


@layer()
def depth_to_space(b: Builder, x: Value, size: Size, *, order: Order = "block") -> Value:
    """The features of every place become a block of places: the reverse of `space_to_depth`. (Sub-pixel convolution.)

    x        [time, features] or [height, width, channels], channels a multiple of the block's places
    size     of the blocks
    order    `block`: feature p * c' + c becomes feature c of place p (TensorFlow, ONNX's DCR). `channel`: feature
             c * places + p does (PyTorch's pixel_shuffle, ONNX's CRD)
    returns  [height * size, width * size, channels / size²]

    E0301  x is of none of these shapes
    E0305  the features do not fill blocks

    Source: Shi et al. 2016.
    """
    demand_spatial("depth_to_space", x.type)
    blocks = per_axis("size", size, x.type.rank - 2)
    batch, *spatial, channels = x.type.shape
    many, axes = prod(blocks), len(blocks)
    if not isinstance(channels, int) or channels % many:
        raise TypeRuleError(
            f"{channels} features do not fill blocks of {many} places", code="E0305", operand=0, attribute="size"
        )
    first = axes + 1 if order == "block" else axes + 2
    split = (*blocks, channels // many) if order == "block" else (channels // many, *blocks)
    last = 2 * axes + 1 if order == "block" else axes + 1
    moved = (0, *(a for i in range(axes) for a in (1 + i, first + i)), last)
    turned = transposed(b, reshape(b, x, (batch, *spatial, *split)), moved)
    return reshape(b, turned, (batch, *(n * k for n, k in zip(spatial, blocks, strict=True)), channels // many))


@layer()
def reorg(b: Builder, x: Value, size: Count = 2) -> Value:
    """Blocks of places become features in the order of Darknet's layer of this name, as YOLOv2's weights expect it.

    x        [height, width, channels]: sizes multiples of the block's, channels a multiple of size²
    returns  [height / size, width / size, channels * size²]

    Darknet reads the numbers of [channels, height, width] as if they were [channels / size², height * size,
    width * size] and cuts that into blocks. What belongs together in the picture does not stay together. For networks
    of your own use `space_to_depth`.

    E0301  x is no picture
    E0305  the sizes do not fit
    E0401  a size is known only at run time

    Source: Redmon and Farhadi 2016 (YOLO9000); Darknet's reorg_cpu.
    """
    demand_spatial("reorg", x.type)
    height, width, *_ = (*_known("reorg", x), 1)
    channels, square = x.type.channels, size * size
    fits = x.type.rank == 4 and isinstance(channels, int) and not channels % square
    if not fits or height % size or width % size:
        raise TypeRuleError(f"reorg({size}) does not fit {x.type.describe()}", code="E0305", attribute="size")
    batch, part = x.type.shape[0], channels // square
    flat = reshape(b, transposed(b, x, (0, 3, 1, 2)), (batch, part, height, size, width, size))
    cut = transposed(b, flat, (0, 3, 5, 1, 2, 4))
    made = reshape(b, cut, (batch, channels * square, height // size, width // size))
    return transposed(b, made, (0, 2, 3, 1))


@layer()
def channel_shuffle(b: Builder, x: Value, groups: Count) -> Value:
    """Features in another order: the first of every group, then the second of every group, and so on.

    x        [..., features]
    groups   into how many parts of neighbouring features x is cut
    returns  the same shape

    E0305  groups do not divide the features

    Source: Zhang et al. 2017 (ShuffleNet).
    """
    features = x.type.channels if x.type.rank > 1 else 0
    if not isinstance(features, int) or not features or features % groups:
        raise TypeRuleError(
            f"{groups} groups do not divide the features of {x.type.describe()}", code="E0305", attribute="groups"
        )
    rank = x.type.rank
    parts = reshape(b, x, (*x.type.shape[:-1], groups, features // groups))
    return reshape(b, transposed(b, parts, (*range(rank - 1), rank, rank - 1)), x.type.shape)


def _known(title: str, x: Value) -> Sizes:
    for size in x.type.spatial:
        if isinstance(size, Symbolic):
            raise TypeRuleError(
                f"{title} needs known sizes, got {x.type.describe()}",
                code="E0401",
                operand=0,
                help="give the dimension a number in the input's type",
            )
    return tuple(size for size in x.type.spatial if isinstance(size, int))
