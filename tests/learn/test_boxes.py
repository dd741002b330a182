"""Average precision against those who defined it: pycocotools, published numbers, and a loop that anyone can follow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphdsl
from graphdsl.ir import Array
from graphdsl.learn import METRICS, Pair, Reading, average_precision
from graphdsl.ops import overlaps
from tests.support.shared import DATA, needs

CASE = DATA / "conformance" / "map_voc_case1"
EMPTY = np.zeros((0, 6)), np.zeros((0, 5))


def metric(name: str, **settings: Any) -> Any:
    return METRICS[name].make(**settings)


def judged(name: str, pictures: list[tuple[Array, Array]], **settings: Any) -> float:
    """Two pictures at a time, as an epoch has it, padded with rows of 0."""
    made = metric(name, **settings)
    seen = [made.observe(batch) for batch in batches(pictures)]
    return float(made.value(made.merge(seen)))


def batches(pictures: list[tuple[Array, Array]]) -> Iterator[Pair]:
    for start in range(0, len(pictures), 2):
        part = pictures[start : start + 2]
        yield Pair(Reading.BOXES, stacked([found for found, _ in part]), stacked([true for _, true in part]))


def stacked(rows: list[Array]) -> Array:
    longest = max(len(r) for r in rows) + 1
    return np.stack([np.pad(r, ((0, longest - len(r)), (0, 0))) for r in rows])


def scenes(count: int, seed: int = 0) -> list[tuple[Array, Array]]:
    """Pictures with up to 12 true boxes of 4 classes, and up to 60 that were found: near, doubled, wrong; equal scores
    and pictures without any of either."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        true = np.column_stack(
            [random.random((n := int(random.integers(0, 13)), 2)), random.uniform(0.05, 0.3, (n, 2))]
        )
        true = np.column_stack([true, random.integers(0, 4, n)]) if n else EMPTY[1]
        near = np.repeat(true, random.integers(0, 4, n), axis=0)
        near[:, :4] *= random.normal(1, 0.08, (len(near), 4))
        wrong = np.column_stack([random.random((int(random.integers(0, 20)), 4)) * 0.3 + 0.01])
        wrong = np.column_stack([wrong, random.integers(0, 4, len(wrong))])
        boxes = np.concatenate([near, wrong])
        scores = np.round(random.uniform(0.05, 1, len(boxes)), 2)
        found = np.column_stack([boxes[:, :4], scores, boxes[:, 4]])
        made.append((found[np.argsort(-scores, kind="stable")], true))
    return made


def test_coco_map_equals_pycocotools() -> None:
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    pictures = scenes(200)
    assert sum(len(found) for found, _ in pictures) > 3000
    with redirect_stdout(StringIO()):
        truth = coco.COCO()
        truth.dataset = annotations(pictures)
        truth.createIndex()
        judge = evaluation.COCOeval(truth, truth.loadRes(results(pictures)), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    assert judged("coco_map", pictures) == pytest.approx(judge.stats[0], abs=1e-6)
    assert judged("mean_average_precision", pictures, rule="coco") == pytest.approx(judge.stats[1], abs=1e-6)
    assert judged("mean_average_precision", pictures, rule="coco", iou=0.75) == pytest.approx(judge.stats[2], abs=1e-6)
    of_class = judge.eval["precision"][0, :, 2, 0, 2].mean()
    assert judged("mean_average_precision", pictures, rule="coco", of=2) == pytest.approx(of_class, abs=1e-6)


ONE = np.array([[0.5, 0.5, 0.25, 0.25, 0.75, 0]])
TRUE = ONE[:, [0, 1, 2, 3, 5]]
OTHER, ASIDE = np.eye(6)[5], np.eye(6)[0] / 2
ODD = {
    "nothing found": [(EMPTY[0], TRUE), EMPTY],
    "nothing true in one picture": [(ONE, EMPTY[1]), (ONE, TRUE)],
    "found in a class without boxes": [(np.vstack([ONE, ONE + OTHER]), TRUE)],
    "one box found thrice, with one score": [(np.repeat(ONE, 3, 0), TRUE)],
    "two true boxes in one place": [(np.repeat(ONE, 2, 0), np.repeat(TRUE, 2, 0))],
    "one score in every picture": [(ONE, TRUE), (ONE, EMPTY[1]), (ONE, TRUE), (ONE + ASIDE, TRUE)],
    "a share of exactly one half": [(ONE * [1, 1, 0.5, 1, 1, 1], TRUE)],
}


@pytest.mark.parametrize("pictures", ODD.values(), ids=ODD)
def test_coco_map_equals_pycocotools_where_little_is_there(pictures: list[tuple[Array, Array]]) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    with redirect_stdout(StringIO()):
        truth = coco.COCO()
        truth.dataset = annotations(pictures)
        truth.createIndex()
        rows = results(pictures)
        found = truth.loadRes(rows) if rows else coco.COCO()
        judge = evaluation.COCOeval(truth, found, "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    assert judged("coco_map", pictures) == pytest.approx(judge.stats[0], abs=1e-6)
    assert judged("mean_average_precision", pictures, rule="coco") == pytest.approx(judge.stats[1], abs=1e-6)


def cornered(box: Array) -> list[float]:
    return [float(box[0] - box[2] / 2), float(box[1] - box[3] / 2), float(box[2]), float(box[3])]


def annotations(pictures: list[tuple[Array, Array]]) -> dict[str, Any]:
    rows = [(i, row) for i, (_, true) in enumerate(pictures) for row in true]
    boxes = [
        {"id": n + 1, "image_id": i, "category_id": int(r[4]), "bbox": cornered(r), "area": r[2] * r[3], "iscrowd": 0}
        for n, (i, r) in enumerate(rows)
    ]
    images = [{"id": i} for i in range(len(pictures))]
    return {"info": {}, "images": images, "categories": [{"id": c} for c in range(4)], "annotations": boxes}


def results(pictures: list[tuple[Array, Array]]) -> list[dict[str, Any]]:
    rows = [(i, row) for i, (found, _) in enumerate(pictures) for row in found]
    return [{"image_id": i, "category_id": int(r[5]), "bbox": cornered(r), "score": float(r[4])} for i, r in rows]


@needs("conformance/map_voc_case1")
@pytest.mark.parametrize(("rule", "name"), [("voc07", "eleven_point"), ("voc12", "every_point")])
def test_voc_numbers_that_were_published(rule: str, name: str) -> None:
    """Widths there count pixels from the first to the last, which is one more than the difference."""
    pictures = []
    for file in sorted((CASE / "gts").glob("*.txt")):
        true = [[*box(line.split()[1:]), 0] for line in file.read_text().splitlines()]
        lines = [line.split()[1:] for line in (CASE / "dets" / file.name).read_text().splitlines()]
        found = [[*box(line[1:]), float(line[0]), 0] for line in lines]
        pictures.append((np.array(found).reshape(-1, 6), np.array(true).reshape(-1, 5)))
    expected = json.loads((CASE / "expected.json").read_text())[name]
    assert len(expected) == 4
    for threshold, wanted in expected.items():
        got = judged("mean_average_precision", pictures, rule=rule, iou=float(threshold))
        assert got == pytest.approx(wanted, abs=1e-9)


def box(words: list[str]) -> tuple[float, float, float, float]:
    left, top, width, height = map(float, words)
    return left + (width + 1) / 2, top + (height + 1) / 2, width + 1, height + 1


def test_voc_rules_against_a_loop() -> None:
    for seed in range(5):
        pictures = scenes(12, seed)
        for rule in ("voc07", "voc12"):
            wanted = [x for c in range(4) if (x := by_hand(pictures, c, rule)) is not None]
            assert judged("mean_average_precision", pictures, rule=rule) == pytest.approx(np.mean(wanted), abs=1e-12)


def by_hand(pictures: list[tuple[Array, Array]], c: int, rule: str) -> float | None:
    """As the devkits do it: all boxes of a class by score, each true box once."""
    found = [(-r[4], i, k) for i, (f, _) in enumerate(pictures) for k, r in enumerate(f) if r[5] == c]
    true = [[r for r in t if r[4] == c] for _, t in pictures]
    used = [[False] * len(t) for t in true]
    many, right, points = sum(map(len, true)), 0, []
    for seen, (_, i, k) in enumerate(sorted(found), 1):
        over = [iou(pictures[i][0][k], t) for t in true[i]]
        best = int(np.argmax(over)) if over else -1
        if over and over[best] >= 0.5 and not used[i][best]:
            used[i][best] = True
            right += 1
        points.append((right / many if many else 0, right / seen))
    if not many:
        return None
    above = lambda r: max((p for q, p in points if q >= r), default=0.0)  # noqa: E731
    if rule == "voc07":
        return sum(above(k * 0.1) for k in range(11)) / 11
    recalls = sorted({q for q, _ in points})
    return sum((b - a) * above(b) for a, b in zip([0.0, *recalls], recalls, strict=False))


def iou(a: Array, b: Array) -> float:
    sides = []
    for axis in (0, 1):
        low = max(a[axis] - a[axis + 2] / 2, b[axis] - b[axis + 2] / 2)
        high = min(a[axis] + a[axis + 2] / 2, b[axis] + b[axis + 2] / 2)
        sides.append(max(high - low, 0))
    common = sides[0] * sides[1]
    union = a[2] * a[3] + b[2] * b[3] - common
    return float(common / union) if union > 0 else 0.0


def test_overlaps_against_a_loop() -> None:
    random = np.random.default_rng(0)
    a, b = random.random((9, 4)), random.random((7, 4))
    a[0], b[0], a[1, 2], b[1] = 0, 0, 0, a[2]
    np.testing.assert_allclose(overlaps(a, b), [[iou(x, y) for y in b] for x in a], rtol=1e-12)
    assert overlaps(np.zeros((0, 4)), b).shape == (0, 7)


def test_nothing_to_judge_by() -> None:
    one = np.array([[0.5, 0.5, 0.2, 0.2, 0.9, 0]])
    assert np.isnan(judged("coco_map", [EMPTY, (one, EMPTY[1])]))
    assert judged("coco_map", [(EMPTY[0], one[:, [0, 1, 2, 3, 5]])]) == 0
    assert judged("coco_map", [(one, one[:, [0, 1, 2, 3, 5]])]) == pytest.approx(1)
    assert np.isnan(average_precision(np.zeros(0), np.zeros(0), 0, "voc12"))


SPEC = """
input image: float[8, 8, 3]
target things: box(2)[3]
target zero:   float[7]
heads = image -> conv(4, 3, stride=4, pad=same) -> detect(2, anchors=[4x4])
output found = heads -> nms(score=0.01, max=3)
train {
  loss = [heads -> reduce_mean(0), zero] -> mse
  metrics = [[found, things] -> mean_average_precision, [found, things] -> coco_map]
}
"""


def test_a_spec_is_judged(tmp_path: Path) -> None:
    """The boxes that a network finds, given as the truth, are all right."""
    (tmp_path / "boxes.dag").write_text(SPEC)
    model = graphdsl.compile(tmp_path / "boxes.dag")
    pictures = np.random.default_rng(0).random((6, 8, 8, 3)).astype(np.float32)
    found = model.predict(pictures)["found"]
    best = found[..., [0, 1, 2, 3, 5]]
    numbers = model.evaluate(pictures, {"things": best, "zero": np.zeros((6, 7), np.float32)})
    assert set(numbers) == {"loss", "found.map_50", "found.map"}
    assert numbers["found.map_50"] == pytest.approx(1) and numbers["found.map"] == pytest.approx(1)
