"""Non-maximum suppression against the plain way to write it: in C for every processor, and on a simulated GPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from graphdsl.backends.cpu import nms as cpu
from graphdsl.backends.cpu.library import BUILT, available, load
from graphdsl.backends.cuda import nms as cuda
from graphdsl.ir import Array
from tests.support.cuda.checks import SCHEDULES, needs_compiler
from tests.support.cuda.simulated import SimulatedDevice

Nms = Callable[..., Array]

MACHINES = [
    *(pytest.param(("cpu", isa), id=isa) for isa in available() if isa not in BUILT),
    *(pytest.param(("gpu", seed), id=f"gpu-{seed}", marks=needs_compiler) for seed in SCHEDULES),
]


@pytest.fixture(params=MACHINES)
def nms(request: pytest.FixtureRequest) -> Nms:
    kind, which = request.param
    if kind == "cpu":
        return partial(cpu.nms, library=load(which))
    return partial(cuda.nms, device=SimulatedDevice(seed=which))


def plain(boxes: Array, scores: Array, classes: Array, overlap: float, score: float, most: int) -> list[int]:
    """One box after another, in float32 as in C."""
    order = [int(i) for i in np.argsort(-scores, kind="stable") if scores[i] >= score]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    for i in order:
        others = [k for k in kept if classes[k] == classes[i]]
        wide = np.minimum(boxes[others, 2], boxes[i, 2]) - np.maximum(boxes[others, 0], boxes[i, 0])
        high = np.minimum(boxes[others, 3], boxes[i, 3]) - np.maximum(boxes[others, 1], boxes[i, 1])
        both = np.maximum(wide, 0) * np.maximum(high, 0)
        if len(kept) < most and not (both > np.float32(overlap) * (areas[others] + areas[i] - both)).any():
            kept.append(i)
    return kept


def some(n: int, seed: int = 0) -> tuple[Array, Array]:
    """Boxes on a grid, so that no overlap is within a rounding of a threshold that is no fraction of small numbers."""
    generator = np.random.default_rng((n, seed))
    corners = generator.integers(0, 60, (n, 2))
    boxes = np.concatenate([corners, corners + generator.integers(0, 25, (n, 2))], axis=1).astype(np.float32)
    return boxes, generator.integers(-5, 40, n).astype(np.float32) / 8


@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 33, 100, 600])
@pytest.mark.parametrize("overlap, score, most", [(0.5123, -9.0, 10_000), (0.3017, 1.0, 20), (0.0, 0.0, 10_000)])
def test_one_class(nms: Nms, n: int, overlap: float, score: float, most: int) -> None:
    boxes, scores = some(n)
    found = nms(boxes, scores, overlap=overlap, score=score, most=most)
    assert found.tolist() == plain(boxes, scores, np.zeros(n), overlap, score, most)


@pytest.mark.parametrize("count", [2, 7, 80])
def test_classes_leave_each_other_alone(nms: Nms, count: int) -> None:
    boxes, scores = some(500)
    classes = np.random.default_rng(1).integers(0, count, 500)
    found = nms(boxes, scores, classes, overlap=0.4123)
    assert found.tolist() == plain(boxes, scores, classes, 0.4123, 0.0, 500)


def test_equal_boxes_with_equal_scores(nms: Nms) -> None:
    boxes = np.tile(np.array([[0, 0, 2, 2]], np.float32), (40, 1))
    assert nms(boxes, np.ones(40)).tolist() == [0]
    assert nms(boxes, np.ones(40), np.arange(40) % 3).tolist() == [0, 1, 2]


def test_minus_zero_is_zero(nms: Nms) -> None:
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 1]], np.float32)
    assert nms(boxes, np.array([-0.0, 0.0])).tolist() == [0]


def test_what_is_no_number(nms: Nms) -> None:
    boxes = np.array([[0, 0, 2, 2], [0, np.nan, 2, 2], [0, 0, 2, 2]], np.float32)
    assert nms(boxes, np.array([0.9, 0.8, np.nan])).tolist() == [0, 1]


def test_boxes_without_area(nms: Nms) -> None:
    boxes = np.zeros((3, 4), np.float32)
    assert nms(boxes, np.array([1.0, 3.0, 2.0])).tolist() == [1, 2, 0]
