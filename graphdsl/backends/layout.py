"""How operators' arrays lie in memory, as kernels of any machine want to know it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from graphdsl.ops import Pads, Sizes

WINDOW = (
    *("batch", "height", "width", "channels", "out_height", "out_width"),
    *("window_height", "window_width", "stride_height", "stride_width", "top", "left"),
)
"""What `window_numbers` gives, by name."""


def window_numbers(whole: Sequence[int], out: Sequence[int], size: Sizes, stride: Sizes, pad: Pads) -> tuple[int, ...]:
    """The numbers of WINDOW; whole and out are shapes [batch, in..., channels] and [batch, out..., channels].

    Sequences are pictures of height 1.
    """
    axes = len(whole) - 2
    thin, missing = (1,) * (2 - axes), (0,) * (2 - axes)
    places, made = (*thin, *whole[1:-1]), (*thin, *out[1:-1])
    before = (*missing, *(first for first, _ in pad))
    return (whole[0], *places, whole[-1], *made, *thin, *size, *thin, *stride, *before)


def joined_axes(axes: tuple[int, ...], shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The axes of x in their new order; neighbours that stay neighbours together, those of size 1 left out.

    (0, 2, 3, 1) of [8, 5, 6, 7] is [(0,), (2, 3), (1,)].
    """
    real = [a for a in range(len(shape)) if shape[a] != 1]
    follows = dict(pairwise(real))
    groups: list[tuple[int, ...]] = []
    for axis in (a for a in axes if shape[a] != 1):
        if groups and follows.get(groups[-1][-1]) == axis:
            groups[-1] = (*groups[-1], axis)
        else:
            groups.append((axis,))
    return groups


def box_axes(
    made: Sequence[int], given: Sequence[int], offsets: Sequence[int], unit: int = 1
) -> list[tuple[int, int, int]]:
    """The axes of `y[place] = x[place + offset]`: sizes of y and x, and the offset. Two at least.

    Axes that x and y have in full melt into the one before them. unit: how many elements an element counts as.
    """
    axes = [(unit, unit, 0)]
    for size, limit, offset in reversed(list(zip(made, given, offsets, strict=True))):
        inner_size, inner_limit, _ = axes[0]
        if inner_size == inner_limit:
            axes[0] = (size * inner_size, limit * inner_limit, offset * inner_size)
        else:
            axes.insert(0, (size, limit, offset))
    return [(1, 1, 0)] * (2 - len(axes)) + axes
