"""What `predict` says of boxes: drawn, as a table, and as COCO's detections, which COCO's own programs read."""

from __future__ import annotations

import csv
import io
import json
import shutil
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import graphdsl
from graphdsl.cli import app
from graphdsl.data import decode
from graphdsl.model import Found, marked

SPEC = """
input image: float[24, 32, 3]
target things: box(2)[4]
heads = image -> conv(4, 3, stride=8, pad=same) -> detect(2, anchors=[8x8, 12x10])
output found = heads -> nms(score=0.1, max=5)
train {
  data    = coco("cells.json", "pictures")
  loss    = [heads, things] -> detection
  metrics = [found, things] -> mean_average_precision
}
"""
IDS = {"a.png": 7, "b.png": 40, "c.png": 3}
CLASSES = {"cell": 11, "dirt": 5}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec with weights, pictures and COCO's annotations of them."""
    (tmp_path / "pictures").mkdir()
    for i, name in enumerate(IDS):
        pixels = np.random.default_rng(i).integers(0, 255, (24 + 6 * i, 64, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / name)
    boxes = [{"id": i, "image_id": n, "category_id": 11, "bbox": [3, 4, 10, 9]} for i, n in enumerate(IDS.values(), 1)]
    truth = {
        "info": {},
        "images": [{"id": n, "file_name": f} for f, n in IDS.items()],
        "categories": [{"id": n, "name": c} for c, n in CLASSES.items()],
        "annotations": [{**b, "area": 90, "iscrowd": 0} for b in boxes],
    }
    (tmp_path / "cells.json").write_text(json.dumps(truth))
    (tmp_path / "net.dag").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    model = graphdsl.compile("net.dag")
    model.fit(epochs=1, runs=None, shown=False)
    model.save("net.safetensors")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert app.run(["predict", "net.safetensors", *words]) == code
    got = capsys.readouterr()
    return got.out if code == 0 else got.err


def test_coco(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ids are those of the file that the spec learned from; boxes are in pixels of the file."""
    told = json.loads(said(capsys, "pictures", "--format", "json"))
    rows = json.loads(said(capsys, "pictures", "--format", "coco"))
    expected = [
        (IDS[Path(file).name], CLASSES[thing["class"]], thing["score"], thing["box"])
        for file, things in zip(told["files"], told["found"]["found"], strict=True)
        for thing in things
    ]
    assert len(rows) > 3 and {row["image_id"] for row in rows} == set(IDS.values())
    assert [(r["image_id"], r["category_id"], r["score"], r["bbox"]) for r in rows] == expected
    said(capsys, "pictures", "-o", "found.json")
    assert json.loads((place / "found.json").read_text()) == rows


def test_coco_is_what_its_programs_read(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their AP of the file is ours of the spec."""
    tools, evaluation = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    said(capsys, "pictures", "-o", "found.json")
    with redirect_stdout(io.StringIO()):
        truth = tools.COCO("cells.json")
        judge = evaluation.COCOeval(truth, truth.loadRes("found.json"), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    text = SPEC.replace("mean_average_precision", "mean_average_precision(rule=coco)")
    (place / "judged.dag").write_text(text.replace("  loss", '  test = coco("cells.json", "pictures")\n  loss'))
    model = graphdsl.compile("judged.dag")
    model.load("net.safetensors")
    assert model.evaluate()["found.map_50"] == pytest.approx(judge.stats[1], abs=1e-6)


def test_ids_of_pictures_that_no_set_knows(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The number that a file has for a name, else its place; the number of the class; all from 1."""
    for number, name in ((12, "a.png"), (9, "b.png")):
        shutil.copy(place / "pictures" / name, place / f"{number:06d}.png")
    rows = json.loads(said(capsys, "000009.png", "000012.png", "--format", "coco"))
    assert {row["image_id"] for row in rows} == {9, 12} and {row["category_id"] for row in rows} <= {1, 2}
    shutil.copy(place / "000009.png", place / "night.png")
    rows = json.loads(said(capsys, "000012.png", "night.png", "--format", "coco"))
    assert {row["image_id"] for row in rows} == {1, 2}


def test_ids_of_another_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = json.loads((place / "cells.json").read_text())
    for image in other["images"]:
        image["id"] += 100
    (place / "other.json").write_text(json.dumps(other))
    rows = json.loads(said(capsys, "pictures", "--format", "coco", "--ids", "other.json"))
    assert {row["image_id"] for row in rows} == {107, 140, 103}
    other["images"].pop()
    (place / "other.json").write_text(json.dumps(other))
    told = said(capsys, "pictures", "--format", "coco", "--ids", "other.json", code=1)
    assert "E0519" in told and "`other.json` knows no picture `c.png`" in told and "it knows a.png, b.png" in told
    (place / "other.json").write_text('{"images": [],\n "categories": [}')
    told = said(capsys, "pictures", "--format", "coco", "--ids", "other.json", code=1)
    assert "line 2, column 17: it is no JSON" in told


def test_no_coco_of_arrays(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("some.npy", np.zeros((1, 24, 32, 3), np.float32))
    assert "fractions, not pixels" in said(capsys, "some.npy", "--format", "coco", code=1)


def test_coco_tells_pictures_apart_by_name(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "more").mkdir()
    shutil.copy(place / "pictures" / "b.png", place / "more" / "a.png")
    told = said(capsys, "pictures", "more", "--format", "coco", code=1)
    assert "E0519" in told and "2 pictures are called `a.png`" in told


def test_coco_tells_pictures_of_one_name_apart_by_their_folders(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = json.loads((place / "cells.json").read_text())
    for folder, id in (("day", 7), ("night", 70)):
        (place / folder).mkdir()
        shutil.copy(place / "pictures" / "a.png", place / folder / "a.png")
        truth["images"].append({"id": id, "file_name": f"{folder}/a.png"})
    truth["images"] = truth["images"][1:]
    (place / "both.json").write_text(json.dumps(truth))
    rows = json.loads(said(capsys, "night/a.png", "day/a.png", "--format", "coco", "--ids", "both.json"))
    count = len(rows) // 2
    assert [row["image_id"] for row in rows] == [70] * count + [7] * count and count
    told = said(capsys, "pictures/a.png", "--format", "coco", "--ids", "both.json", code=1)
    assert "knows 2 pictures `a.png`, in other folders" in told
    (place / "cells.json").write_text(json.dumps(truth))
    rows = json.loads(said(capsys, "night", "day", "--format", "coco"))
    assert {row["image_id"] for row in rows} == {7, 70}, "also those of the spec"


def test_a_table_of_boxes(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(said(capsys, "pictures", "--format", "json", "--score", "0.2"))
    text = said(capsys, "pictures", "--format", "csv", "--score", "0.2")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["file", "class", "score", "left", "top", "width", "height"]
    assert len(rows) == sum(map(len, told["found"]["found"])) > 0
    assert float(rows[0]["left"]) == pytest.approx(told["found"]["found"][0][0]["box"][0], rel=1e-5)
    said(capsys, "pictures", "--score", "0.2", "-o", "found.csv")
    assert (place / "found.csv").read_text() == text


def test_pictures_of_one_name_do_not_replace_each_other(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "more").mkdir()
    shutil.copy(place / "pictures" / "b.png", place / "more" / "a.png")
    said(capsys, "pictures", "more", "-o", "drawn")
    names = {path.name for path in (place / "drawn").iterdir()}
    assert names == {"pictures_a.png", "more_a.png", "b.png", "c.png"}


def test_what_is_drawn(tmp_path: Path) -> None:
    """Frames in the colours of classes at their pixels; labels whole, above their boxes, on no other label."""
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((240, 320, 3), 128, np.uint8)).save(path)
    things = [
        Found("cell", 0.9, (20.0, 60.0, 100.0, 80.0), 0),
        Found("cell", 0.8, (22.0, 61.0, 90.0, 70.0), 0),
        Found("dirt", 0.7, (300.0, -5.0, 40.0, 30.0), 1),
    ]
    (tmp_path / "made.png").write_bytes(marked(path, things))
    drawn = decode(tmp_path / "made.png", (None, None, 3)).astype(int)
    assert drawn.shape == (240, 320, 3)
    first, second = np.array([0xE6, 0x19, 0x4B]), np.array([0x1A, 0x8A, 0x3C])
    assert (drawn[100, 20] == first).all() and (drawn[140, 60] == first).all() and (drawn[20, 300] == second).all()
    assert (drawn[50:60, 20:40] == first).all(axis=-1).sum() > 40, "a label above its box"
    assert (drawn[10:20, 280:299] == second).all(axis=-1).any(), "a label that the border would cut goes to the left"
    assert (drawn[150:, :250] == 128).all(), "nothing where nothing is"


def test_a_score_below_that_of_the_spec(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Has no effect, which is said with the value of the spec and its place."""
    assert app.run(["predict", "net.safetensors", "pictures", "--score", "0.05"]) == 0
    told = capsys.readouterr().err
    assert "note: `--score 0.05` is below `nms(score=0.1)` (the spec in net.safetensors:5:25)" in told
    for words in (["--score", "0.1"], []):
        assert app.run(["predict", "net.safetensors", "pictures", *words]) == 0
        assert "note" not in capsys.readouterr().err
    judge = ["evaluate", "net.safetensors", "cells.json", "--score"]
    assert app.run([*judge, "0.05"]) == 0
    assert "note: `--score 0.05` is below `nms(score=0.1)`" in capsys.readouterr().err
    assert app.run([*judge, "0.2"]) == 0
    assert "note" not in capsys.readouterr().err
    (place / "sure.dag").write_text(SPEC.replace("score=0.1", "score=0.6"))
    for words, notes in (([], 0), (["--score", "0.5"], 1)):
        assert app.run(["evaluate", "sure.dag", "cells.json", "--weights", "net.safetensors", *words]) == 0
        told = capsys.readouterr()
        assert "scores from 0.5" in told.out and told.err.count("note") == notes, "of what was asked for alone"


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("found/", "wrote found/a.png, found/b.png, found/c.png"),
        ("found.csv", "wrote found.csv"),
        ("found.json", "wrote found.json"),
        ("found.npz", "wrote found.npz"),
    ],
)
def test_what_was_written_is_said(place: Path, capsys: pytest.CaptureFixture[str], output: str, told: str) -> None:
    """On stderr, so that tables on stdout stay tables."""
    assert app.run(["predict", "net.safetensors", "pictures", "-o", output]) == 0
    said = capsys.readouterr()
    assert told in said.err.splitlines() and "wrote" not in said.out
    assert (place / output).exists()


def test_many_files_are_told_as_a_folder(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(place / "pictures" / "a.png", place / "pictures" / "z.png")
    assert app.run(["predict", "net.safetensors", "pictures", "-o", "found"]) == 0
    assert "wrote 4 files in found/, a.png to z.png" in capsys.readouterr().err
    assert app.run(["evaluate", "net.safetensors", "cells.json", "-o", "quality"]) == 0
    assert "wrote quality/precision_recall.svg, quality/precision_recall.csv" in capsys.readouterr().err
