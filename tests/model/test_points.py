"""From points in a table to points on pictures: a spec learns where a spot is, and says it in pixels."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import graphdsl
from graphdsl.cli.app import run
from graphdsl.model import marked
from graphdsl.model.boxes import points_in

SPEC = """
input  image: float[24, 24, 1]
target spots: point[2]
preprocess = image -> resize(24, mode=fit)
output found = image -> conv(8, 3, stride=2) -> relu -> conv(8, 3, stride=2) -> relu -> flatten -> landmarks(2)
train {
  data      = points("spots.csv", batch=16)
  augment   = [image, spots] -> shift(0.05)
  loss      = [found, spots] -> mse
  metrics   = [found, spots] -> normalised_error([0, 1])
  optimizer = adam(lr=0.003)
  epochs    = 40
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Dark pictures twice as wide as high with two spots, one brighter than the other; sometimes one is unknown."""
    random, rows = np.random.default_rng(0), []
    for i in range(120):
        picture, (a, b) = np.zeros((24, 48), np.uint8), random.integers([3, 3], [21, 22], (2, 2))
        for (x, y), light in ((a, 250), ((b[0] + 23, b[1]), 140)):
            picture[y - 2 : y + 3, x - 2 : x + 3] = light
        Image.fromarray(picture).save(tmp_path / f"{i:03}.png")
        second = ("?", "?") if i % 5 == 0 else (b[0] + 23, b[1])
        rows.append(",".join(map(str, (f"{i:03}.png", *a, *second))))
    (tmp_path / "spots.csv").write_text("\n".join(rows))
    (tmp_path / "spots.dag").write_text(SPEC)
    return tmp_path


def test_points_of_pictures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = graphdsl.compile(folder / "spots.dag")
    done = model.fit(runs=None, shown=False)
    assert done.metrics["train"]["found.normalised_error"] < 0.15
    model.save(folder / "spots.safetensors")
    pictures = [str(folder / f"{i:03}.png") for i in range(1, 5)]
    asked = ["predict", str(folder / "spots.safetensors"), *pictures]
    assert run([*asked, "--format", "json", "-o", str(folder / "out")]) == 0
    points = np.array(json.loads(capsys.readouterr().out)["outputs"]["found"])
    true = np.array([line.split(",")[1:] for line in (folder / "spots.csv").read_text().splitlines()[1:5]], float)
    assert np.abs(points.reshape(4, 4) - true).mean() < 3, "pixels of pictures that are 48 wide"
    assert run(["evaluate", asked[1], str(folder / "spots.csv"), "--format", "json"]) == 0, "read as the spec reads"
    judged = json.loads(capsys.readouterr().out)["metrics"]
    assert judged["found.normalised_error"] == pytest.approx(done.metrics["train"]["found.normalised_error"], abs=0.02)
    seen = np.stack([np.asarray(Image.open(path), np.float32) for path in pictures])
    np.savez(folder / "some.npz", image=seen[..., None], spots=(true.reshape(4, 2, 2) + 0.5) / (48, 24))
    assert run(["evaluate", asked[1], str(folder / "some.npz")]) == 0, "arrays are samples by themselves"
    capsys.readouterr()
    assert run([*asked, "--format", "csv"]) == 0
    header, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == ["file", "found_0_x", "found_0_y", "found_1_x", "found_1_y"]
    np.testing.assert_allclose(np.array([row[1:] for row in rows], float), points.reshape(4, 4), atol=1e-3)
    for path, own in zip(pictures, points, strict=True):
        drawn = np.asarray(Image.open(folder / "out" / f"{Path(path).stem}.png").convert("RGB"), int)
        assert drawn.shape == (24 * 6, 48 * 6, 3), "small pictures are drawn larger"
        x, y = np.clip(np.round((own[0] + 0.5) * 6 - 0.5).astype(int), 1, (48 * 6 - 2, 24 * 6 - 2))
        assert np.ptp(drawn[y - 1 : y + 2, x - 1 : x + 2], axis=-1).max() > 40, "something coloured on a grey picture"


def test_points_without_files_stay_fractions() -> None:
    values = np.array([[[0.25, 0.5]], [[0.5, 1.0]]])
    np.testing.assert_array_equal(points_in(values, [(0.0, 0.0, 1.0, 1.0)] * 2), values)
    made = points_in(values, [(0.0, 0.0, 40.0, 20.0), (10.0, -5.0, 40.0, 20.0)])
    np.testing.assert_allclose(made, [[[9.5, 9.5]], [[29.5, 14.5]]])


def test_unknown_points_are_not_drawn(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), "white").save(tmp_path / "a.png")
    plain, nothing, one = (
        marked(tmp_path / "a.png", [], points)
        for points in ([], [np.array([[np.nan, 3.0]])], [np.array([[20.0, 20.0], [np.nan, 3.0]])])
    )
    assert plain == nothing != one


@pytest.mark.parametrize("far", [1e8, 3e9, 1e12, 1e30, 3e38, np.inf])
@pytest.mark.parametrize("size", [40, 300])
def test_points_far_away_are_not_drawn(tmp_path: Path, far: float, size: int) -> None:
    """As a network says them that has learned badly; a disc whose middle is outside is seen as far as it goes."""
    Image.new("RGB", (size, size), "white").save(tmp_path / "a.png")
    away = np.array([[far, far], [-far, far], [20.0, -far], [far, 20.0]], np.float32)
    inside, edge = np.array([[20.0, 20.0]], np.float32), np.array([[20.0, -0.7]], np.float32)
    plain, nothing, one, two, part = (
        marked(tmp_path / "a.png", [], [points])
        for points in (inside[:0], away, inside, np.concatenate([away, inside]), edge)
    )
    assert plain == nothing and one == two != plain and part not in (plain, one)


@pytest.mark.parametrize("size", [64, 256, 600])
def test_points_are_discs_in_their_places(tmp_path: Path, size: int) -> None:
    """To a tenth of a pixel of the picture, also between pixels, with soft edges."""
    Image.new("RGB", (size, size), "black").save(tmp_path / "a.png")
    where = np.array([[size * 0.31 + 0.3, size * 0.62 + 0.45]])
    drawn = np.asarray(Image.open(io.BytesIO(marked(tmp_path / "a.png", [], [where]))), float)
    scale = len(drawn) / size
    assert scale == max(1, 256 // size)
    light = drawn.sum(axis=-1)
    rows, columns = np.indices(light.shape)
    middle = np.array([(columns * light).sum(), (rows * light).sum()]) / light.sum()
    np.testing.assert_allclose((middle + 0.5) / scale - 0.5, where[0], atol=0.1)
    assert len(np.unique(light)) > 5, "edges are soft"
