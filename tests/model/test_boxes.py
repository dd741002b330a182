"""Boxes in pixels of pictures, whatever `resize` made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graphdsl.data import Resize
from graphdsl.model import compile
from graphdsl.model.boxes import View, found_in
from graphdsl.report import Failed

SIZES = [(30, 50), (50, 30), (24, 24), (25, 61)]


@pytest.mark.parametrize("mode", ["cover", "fit", "stretch"])
@pytest.mark.parametrize("size", SIZES)
def test_view(size: tuple[int, int], mode: str) -> None:
    """A picture of its own coordinates, resized, says where each new pixel came from."""
    height, width = size
    picture = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1)[None].astype(np.float32)
    seen = Resize((24, 32), mode, fill=255.0).apply(picture)[0]
    left, top, wide, high = View(mode, 24, 32).part(height, width)
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


SPEC = "input image: float[24, 32, 14]\n{}output found = image -> decode_boxes(2, [3x4, 5x6]) -> nms(score=0.1)\n"


def test_names_of_classes_are_as_many_as_a_detector_has(tmp_path: Path) -> None:
    (tmp_path / "net.dag").write_text(SPEC.format(""))
    model = compile(tmp_path / "net.dag")
    assert model.fitting(["cat", "dog"]) == {"found"}
    with pytest.raises(Failed, match="3 names of classes fit no output: `found` has 2 classes") as failed:
        model.fitting(["cat", "dog", "cow"])
    assert failed.value.diagnostics[0].help == "give 2 names, one a class"


@pytest.mark.parametrize(
    ("preprocess", "width"),
    [
        ("", 50),
        ("preprocess = image -> resize(24x32, mode=stretch)\n", 50),
        ("preprocess = image -> center_crop(24x32)\n", 1),
    ],
)
def test_pictures_of_files(preprocess: str, width: float, tmp_path: Path) -> None:
    """In pixels, but where parts are cut out of pictures: then as fractions."""
    Image.fromarray(np.zeros((30, 50, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "net.dag").write_text(SPEC.format(preprocess))
    model = compile(tmp_path / "net.dag")
    outputs = {"found": np.array([[[0.5, 0.5, 1.0, 1.0, 0.9, 1]]])}
    ((thing,),) = model.found(outputs, (), [str(tmp_path / "a.png")])["found"]
    seen = min(width, 40.0) if not preprocess else width
    assert thing.box[2] == pytest.approx(seen)
    ((bare,),) = model.found(outputs)["found"]
    assert bare.box == (0.0, 0.0, 1.0, 1.0)
