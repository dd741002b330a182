"""Pictures in another size by the four nearest pixels, as OpenCV's default has it, to the bit for bytes."""

from __future__ import annotations

import numpy as np

from graphdsl.ir import Array

ONE = 1 << 11
"""Shares of bytes are counted in this."""


def by_four(picture: Array, height: int, width: int) -> Array:
    """On straight lines between the nearest four pixels, however much the picture shrinks.

    picture  [height, width, channels]: bytes, or other numbers
    returns  the new size; bytes stay bytes

    Pixels stand in the middle of their squares. Bytes are mixed with 11 bits behind the point, columns first.
    """
    if picture.dtype != np.uint8:
        rows = _mixed(picture.astype(np.float32), width, 1)
        return _mixed(rows, height, 0).astype(np.float32)
    left, right, first, second = _shares(picture.shape[1], width)
    whole = picture.astype(np.int64)
    wide = whole[:, left] * _whole(first)[:, None] + whole[:, right] * _whole(second)[:, None]
    above, below, first, second = _shares(picture.shape[0], height)
    made = _down(_whole(first), wide[above]) + _down(_whole(second), wide[below])
    return np.asarray(np.clip((made + 2) >> 2, 0, 255), np.uint8)


def _down(shares: Array, rows: Array) -> Array:
    return np.asarray((shares[:, None, None] * (rows >> 4)) >> 16)


def _mixed(x: Array, size: int, axis: int) -> Array:
    low, high, first, second = _shares(x.shape[axis], size)
    wide = (-1, 1, 1) if axis == 0 else (1, -1, 1)
    return np.asarray(x.take(low, axis) * first.reshape(wide) + x.take(high, axis) * second.reshape(wide))


def _shares(size: int, wanted: int) -> tuple[Array, Array, Array, Array]:
    """The two old places that each new one lies between, and how much of each it takes."""
    at = np.clip((np.arange(wanted) + 0.5) * size / wanted - 0.5, 0, size - 1)
    low = np.floor(at).astype(np.int64)
    part = (at - low).astype(np.float32)
    return low, np.minimum(low + 1, size - 1), 1 - part, part


def _whole(shares: Array) -> Array:
    return np.asarray(np.rint(shares * ONE), np.int64)
