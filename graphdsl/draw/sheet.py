"""Pictures of what is inside a network: learned filters and feature maps, as one contact sheet."""

from __future__ import annotations

import io
from math import ceil, sqrt
from pathlib import Path

import numpy as np

from graphdsl.ir import Array
from graphdsl.report import fail, write_whole

GAP = 2
SIDE = 96
LIMIT = 4096


def filters_sheet(kernel: Array, path: Path) -> Path:
    """Every filter of a convolution as a tile.

    kernel  [height, width, in, filters]: filters of 3 channels in colour, of 1 in grey, of more as one grey tile a pair
            (filter, channel), a row of tiles a filter; [length, in, filters] (1-D): one tile a filter, steps rightward

    Each filter is stretched to the full range, zero in the middle. Raises Failed E0703 for other shapes or more than
    4,096 tiles.
    """
    if kernel.ndim == 3:
        kernel = kernel.transpose(1, 0, 2)[:, :, None, :]
    if kernel.ndim != 4:
        raise fail("E0703", f"a weight of shape {list(kernel.shape)} has no filters to draw", help="name a conv layer")
    channels, filters = kernel.shape[2:]
    reach = np.maximum(np.abs(kernel).max(axis=(0, 1, 2), keepdims=True), 1e-12)
    shades = 127.5 + 127.5 * kernel / reach
    if channels == 3:
        return _write([shades[..., i] for i in range(filters)], ceil(sqrt(filters)), path)
    tiles = [shades[:, :, j, i] for i in range(filters) for j in range(channels)]
    return _write(tiles, channels if channels > 1 else ceil(sqrt(filters)), path)


def features_sheet(maps: Array, path: Path) -> Path:
    """Every feature map of a layer for one input as a grey tile, from its least value (black) to its greatest.

    maps  [height, width, channels], or [length, channels]: one tile with a row for each channel
    """
    if maps.ndim == 2:
        maps = maps.T[:, :, None]
    if maps.ndim != 3:
        raise fail(
            "E0703",
            f"a layer of shape {list(maps.shape)} has no feature maps to draw",
            help="name a conv or pool layer",
        )
    low, high = maps.min(axis=(0, 1)), maps.max(axis=(0, 1))
    shades = 255 * (maps - low) / np.maximum(high - low, 1e-12)
    channels = maps.shape[-1]
    return _write([shades[..., i] for i in range(channels)], ceil(sqrt(channels)), path)


def _write(tiles: list[Array], columns: int, path: Path) -> Path:
    """Lays tiles out in rows of `columns`, enlarged by whole factors to about SIDE pixels."""
    from PIL import Image

    if len(tiles) > LIMIT:
        raise fail(
            "E0703", f"{len(tiles):,} tiles are more than a picture of {LIMIT:,} holds", help="choose an earlier layer"
        )
    height, width = tiles[0].shape[:2]
    zoom = max(1, SIDE // max(height, width))
    step_y, step_x = height * zoom + GAP, width * zoom + GAP
    rows = ceil(len(tiles) / columns)
    sheet = np.full((rows * step_y + GAP, columns * step_x + GAP, 3), 255, np.uint8)
    for index, tile in enumerate(tiles):
        y, x = GAP + index // columns * step_y, GAP + index % columns * step_x
        colour = tile if tile.ndim == 3 else np.repeat(tile[..., None], 3, axis=2)
        large = np.repeat(np.repeat(colour, zoom, axis=0), zoom, axis=1)
        sheet[y : y + height * zoom, x : x + width * zoom] = np.clip(np.rint(large), 0, 255)
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG")
    return write_whole(path, buffer.getvalue())
