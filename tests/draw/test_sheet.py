"""Contact sheets of filters and feature maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graphdsl import draw
from graphdsl.report import Failed


def test_colour_filters_are_tiles_in_colour(tmp_path: Path) -> None:
    kernel = np.zeros((3, 3, 3, 4))
    kernel[..., 0, 2] = 1
    with Image.open(draw.filters_sheet(kernel, tmp_path / "f.png")) as sheet:
        assert sheet.size == (2 * 98 + 2, 2 * 98 + 2)
        assert sheet.getpixel((10, 110)) == (255, 128, 128)
        assert sheet.getpixel((10, 10)) == (128, 128, 128)


def test_every_feature_map_is_stretched_to_the_full_range(tmp_path: Path) -> None:
    maps = np.zeros((2, 2, 2))
    maps[0, 0, 0], maps[1, 1, 1] = 5, -7
    with Image.open(draw.features_sheet(maps, tmp_path / "m.png")) as sheet:
        assert sheet.getpixel((3, 3)) == (255, 255, 255)
        assert sheet.getpixel((90, 90)) == (0, 0, 0)
        assert sheet.getpixel((190, 90)) == (0, 0, 0)


def test_sequences_have_maps_too(tmp_path: Path) -> None:
    with Image.open(draw.features_sheet(np.eye(5), tmp_path / "m.png")) as sheet:
        assert sheet.size == (99, 99)


@pytest.mark.triggers("E0703")
@pytest.mark.parametrize("shape", [(4,), (3, 3, 64, 128)])
def test_what_has_no_picture_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(Failed) as refused:
        draw.filters_sheet(np.zeros(shape), tmp_path / "f.png")
    assert refused.value.diagnostics[0].code == "E0703"
    assert not list(tmp_path.iterdir())
