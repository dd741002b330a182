"""The operator `nms` everywhere it runs, against loops in float64 that anyone can follow, and against ONNX's own tests.

Boxes stand on a grid and scores have few digits, so ties are many, and float32 holds every share exactly enough.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import exp, isnan, nan
from pathlib import Path

import numpy as np
import pytest

from graphdsl.backends.cpu.library import available
from graphdsl.ir import Array
from graphdsl.ops import Nms
from tests.support.cuda.checks import SCHEDULES, needs_compiler
from tests.support.cuda.kernels import computed
from tests.support.kernels import compute
from tests.support.shared import DATA, needs

Run = Callable[[Nms, Array], Array]

MACHINES = [
    pytest.param(("reference", None), id="reference"),
    *(pytest.param(("cpu", isa), id=isa) for isa in available()),
    pytest.param(("gpu", SCHEDULES[-1]), id="gpu", marks=needs_compiler),
]


@pytest.fixture(params=MACHINES)
def run(request: pytest.FixtureRequest) -> Run:
    kind, which = request.param
    if kind == "reference":
        return lambda op, x: op.reference(x)
    on = partial(compute, which) if kind == "cpu" else partial(computed, seed=which)
    return lambda op, x: on(op, x.astype(np.float32))[0]


def by_hand(op: Nms, sample: Array) -> list[list[float]]:
    """The rows that stay: the best, then the best of those that are left, one at a time."""
    left = []
    for i, row in enumerate(sample.tolist()):
        told = [row[4] * p for p in row[5:]]
        known = [-1.0 if isnan(p) else p for p in told]
        classes = range(len(told)) if op.several else [known.index(max(known))]
        left += [(told[c], i, c) for c in classes if told[c] >= op.score]
    rows: list[list[float]] = []
    while left and len(rows) < op.most:
        best = max(left, key=lambda one: (one[0], -one[1], -one[2]))
        rows.append([*sample[best[1], :4].tolist(), best[0], best[2]])
        beside = [(after(op, best, other, sample), *other[1:]) for other in left if other is not best]
        left = [other for other in beside if other[0] >= op.score]
    return rows


def after(op: Nms, best: tuple[float, int, int], other: tuple[float, int, int], sample: Array) -> float:
    """The score of a candidate once a better one was taken; below 0: it is gone."""
    share = iou(sample[best[1]], sample[other[1]])
    if best[2] != other[2] and not op.together:
        return other[0]
    if op.soft == "gaussian":
        return other[0] * exp(-share * share / op.sigma)
    if share <= op.overlap:
        return other[0]
    return other[0] * (1 - share) if op.soft == "linear" else -1.0


def iou(a: Array, b: Array) -> float:
    if np.isnan([*a[:4], *b[:4]]).any():
        return 0.0
    wide, high = (
        min(a[k] + a[k + 2] / 2, b[k] + b[k + 2] / 2) - max(a[k] - a[k + 2] / 2, b[k] - b[k + 2] / 2) for k in (0, 1)
    )
    both = max(wide, 0) * max(high, 0)
    union = a[2] * a[3] + b[2] * b[3] - both
    return float(both / union) if union > 0 else 0.0


def scene(seed: int, ties: bool) -> Array:
    """Up to 40 candidates of up to 4 classes: near and equal boxes, equal scores, none, boxes without area, NaN.

    ties: scores of few digits. Once soft suppression has multiplied them, what is equal depends on rounding.
    """
    random = np.random.default_rng(seed)
    n, classes = int(random.integers(0, 41)) if seed else 0, int(random.integers(1, 5))
    boxes = np.concatenate([random.integers(8, 24, (n, 2)), random.integers(0, 9, (n, 2)) * 2], 1) / 32
    boxes[n // 2 :: 3] = boxes[: len(boxes[n // 2 :: 3])]
    scores = random.integers(0, 17, (n, 1 + classes)) / 16 if ties else random.random((n, 1 + classes))
    x = np.concatenate([boxes, scores], 1)
    if seed % 4 == 0:
        x.ravel()[random.integers(0, max(x.size, 1), 3 if x.size else 0)] = nan
    return x


HARD = [
    Nms(0.25, 0.4513, 20),
    Nms(0.0, 0.0, 60, several=True),
    Nms(0.25, 0.7013, 3, several=True),
    Nms(0.1, 0.3013, 60, together=True),
    Nms(0.5, 1.0, 60),
]
SOFTLY = [
    Nms(0.1, 0.3013, 60, soft="linear"),
    Nms(0.05, 0.45, 60, several=True, soft="gaussian"),
    Nms(0.2, 0.45, 7, together=True, soft="gaussian", sigma=0.3),
]


@pytest.mark.parametrize("op", HARD + SOFTLY, ids=str)
def test_many_scenes(run: Run, op: Nms) -> None:
    kept = 0
    for seed in range(40):
        sample = scene(seed, ties=op.soft is None)
        expected = np.zeros((op.most, 6))
        rows = by_hand(op, sample)
        expected[: len(rows)] = np.reshape(rows, (-1, 6))
        np.testing.assert_allclose(run(op, sample[None])[0], expected, rtol=3e-6, err_msg=f"scene {seed}")
        kept += len(rows)
    assert kept > 100


def one(*rows: tuple[float, ...]) -> Array:
    """One sample of candidates of one class: centre x, centre y, width, height, score."""
    return np.array([[*row, 1.0] for row in rows])[None]


def test_the_rule_of_the_lectures(run: Run) -> None:
    """p below 0.6 is dropped, 0.6 is not; the best stays, and what shares much with it goes, class by class."""
    x = np.array([[[0.5, 0.5, 0.4, 0.4, p, *kind] for p, kind in zip((0.8, 0.9, 0.6, 0.5999), CLASSES, strict=True)]])
    found = run(Nms(0.6, 0.5, 4), x)[0]
    np.testing.assert_allclose(found[:, 4:], [[0.9, 0], [0.6, 1], [0, 0], [0, 0]], rtol=1e-6)


CLASSES = [(1, 0), (1, 0), (0, 1), (0, 1)]


@pytest.mark.parametrize(("overlap", "stay"), [(0.5, 2), (0.4999, 1), (0.5001, 2)])
def test_a_share_of_exactly_the_threshold_is_no_reason_to_go(run: Run, overlap: float, stay: int) -> None:
    """As in ONNX and torchvision; where it should be, a little less is written. The second box is half the first."""
    x = one((0.5, 0.5, 0.5, 0.5, 0.9), (0.375, 0.5, 0.25, 0.5, 0.8))
    assert iou(*x[0]) == 0.5
    assert (run(Nms(0.25, overlap, 5), x)[0][:, 4] > 0).sum() == stay


def test_the_first_of_identical_boxes_stays(run: Run) -> None:
    x = one(*[(0.5, 0.5, 0.2, 0.2, 0.75)] * 9)
    assert (run(Nms(0.25, 0.5, 9), x)[0][:, 4] > 0).sum() == 1
    assert (run(Nms(0.25, 1.0, 9), x)[0][:, 4] > 0).sum() == 9


def test_soft_suppression_as_it_was_published(run: Run) -> None:
    """Of three boxes the second shares half of the first, the third nothing."""
    x = one((0.5, 0.5, 0.5, 0.5, 0.8), (0.375, 0.5, 0.25, 0.5, 0.6), (0.1, 0.1, 0.1, 0.1, 0.5))
    linear = run(Nms(0.1, 0.4, 4, soft="linear"), x)[0]
    np.testing.assert_allclose(linear[:, 4], [0.8, 0.5, 0.3, 0], rtol=1e-6)
    np.testing.assert_allclose(linear[2, :4], x[0, 1, :4])
    gaussian = run(Nms(0.1, 0.4, 4, soft="gaussian", sigma=0.5), x)[0]
    np.testing.assert_allclose(gaussian[:, 4], [0.8, 0.5, 0.6 * exp(-0.5), 0], rtol=1e-6)
    dropped = run(Nms(0.37, 0.4, 4, soft="gaussian"), x)[0]
    np.testing.assert_allclose(dropped[:, 4], [0.8, 0.5, 0, 0], rtol=1e-6)


def test_soft_suppression_of_very_many(run: Run) -> None:
    """More candidates than a block of a GPU has threads."""
    random = np.random.default_rng(0)
    x = one(*((*random.uniform(0.2, 0.8, 2), 0.2, 0.2, 0.05 + s / 4096) for s in random.permutation(2500)))
    op = Nms(0.3, 0.45, 12, soft="gaussian")
    np.testing.assert_allclose(run(op, x)[0], by_hand(op, x[0]), rtol=1e-5)


# --- ONNX's node tests -----------------------------------------------------------------------------------------------

FOLDER = DATA / "conformance" / "onnx_node"
NODES = ("center_point_box_format", "identical_boxes", "single_box", "suppress_by_IOU_and_scores", "two_classes")


@needs("conformance/onnx_node")
@pytest.mark.parametrize("name", NODES)
def test_onnx(run: Run, name: str) -> None:
    """What ONNX selects of each class, as rows of batch, class, box. There scores must be above the threshold."""
    folder = FOLDER / f"test_nonmaxsuppression_{name}" / "test_data_set_0"
    boxes, scores, most, overlap, score = (tensor(folder / f"input_{k}.pb") for k in range(5))
    centred = boxes if name.startswith("center") else from_corners(boxes)
    found = []
    for batch in range(scores.shape[0]):
        for c in range(scores.shape[1]):
            x = np.column_stack([centred[batch], scores[batch, c], np.ones(len(centred[batch]))])
            rows = run(Nms(float(np.nextafter(score[0], 1)), float(overlap[0]), int(most[0])), x[None])[0]
            found += [[batch, c, which(row, x)] for row in rows if row[4] > 0]
    assert found == tensor(folder / "output_0.pb").tolist()


def which(row: Array, x: Array) -> int:
    """The first candidate of this box and score."""
    return int(np.isclose(x[:, :5], row[:5]).all(axis=1).argmax())


def from_corners(boxes: Array) -> Array:
    """y, x of two opposite corners as centre x, centre y, width, height."""
    low, high = np.minimum(boxes[..., :2], boxes[..., 2:]), np.maximum(boxes[..., :2], boxes[..., 2:])
    return np.asarray(np.concatenate([(low + high) / 2, high - low], -1)[..., [1, 0, 3, 2]])


def tensor(path: Path) -> Array:
    onnx = pytest.importorskip("onnx")
    proto = onnx.TensorProto()
    proto.ParseFromString(path.read_bytes())
    return np.asarray(onnx.numpy_helper.to_array(proto))
