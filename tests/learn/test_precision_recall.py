"""What is told of each class of boxes: by hand, against all found boxes anew, and as a user asks for it."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import graphdsl
from graphdsl.cli import app
from graphdsl.ir import Array
from graphdsl.learn import METRICS, PALETTE, Pair, Reading, qualities, quality_files, quality_lines
from graphdsl.learn.square import Curve, Square, squares

CATS = [0.5, 0.5, 0.2, 0.2], [0.2, 0.2, 0.1, 0.1]
WRONG = [0.8, 0.8, 0.1, 0.1]


def observed(found: list[list[float]], true: list[list[float]], **settings: Any) -> tuple[Any, Array]:
    made = METRICS["mean_average_precision"].make(**settings)
    return made, made.observe(Pair(Reading.BOXES, np.array([found]), np.array([true])))


def test_by_hand() -> None:
    """Right at 0.9, wrong at 0.8, right at 0.6: of two cats; a dog that nobody saw, and a cow that is none."""
    found = [[*CATS[0], 0.9, 0], [*WRONG, 0.8, 0], [*CATS[1], 0.6, 0], [*WRONG, 0.7, 2]]
    cat, dog, cow = qualities(*observed(found, [[*CATS[0], 0], [*CATS[1], 0], [*WRONG, 1]]), ["cat", "dog"], 0.7)
    assert (cat.label, cat.boxes, cat.precision, cat.recall) == ("cat", 2, 0.5, 0.5)
    np.testing.assert_allclose(cat.ap, 0.5 * 1 + 0.5 * 2 / 3)
    np.testing.assert_allclose([cat.scores, cat.recalls, cat.precisions], [[0.9, 0.6], [0.5, 1], [1, 2 / 3]])
    assert (dog.label, dog.boxes, dog.ap, dog.recall, len(dog.scores)) == ("dog", 1, 0, 0, 0) and np.isnan(
        dog.precision
    )
    assert (cow.label, cow.boxes, cow.precision) == ("2", 0, 0) and np.isnan(cow.ap) and np.isnan(cow.recall)
    lines = quality_lines([cat, dog, cow], 0.7)
    assert lines[0].split() == ["class", "boxes", "AP", "at", "scores", "from", "0.7:", "precision", "recall"]
    assert [line.split() for line in lines[1:]] == [
        ["cat", "2", "0.8333", "0.5000", "0.5000"],
        ["dog", "1", "0.0000", "-", "0.0000"],
        ["2", "0", "-", "0.0000", "-"],
    ]


@pytest.mark.parametrize(("side", "right"), [(0.25, 1), (0.2499, 0)])
def test_correct_at_one_half(side: float, right: int) -> None:
    """A box that shares exactly half is right, as the lectures have it; a little less is not."""
    made, rows = observed([[0.5, 0.5, side, 0.5, 0.9, 0]], [[0.5, 0.5, 0.5, 0.5, 0]])
    assert len(qualities(made, rows, [])[0].scores) == right
    assert made.value(rows) == right


def test_precision_and_recall_at_a_score_are_those_of_what_scores_as_much() -> None:
    """Boxes of lower scores change nothing about it: they are matched after the better ones."""
    random = np.random.default_rng(0)
    true = [[*random.random(2), 0.2, 0.2, float(random.integers(3))] for _ in range(30)]
    near = [
        [*(np.array(t[:4]) * random.normal(1, 0.1, 4)), round(random.random(), 2), t[4]] for t in true for _ in "abc"
    ]
    for score in (0.2, 0.5, 0.77):
        whole = qualities(*observed(near, true), [], score)
        cut = [row for row in near if row[4] >= score]
        for q, less in zip(whole, qualities(*observed(cut, true), [], 0.0), strict=True):
            assert (q.precision, q.recall) == (less.precision, less.recall)


def test_files() -> None:
    """Curves as csv say the same as the numbers; the picture is well formed, and bounded for many classes."""
    random = np.random.default_rng(1)
    true = [[*random.random(2), 0.1, 0.1, c] for c in range(30) for _ in range(4 if c == 7 else 3)]
    made, rows = observed([[*t[:4], random.random(), t[4]] for t in true], true)
    found = {"found.map_50": qualities(made, rows, ["a & b <c>"])}
    files = quality_files(found)
    table = list(csv.DictReader(io.StringIO(files["precision_recall.csv"].decode())))
    first = [row for row in table if row["class"] == "a & b <c>"]
    assert [float(row["recall"]) for row in first] == pytest.approx([1 / 3, 2 / 3, 1], rel=1e-5)
    drawn = ElementTree.fromstring(files["precision_recall.svg"].decode())
    texts = ["".join(t.itertext()) for t in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "a & b <c> 1.0000" in texts and "and 18 more classes" in texts
    lines = {t.text: t.attrib["style"] for t in drawn.iter("{http://www.w3.org/2000/svg}text") if "style" in t.attrib}
    assert [f"fill:{PALETTE[number % len(PALETTE)]}" for number in (0, 7)] == [
        next(style for label, style in lines.items() if label and label.startswith(f"{name} "))
        for name in ("a & b <c>", "7")
    ], "the colours that boxes of a class have in pictures"
    assert quality_files({}) == {} and quality_files({"found.map": []}) == {}


SPEC = """
input image: float[16, 16, 3]
target things: box(2)[4]
heads = image -> conv(4, 3, stride=8, pad=same) -> detect(2, anchors=[8x8, 12x10])
output found = heads -> nms(score=0.01)
train {
  data    = boxes("boxes.csv", batch=2)
  valid   = boxes("boxes.csv")
  loss    = [heads, things] -> detection
  metrics = [[found, things] -> mean_average_precision, [found, things] -> coco_map]
  epochs  = 2
}
"""


def test_every_class_of_a_chart_has_a_colour_of_its_own() -> None:
    line = np.linspace(0, 1, 3)
    curves = [Curve(f"class {number}", line, line, number) for number in (0, 20, 40, 2, 17, 1)]
    drawn = squares([Square("a", "b", "c", curves)])
    colours = re.findall(r'style="fill:(#[0-9a-f]{6})">class', drawn)
    assert len(set(colours)) == 6 and colours[0] == PALETTE[0] and colours[4] == PALETTE[17]


def test_as_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A run leaves the curves of its validation; `evaluate` prints the table, and writes the same curves."""
    for name in "abc":
        Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(tmp_path / f"{name}.png")
    lines = [f"{n}.png,1,1,9,{y},{kind}" for n, y, kind in (("a", 9, "cell"), ("b", 12, "dirt"), ("c", 8, "cell"))]
    (tmp_path / "boxes.csv").write_text("\n".join(["image,left,top,right,bottom,label", *lines]))
    (tmp_path / "net.dag").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    assert app.run(["run", "net.dag"]) == 0
    left = {path.name: path.read_bytes() for path in (tmp_path / "runs" / "net-1").glob("precision_recall.*")}
    assert sorted(left) == ["precision_recall.csv", "precision_recall.svg"]
    assert b"found.map_50" in left["precision_recall.svg"] and b"cell" in left["precision_recall.svg"]
    capsys.readouterr()
    assert app.run(["evaluate", "net.dag", "--score", "0.02", "-o", "quality"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "found.map_50" in said and any(line.split()[:2] == ["cell", "2"] for line in said)
    assert {path.name: path.read_bytes() for path in (tmp_path / "quality").iterdir()} == left
    assert app.run(["evaluate", "net.dag", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    aps = [row["ap"] for row in told["classes"]["found.map_50"].values()]
    assert np.mean(aps) == pytest.approx(told["metrics"]["found.map_50"], abs=1e-12)
    assert set(told["classes"]["found.map"]) == {"cell", "dirt"}


def test_no_curves_without_boxes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "input x: float[2]\ntarget y: float[1]\noutput z = x -> dense(1)\ntrain { loss = [z, y] -> mse }"
    (tmp_path / "net.dag").write_text(text)
    graphdsl.compile(tmp_path / "net.dag").save(tmp_path / "net.safetensors")
    np.savez(tmp_path / "some.npz", x=np.zeros((3, 2), np.float32), y=np.zeros((3, 1), np.float32))
    words = [str(tmp_path / "net.safetensors"), str(tmp_path / "some.npz")]
    assert app.run(["evaluate", *words]) == 0
    assert app.run(["evaluate", *words, "-o", str(tmp_path / "quality")]) == 1
    assert "E0519" in capsys.readouterr().err and not (tmp_path / "quality").exists()
