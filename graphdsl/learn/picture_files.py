"""Pictures that training leaves: arrays as PNG, one alone or many in a grid."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from graphdsl.ir import Array

GAP = 2
"""Pixels between the pictures of a grid."""
COLOURS = {1: 0, 3: 2, 4: 6}
"""PNG's number for pictures of so many channels: grey, colours, colours and how much they cover."""
PALETTE = (
    *("#e6194b", "#1a8a3c", "#4363d8", "#c2570c", "#911eb4", "#008080", "#9a6324", "#800000", "#6b7a00", "#000075"),
    *("#d6007a", "#00695c", "#0277bd", "#5d4037", "#6a1b9a", "#b8860b", "#37474f", "#ad1457", "#2e7d32", "#5c6bc0"),
)
"""Colours of classes, by number; white letters can be read on them."""
MAGIC = b"\x89PNG\r\n\x1a\n"


def png(pixels: Array) -> bytes:
    """A PNG file.

    pixels   uint8 [height, width, channels] of 1 (grey), 3 (red, green, blue) or 4 channels, or [height, width]
    Source: ISO/IEC 15948. Rows are written as they are (filter 0) and compressed as a whole.
    """
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = np.ascontiguousarray(pixels, np.uint8).reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, COLOURS[channels], 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")]
    return MAGIC + b"".join(_chunk(name, content) for name, content in parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def as_bytes(numbers: Array, low: float = 0.0, high: float = 1.0) -> Array:
    """Numbers as uint8: low is 0 and high is 255, what lies outside is cut off, NaN is 0 too."""
    scaled = (np.asarray(numbers, np.float64) - low) / (high - low)
    return np.asarray(np.rint(np.clip(np.nan_to_num(scaled), 0, 1) * 255).astype(np.uint8))


def enlarged(pictures: Array, least: int = 32) -> Array:
    """Pictures [..., height, width, channels], enlarged by the smallest whole factor that makes the longer side least.

    Each pixel becomes a square.
    """
    factor = -(-least // max(pictures.shape[-3:-1]))
    return pictures.repeat(factor, axis=-3).repeat(factor, axis=-2)


def grid(pictures: Array, columns: int, *, gap: int = GAP) -> Array:
    """One picture of many, in row order, with white between them; white where the last row has none.

    pictures  uint8 [count, height, width, channels]
    returns   uint8 [rows * height + gaps, columns * width + gaps, channels]
    """
    count, height, width, channels = pictures.shape
    rows = -(-count // columns)
    whole = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // columns * (height + gap), place % columns * (width + gap)
        whole[top : top + height, left : left + width] = picture
    return whole
