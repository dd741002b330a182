"""Boxes in pixels of pictures, whatever `resize` made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graphdsl.data import Resize
from graphdsl.model import compile
from graphdsl.model.boxes import found_in, in_pixels
from graphdsl.report import Failed

SIZES = [(30, 50), (50, 30), (24, 24), (25, 61)]


@pytest.mark.parametrize("mode", ["cover", "fit", "stretch"])
@pytest.mark.parametrize("size", SIZES)
def test_view(size: tuple[int, int], mode: str) -> None:
    """A picture of its own coordinates, resized, says where each new pixel came from."""
    height, width = size
    picture = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1)[None].astype(np.float32)
    resize = Resize((24, 32), mode, fill=255.0)
    seen = resize.apply(picture)[0]
    left, top, wide, high = in_pixels(resize.part(height, width), height, width)
    across, down = seen[12, 4:-4, 0], seen[4:-4, 16, 1]
    x = left + (np.arange(32)[4:-4] + 0.5) / 32 * wide
    y = top + (np.arange(24)[4:-4] + 0.5) / 24 * high
    for told, wanted, step in ((across, x, wide / 32), (down, y, high / 24)):
        there = told < 255
        assert there.sum() > 8
        np.testing.assert_allclose(told[there] + 0.5, wanted[there], atol=0.51 * max(step, 1))


def test_found() -> None:
    rows = np.array([[[0.5, 0.5, 0.5, 0.25, 0.9, 1], [0.25, 0.5, 0.1, 0.1, 0.4, 7], [0, 0, 0, 0, 0, 0]]])
    ((first, second),) = found_in(rows, ["cat", "dog"], [(10.0, 20.0, 100.0, 200.0)])
    assert (first.label, first.score, second.label) == ("dog", 0.9, "7")
    np.testing.assert_allclose(first.box, [35, 95, 50, 50])
    assert first.data == {"class": "dog", "score": 0.9, "box": list(first.box)}
    assert found_in(rows[:, 2:], [], [(0.0, 0.0, 1.0, 1.0)]) == [[]]


SPEC = (
    "input image: float[24, 32, 3]\n{}"
    "output found = image -> conv(14, 1) -> decode_boxes(2, [3x4, 5x6]) -> nms(score=0.1)\n"
)


def test_names_of_classes_are_as_many_as_a_detector_has(tmp_path: Path) -> None:
    (tmp_path / "net.dag").write_text(SPEC.format(""))
    model = compile(tmp_path / "net.dag")
    assert model.fitting(["cat", "dog"]) == {"found"}
    with pytest.raises(Failed, match="3 names of classes fit no output: `found` has 2 classes") as failed:
        model.fitting(["cat", "dog", "cow"])
    assert failed.value.diagnostics[0].help == "give 2 names, one a class"


@pytest.mark.parametrize(
    ("preprocess", "box"),
    [
        ("", (5, 0, 40, 30)),
        ("resize(24x32, mode=stretch)", (0, 0, 50, 30)),
        ("center_crop(24x32)", (9, 3, 32, 24)),
        ("crop(10, 2, 42, 26)", (10, 2, 32, 24)),
        ("crop(10, 0, 26, 12) -> resize(24x32)", (10, 0, 16, 12)),
        ("resize(60x100) -> center_crop(24x32)", (17, 9, 16, 12)),
    ],
)
def test_pictures_of_files(preprocess: str, box: tuple[float, ...], tmp_path: Path) -> None:
    """All that a network sees is the box that it sees it in, in pixels of the file; without files, fractions."""
    Image.fromarray(np.zeros((30, 50, 3), np.uint8)).save(tmp_path / "a.png")
    steps = f"preprocess = image -> {preprocess}\n" if preprocess else ""
    (tmp_path / "net.dag").write_text(SPEC.format(steps))
    model = compile(tmp_path / "net.dag")
    outputs = {"found": np.array([[[0.5, 0.5, 1.0, 1.0, 0.9, 1]]])}
    ((thing,),) = model.found(outputs, (), [str(tmp_path / "a.png")])["found"]
    assert thing.box == pytest.approx(box)
    ((bare,),) = model.found(outputs)["found"]
    assert bare.box == (0.0, 0.0, 1.0, 1.0)


def test_of_two_pictures_boxes_are_fractions(tmp_path: Path) -> None:
    text = SPEC.format("input other: float[24, 32, 3]\n").replace("image -> conv", "image + other -> conv")
    Image.fromarray(np.zeros((30, 50, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "net.dag").write_text(text)
    outputs = {"found": np.array([[[0.5, 0.5, 1.0, 1.0, 0.9, 1]]])}
    ((thing,),) = compile(tmp_path / "net.dag").found(outputs, (), [str(tmp_path / "a.png")])["found"]
    assert thing.box == (0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize("number", [np.nan, np.inf, -0.2, 0.0])
@pytest.mark.parametrize("column", [2, 3])
def test_what_is_no_box_is_not_found(number: float, column: int) -> None:
    """A network that ends in plain numbers may say anything."""
    row = np.array([[[0.5, 0.5, 0.2, 0.2, 0.9, 1.0]] * 2])
    row[0, 0, column] = number
    assert len(found_in(row, ["cat", "dog"], [(0.0, 0.0, 1.0, 1.0)])[0]) == 1
