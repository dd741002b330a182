"""Pictures as PNG, read back by Pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from graphdsl.learn import as_bytes, enlarged, grid, png


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_png_holds_the_pixels(channels: int) -> None:
    pixels = np.random.default_rng(channels).integers(0, 256, (5, 7, channels)).astype(np.uint8)
    read = np.asarray(Image.open(io.BytesIO(png(pixels))))
    assert np.array_equal(read.reshape(pixels.shape), pixels)


def test_a_png_of_two_axes_is_grey() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(pixels)))), pixels)


def test_numbers_as_bytes() -> None:
    assert as_bytes(np.array([-2.0, -1.0, 0.0, 1.0, 5.0, np.nan]), -1, 1).tolist() == [0, 0, 128, 255, 255, 0]


def test_a_grid_is_in_row_order_with_white_between() -> None:
    pictures = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 1), np.uint8)
    whole = grid(pictures, 3, gap=1)
    assert whole.shape == (2 * 2 + 1, 3 * 3 + 2, 1)
    assert [int(whole[0, 4 * i, 0]) for i in range(3)] == [0, 1, 2]
    assert [int(whole[3, 4 * i, 0]) for i in range(3)] == [3, 4, 255]
    assert (whole[2] == 255).all() and (whole[:, 3] == 255).all()


def test_small_pictures_are_enlarged_by_whole_factors() -> None:
    pictures = np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1)
    assert enlarged(pictures, 6).shape == (1, 4, 6, 1)
    assert (
        enlarged(pictures, 7)[0, :, :, 0].tolist()
        == [[0] * 3 + [1] * 3 + [2] * 3] * 3 + [[3] * 3 + [4] * 3 + [5] * 3] * 3
    )
    assert np.array_equal(enlarged(pictures, 2), pictures)
