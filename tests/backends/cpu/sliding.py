"""Random convolutions to try kernels on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphdsl.ops.conv import Conv
from graphdsl.ops.window import Pads, Sizes, numbers, reach


@dataclass(frozen=True)
class Convolution:
    """A convolution, with the shapes of x, kernel and y."""

    op: Conv
    x: tuple[int, ...]
    kernel: tuple[int, ...]
    y: tuple[int, ...]


def convolution(
    rng: np.random.Generator, channels: int, filters: int, groups: int, window: Sizes, *, plain: bool = False
) -> Convolution:
    """Any stride, padding and size; plain: equal strides along all axes, no dilation."""
    axes = len(window)

    def draw(most: int) -> Sizes:
        return (int(rng.integers(1, most)),) * axes if plain else tuple(int(v) for v in rng.integers(1, most, axes))

    stride, dilation = draw(3 if plain else 4), (1,) * axes if plain else draw(4)
    pad: Pads = tuple((int(lo), int(hi)) for lo, hi in rng.choice([0, 0, 1, 2, 3], (axes, 2)))
    op = Conv(stride, pad, dilation, groups)
    size = tuple(
        max(1, reached - lo - hi + int(rng.integers(0, 14)))
        for reached, (lo, hi) in zip(reach(window, dilation), pad, strict=True)
    )
    batch = int(rng.integers(1, 9))
    out = numbers(op.outs(size, window))
    return Convolution(op, (batch, *size, channels), (*window, channels // groups, filters), (batch, *out, filters))


def noise(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)
