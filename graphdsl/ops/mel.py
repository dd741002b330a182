"""The fixed matrices of hearing: mel bands and cosines."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from graphdsl.ir import Array, Choice

Scale = Annotated[str, Choice(("slaney", "htk"))]
LINEAR = 200 / 3
"""Slaney's scale: Hz a mel below the knee."""
KNEE = 1000.0
"""Hz; above, each mel is as large a part of the frequency as the last."""
STEP = np.log(6.4).item() / 27


def filters(bands: int, bins: int, rate: float, low: float, high: float, scale: str) -> Array:
    """[bins, bands]: each column a triangle over the frequencies, from one neighbour's peak to the other's."""
    start, end = mels(np.array([low, high]), scale)
    edges = frequencies(np.linspace(start, end, bands + 2), scale)
    places = np.linspace(0, rate / 2, bins)[:, None]
    rising = (places - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - places) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(triangles * 2 / (edges[2:] - edges[:-2]) if scale == "slaney" else triangles)


def mels(hz: Array, scale: str) -> Array:
    if scale == "htk":
        return np.asarray(2595 * np.log10(1 + hz / 700))
    bent = KNEE / LINEAR + np.log(np.maximum(hz, KNEE) / KNEE) / STEP
    return np.where(hz < KNEE, hz / LINEAR, bent)


def frequencies(mel: Array, scale: str) -> Array:
    """Hz of mels."""
    if scale == "htk":
        return np.asarray(700 * (10 ** (mel / 2595) - 1))
    knee = KNEE / LINEAR
    return np.where(mel < knee, mel * LINEAR, KNEE * np.exp(STEP * np.maximum(mel - knee, 0)))


def cosines(size: int, count: int) -> Array:
    """[size, count]: the first columns of the orthonormal DCT-II."""
    angles = np.pi / size * np.outer(np.arange(size) + 0.5, np.arange(count))
    even = np.where(np.arange(count) == 0, np.sqrt(1 / size), np.sqrt(2 / size))
    return np.asarray(np.cos(angles) * even)
