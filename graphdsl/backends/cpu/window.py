"""Windows over pictures, as pools hand them to C: sequences are pictures of height 1."""

from __future__ import annotations

from collections.abc import Sequence

from graphdsl.backends.cpu.task import i64
from graphdsl.ops import Pads, Sizes

GEOMETRY = tuple(
    (name, i64)
    for name in (
        *("batch", "height", "width", "channels", "out_height", "out_width"),
        *("window_height", "window_width", "stride_height", "stride_width", "top", "left"),
    )
)
"""The fields at the end of a pool's task."""


def geometry(whole: Sequence[int], out: Sequence[int], size: Sizes, stride: Sizes, pad: Pads) -> tuple[int, ...]:
    """The numbers for GEOMETRY; whole and out are shapes [batch, in..., channels] and [batch, out..., channels]."""
    axes = len(whole) - 2
    thin, missing = (1,) * (2 - axes), (0,) * (2 - axes)
    places, made = (*thin, *whole[1:-1]), (*thin, *out[1:-1])
    before = (*missing, *(first for first, _ in pad))
    return (whole[0], *places, whole[-1], *made, *thin, *size, *thin, *stride, *before)
