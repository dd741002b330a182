"""Pictures that a run leaves while it goes on."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graphdsl.data import Digits, Places
from graphdsl.model import Model
from graphdsl.report import Failed, Source

MADE = """
input image: float[8, 8, 1]
code = image -> flatten -> dense(4)
shared decode = dense(64)
output copy = code -> decode -> reshape(8x8x1) -> sigmoid
output made = random_normal(4) -> decode -> reshape(8x8x1) -> sigmoid
train {
  data      = digits(batch=64, valid=0.1, limit=200)
  loss      = [copy, image] -> mse
  optimizer = sgd(lr=1e-9)
  callbacks = [pictures(made, every=2, grid=2x3), pictures(copy, every=3, grid=2)]
  epochs    = 4
}
"""


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())))


def test_a_run_leaves_a_grid_every_so_many_epochs(tmp_path: Path) -> None:
    done = Model(Source("made.dag", MADE)).fit(runs=tmp_path, shown=False)
    assert done.folder is not None
    names = sorted(path.name for path in done.folder.glob("*.png"))
    assert names == ["copy_003.png", "made_002.png", "made_004.png"]
    first, last = (pixels(done.folder / name) for name in names[1:])
    assert first.shape == (2 * 32 + 2, 3 * 32 + 4), "pictures of 8x8, four times as large"
    assert len({first[top : top + 32, left : left + 32].tobytes() for top in (0, 34) for left in (0, 34, 68)}) == 6
    assert np.array_equal(first, last), "the same noise, and weights that hardly move"


def test_a_grid_of_what_reads_data_is_of_the_samples_to_validate_on(tmp_path: Path) -> None:
    shown = MADE.replace("pictures(copy, every=3, grid=2)", "pictures(image, grid=2)")
    done = Model(Source("made.dag", shown)).fit(runs=tmp_path, shown=False, epochs=1)
    assert done.folder is not None
    seen = pixels(done.folder / "image_001.png")[:32:4, :32:4]
    digits = Digits().read(Places()).columns["image"].take(np.arange(200))
    assert any(np.array_equal(np.rint(picture[..., 0] * 255), seen) for picture in digits)


def test_a_learned_picture_is_drawn_as_it_is(tmp_path: Path) -> None:
    text = """
weight canvas: float[5, 7, 3] = 0.5
output seen = canvas
train { loss = [canvas, canvas * canvas] -> mse  optimizer = sgd(lr=0.1)  steps = 10  callbacks = pictures(canvas) }
"""
    done = Model(Source("canvas.dag", text)).fit(runs=tmp_path, shown=False)
    assert done.folder is not None
    made = pixels(sorted(done.folder.glob("canvas_*.png"))[-1])
    assert made.shape == (5, 7, 3)
    assert len(np.unique(made)) == 1


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(Failed, match=r"E0305.*`pictures` draws no float\[4\]"):
        Model(Source("made.dag", MADE.replace("pictures(made,", "pictures(code,")))
