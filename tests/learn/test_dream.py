"""Dreams: octaves by hand, the same picture from the same seed, uphill, and what a section must say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import graphdsl
from graphdsl.ir import Array
from graphdsl.learn.ascent import enlarged, resized, sizes_of, stepped
from graphdsl.model import Model, dream
from graphdsl.report import Failed

TEXT = """
input image: float[H, W, 3]
target filter: int(4)
edges = image * 2 - 1 -> conv(6, 3, pad=1) -> relu
deep = edges -> max_pool(2) -> conv(4, 3, pad=1)
output class = deep -> global_avg_pool
dream {{
  {keys}
}}
"""
PHOTO = 'start = photo("cat.png")  maximize = deep -> mean_square'


def model(folder: Path, keys: str, text: str = TEXT) -> Model:
    path = folder / "dreams.dag"
    path.write_text(text.format(keys=keys))
    picture = np.random.default_rng(0).integers(0, 256, (28, 40, 3)).astype(np.uint8)
    Image.fromarray(picture).save(folder / "cat.png")
    made = graphdsl.compile(path, backend="reference")
    made._filled |= set(made.executor.weights)
    return made


def left(folder: Path, name: str = "dream") -> Array:
    with Image.open(folder / f"{name}.png") as picture:
        return np.asarray(picture)


# --- octaves ---------------------------------------------------------------------------------------------------------


def test_sizes() -> None:
    assert sizes_of((300, 400), 4, 1.4) == [(109, 146), (153, 204), (214, 286), (300, 400)]
    assert sizes_of((3, 400), 6, 2.0)[0] == (1, 12)


def test_resizing_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    pictures = np.random.default_rng(1).normal(size=(2, 11, 8, 3))
    for size in ((5, 3), (19, 20), (11, 4)):
        given = torch.tensor(pictures).permute(0, 3, 1, 2)
        wanted = torch.nn.functional.interpolate(given, size, mode="bilinear", antialias=True)
        np.testing.assert_allclose(resized(pictures, size), wanted.permute(0, 2, 3, 1).numpy(), atol=1e-6)


def test_lost_detail_comes_back() -> None:
    """A picture that nothing has changed is the photograph again, in every size; what has changed stays changed."""
    photo = np.random.default_rng(2).random((1, 20, 30, 3))
    small = resized(photo, (10, 15))
    np.testing.assert_allclose(enlarged(small, photo, (20, 30)), photo, atol=1e-12)
    brighter = enlarged(small + 0.25, photo, (20, 30))
    np.testing.assert_allclose(brighter, photo + 0.25, atol=1e-12)


def test_steps_are_of_one_length() -> None:
    pictures = np.full((2, 4, 4, 3), 0.5, np.float32)
    down = np.random.default_rng(3).normal(size=pictures.shape).astype(np.float32) * [[[[1e-4]]], [[[1e4]]]]
    moved = stepped(pictures, down, 0.01) - pictures
    assert moved.dtype == np.float32
    np.testing.assert_allclose(np.abs(moved).mean(axis=(1, 2, 3)), 0.01, rtol=1e-3)
    assert (np.sign(moved) == -np.sign(down)).all()
    assert stepped(pictures, down, 100).min() == 0
    np.testing.assert_array_equal(stepped(pictures, np.zeros_like(pictures), 0.1), pictures)


# --- whole dreams ----------------------------------------------------------------------------------------------------


def test_a_photograph(tmp_path: Path) -> None:
    made = model(tmp_path, f"{PHOTO} octaves = 3 steps = 4 jitter = 3 rate = 0.05")
    done = dream(made, tmp_path / "runs", shown=False)
    assert done.folder is not None
    assert left(done.folder).shape == (28, 40, 3)
    assert left(done.folder, "dream_octave_1").shape == (14, 20, 3)
    rows = (done.folder / "dream.csv").read_text().splitlines()
    assert rows[0] == "section,octave,step,dream,deep"
    assert len(rows) == 1 + 3 * 4
    assert float(rows[4].split(",")[-1]) > 1.2 * float(rows[1].split(",")[-1])
    assert json.loads((done.folder / "metrics.json").read_text())["metrics"] == done.metrics
    assert done.metrics["dream"]["deep"] == float(rows[-1].split(",")[-1])
    again = dream(made, tmp_path / "runs", shown=False)
    assert again.folder is not None
    assert (again.folder / "dream.png").read_bytes() == (done.folder / "dream.png").read_bytes()


def test_another_seed_shifts_otherwise(tmp_path: Path) -> None:
    first, other = (
        dream(model(tmp_path, f"{PHOTO} octaves = 1 steps = 4 seed = {seed}"), tmp_path / "runs", shown=False)
        for seed in (0, 1)
    )
    assert first.folder is not None
    assert other.folder is not None
    assert (left(first.folder) != left(other.folder)).any()


def test_filters(tmp_path: Path) -> None:
    """Each picture excites its own filter more than the others do, and they stand in a grid."""
    keys = "start = normal(0.5, 0.05)  size = 16x20  filters = [0, 3, 1]  octaves = 2  steps = 15  rate = 0.05"
    made = model(tmp_path, f"{keys}  maximize = [deep, filter] -> activation")
    done = dream(made, tmp_path / "runs", shown=False)
    assert done.folder is not None
    sheet = left(done.folder)
    assert sheet.shape == (2 * 16 + 2, 2 * 20 + 2, 3)
    pictures = [sheet[y : y + 16, x : x + 20] / 255 for y, x in ((0, 0), (0, 22), (18, 0))]
    seen = made.predict(np.array(pictures, np.float32))["class"]
    assert seen[:, [0, 3, 1]].argmax(axis=0).tolist() == [0, 1, 2]


def test_what_is_made_small(tmp_path: Path) -> None:
    """With a heavy weight on roughness the picture becomes smoother than without."""
    keys = "start = uniform(0, 1) size = 16 octaves = 1 steps = 20 jitter = 0 maximize = deep -> mean_square"
    made = [model(tmp_path, f"{keys} {loss}") for loss in ("", "loss = image -> total_variation(weight=1000)")]
    rough, smooth = (left(dream(m, tmp_path / "runs", shown=False).folder or tmp_path) for m in made)
    assert (
        np.abs(np.diff(smooth.astype(float), axis=0)).mean() < 0.5 * np.abs(np.diff(rough.astype(float), axis=0)).mean()
    )


def test_after_training(tmp_path: Path) -> None:
    """A run trains first, and the dream goes into its folder."""
    text = (
        TEXT.replace("output", "target score: float[4]\noutput") + "train {{ loss = [class, score] -> mse epochs = 1 }}"
    )
    made = model(tmp_path, f"{PHOTO} steps = 1", text)
    chance = np.random.default_rng(5)
    images, scores = chance.random((4, 8, 8, 3), np.float32), chance.random((4, 4), np.float32)
    trained = made.fit({"image": images}, {"score": scores}, runs=tmp_path / "runs", shown=False)
    done = dream(made, tmp_path / "runs", before=trained, shown=False)
    assert done.folder == trained.folder
    assert done.metrics.keys() == {*trained.metrics, "dream"}


# --- refused ---------------------------------------------------------------------------------------------------------

NOISE = "start = normal(0.5, 0.1)"


@pytest.mark.triggers("E0621")
@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (f"{NOISE} maximize = deep -> mean_square", "nothing says how large"),
        (f"{PHOTO} size = 20", "says its size itself"),
        (f"{NOISE} size = 2x3x4 maximize = deep -> mean_square", "height and width"),
        (f"{PHOTO} filters = 2", "nothing reads them"),
        (f"{NOISE} size = 9 maximize = [deep, filter] -> activation", "which `filter` is meant"),
        (f"{NOISE} size = 9 filters = 4 maximize = [deep, filter] -> activation", "numbers below 4"),
    ],
)
def test_refused(tmp_path: Path, keys: str, said: str) -> None:
    with pytest.raises(Failed, match=rf"E0621.*{said}"):
        model(tmp_path, keys)


@pytest.mark.triggers("E0621")
def test_inputs_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"E0621.*several octaves need"):
        model(tmp_path, f"{PHOTO} octaves = 2", TEXT.replace("H, W", "28, 40"))
    with pytest.raises(Failed, match=r"E0621.*reads none"):
        model(
            tmp_path,
            PHOTO,
            TEXT.replace("image * 2", "const * 2").replace("input", "weight const: float[4, 4, 3]\ninput"),
        )
    square = model(tmp_path, PHOTO, TEXT.replace("H, W", "H, H"))
    with pytest.raises(Failed, match=r"E0621.*is square"):
        dream(square, None, shown=False)
    fixed = model(tmp_path, PHOTO, TEXT.replace("H, W", "20, 20"))
    with pytest.raises(Failed, match=r"E0621.*the photograph 28x40x3"):
        dream(fixed, None, shown=False)


@pytest.mark.triggers("E0621")
def test_pictures_too_small_for_a_window(tmp_path: Path) -> None:
    made = model(tmp_path, f"{NOISE} size = 2 octaves = 2 maximize = deep -> mean_square")
    with pytest.raises(Failed, match=r"E0621.*1x1 is too small.*fewer octaves"):
        dream(made, None, shown=False)


@pytest.mark.triggers("E0605")
def test_a_network_without_weights(tmp_path: Path) -> None:
    made = model(tmp_path, PHOTO)
    made._filled.clear()
    with pytest.raises(Failed, match="E0605"):
        dream(made, None, shown=False)
