"""Windows that slide over time or over pictures: what convolutions and pools have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from graphdsl.ir import Array, Dim, Sides, TensorType, TypeRuleError

Sizes = tuple[int, ...]
"""One number an axis of time or space."""
Pads = tuple[tuple[int, int], ...]
"""Before and after, for every axis of time or space."""
PadSetting = int | str | tuple[int, ...] | Sides
"""What `pad=` may be."""

BLOCK = 1 << 24
"""How many numbers the references unfold at a time: the batch is worked off in blocks, so memory stays bounded."""


def demand_float(layer: str, x: TensorType, operand: int = 0) -> None:
    """Refuses whole numbers: adding up class numbers means nothing."""
    if not x.dtype.is_float:
        raise TypeRuleError(
            f"{layer} calculates with float numbers, got {x.describe()}",
            operand=operand,
            help="turn whole numbers into vectors first, with `embedding` or `one_hot`",
        )


def demand_spatial(layer: str, x: TensorType) -> None:
    """Refuses what is neither a sequence of vectors nor a picture nor a volume with channels."""
    demand_float(layer, x)
    if x.rank not in (3, 4, 5):
        raise TypeRuleError(
            f"{layer} needs float[time, features], float[height, width, channels] or a volume with channels, "
            f"got {x.describe()}",
            operand=0,
            help="the last axis holds the features: a grey picture is float[height, width, 1]",
        )


def per_axis(setting: str, value: int | Sequence[int], axes: int) -> Sizes:
    """One number for every axis; raises TypeRuleError where `3x5` has more or fewer numbers than there are axes."""
    if isinstance(value, int):
        return (value,) * axes
    if len(value) != axes:
        written = "x".join(map(str, value))
        raise TypeRuleError(
            f"{setting} {written} has {len(value)} numbers, the tensor has {axes} {'axis' if axes == 1 else 'axes'} "
            "of time or space",
            attribute=setting,
        )
    return tuple(value)


def reach(size: Sizes, dilation: Sizes) -> Sizes:
    """How far a window extends when its elements stand dilation apart."""
    return tuple((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True))


def out_sizes(spatial: Sequence[Dim], reached: Sizes, stride: Sizes, pad: Pads) -> tuple[Dim, ...]:
    """How often a window that reaches so far fits: (in + before + after - reach) // stride + 1.

    Raises TypeRuleError where it does not fit once.
    """
    padded = [s + lo + hi for s, (lo, hi) in zip(spatial, pad, strict=True)]
    if any(isinstance(p, int) and p < r for p, r in zip(padded, reached, strict=True)):
        window, room = "x".join(map(str, reached)), "x".join(map(str, padded))
        raise TypeRuleError(
            f"a window of {window} is larger than the padded input of {room}",
            operand=0,
            attribute="size",
            help="use a smaller window, `pad=same`, or fewer poolings before it",
        )
    return tuple((p - r) // s + 1 for p, r, s in zip(padded, reached, stride, strict=True))


def resolve_pad(pad: PadSetting, spatial: Sequence[Dim], reached: Sizes, stride: Sizes, *, causal: bool = True) -> Pads:
    """A pad setting as numbers before and after on every axis.

    valid   none
    same    as many as give ceil(in / stride) results; of an odd number the larger half stands at the end (TensorFlow)
    causal  all before: a result never sees later steps; only where causal is true and only over time
    number  as many on both sides (PyTorch)
    list    so many before each axis, then so many behind each

    Raises TypeRuleError; E0401 where the padding depends on a size that is known only at run time.
    """
    match pad:
        case "valid":
            return ((0, 0),) * len(reached)
        case "causal":
            if not causal or len(reached) != 1:
                raise TypeRuleError("pad=causal is for convolutions over time", attribute="pad", help="use `pad=same`")
            return ((reached[0] - 1, 0),)
        case "same":
            return tuple(_same(*axis) for axis in zip(spatial, reached, stride, strict=True))
        case Sides(values):
            return sides("pad", values, len(reached))
        case _:
            assert not isinstance(pad, str)
            return tuple((p, p) for p in per_axis("pad", pad, len(reached)))


def sides(setting: str, values: Sizes, axes: int) -> Pads:
    """`[top, left, bottom, right]` by axis. Raises TypeRuleError where it is not of two numbers for each axis."""
    if len(values) != 2 * axes:
        wanted = (
            "[before, behind]" if axes == 1 else "[top, left, bottom, right]" if axes == 2 else f"{2 * axes} numbers"
        )
        raise TypeRuleError(
            f"{setting} has {len(values)} numbers, the tensor has {axes} {'axis' if axes == 1 else 'axes'} of time or "
            "space",
            attribute=setting,
            help=f"write two for each, those before first: {wanted}",
        )
    return tuple(zip(values[:axes], values[axes:], strict=True))


def _same(size: Dim, reached: int, stride: int) -> tuple[int, int]:
    if reached == 1:
        return 0, 0
    if stride == 1:
        total = reached - 1
    elif isinstance(size, int):
        total = max((-(-size // stride) - 1) * stride + reached - size, 0)
    else:
        raise TypeRuleError(
            f"pad=same with stride {stride} depends on {size}, which is known only at run time, "
            "so a sequence's result would depend on its neighbours in the batch",
            code="E0401",
            operand=0,
            attribute="pad",
            help=f"write the padding as a number, `pad={(reached - 1) // 2}`, or give the dimension a size",
        )
    return total // 2, total - total // 2


def reads_past_end(pad: Pads) -> bool:
    """Whether windows at the end of a sequence read steps behind it, which must then be masked."""
    return any(after > 0 for _, after in pad)


def numbers(sizes: Sequence[Dim]) -> Sizes:
    """Sizes that are numbers by now, as those of weights are, and all of them when a program runs."""
    assert all(isinstance(s, int) for s in sizes), sizes
    return cast(Sizes, tuple(sizes))


# --- for the references ----------------------------------------------------------------------------------------------


def padded(x: Array, pad: Pads, fill: float = 0.0) -> Array:
    """x with fill around it."""
    if not any(lo or hi for lo, hi in pad):
        return x
    return np.pad(x, ((0, 0), *pad, (0, 0)), constant_values=fill)


def cropped(x: Array, pad: Pads) -> Array:
    """The reverse of padded."""
    middle = tuple(slice(lo, size - hi) for size, (lo, hi) in zip(x.shape[1:-1], pad, strict=True))
    return x[(slice(None), *middle)]


def places(
    size: Sizes, stride: Sizes, dilation: Sizes, out: Sequence[int]
) -> Iterator[tuple[Sizes, tuple[slice, ...]]]:
    """Every element of the window, in row order, with the part of the padded input that it meets while sliding."""
    for element in product(*(range(k) for k in size)):
        met = tuple(
            slice(e * d, e * d + (o - 1) * s + 1, s) for e, d, s, o in zip(element, dilation, stride, out, strict=True)
        )
        yield element, (slice(None), *met)


def unfolded(x: Array, size: Sizes, stride: Sizes, dilation: Sizes, groups: int) -> Array:
    """Every window as a row: [groups, samples * out, window * channels of the group]. x is padded already."""
    axes = len(size)
    view = sliding_window_view(x, reach(size, dilation), axis=tuple(range(1, axes + 1)))
    view = view[
        (slice(None), *(slice(None, None, s) for s in stride), slice(None), *(slice(None, None, d) for d in dilation))
    ]
    view = view.reshape(*view.shape[: axes + 1], groups, -1, *size)
    order = (axes + 1, *range(axes + 1), *range(axes + 3, 2 * axes + 3), axes + 2)
    return view.transpose(order).reshape(groups, prod(view.shape[: axes + 1]), -1)


def blocks(samples: int, numbers: int) -> Iterator[slice]:
    """The batch in pieces of at most BLOCK numbers, of which every sample has so many; at least one sample a piece."""
    step = max(1, BLOCK // max(numbers, 1))
    for start in range(0, samples, step):
        yield slice(start, min(start + step, samples))
