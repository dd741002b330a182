"""The loss of detectors: who is to show what, how boxes overlap, and that the slope is the loss's."""

from __future__ import annotations

from math import atan, pi
from typing import Any

import numpy as np
import pytest

from graphdsl.ir import BATCH, LAYERS, LOSSES, Array, Builder, DType, Role, TensorType, TypeRuleError, boxes
from graphdsl.ops import AssignBoxes
from graphdsl.passes import Mode, gradient, simplify, specialise
from tests.support.evaluate import evaluate

RANDOM = np.random.default_rng(3)
ANCHORS = [(12.0, 10.0), (30.0, 40.0)], [(6.0, 20.0)]


def head(b: Builder, name: str, side: int, anchors: Any, classes: int = 2) -> Any:
    raw = b.input(name, TensorType((BATCH, side, side, len(anchors) * (5 + classes)), DType.FLOAT64))
    return LAYERS["decode_boxes"].make(b, raw, classes, anchors, picture=64)


def judged(arrays: dict[str, Array], slope: str = "large", **settings: Any) -> tuple[float, Array]:
    """The loss of two heads and true boxes, and its gradient by what a head says."""
    b = Builder()
    heads = [head(b, "large", 2, ANCHORS[0]), head(b, "small", 4, ANCHORS[1])]
    true = b.input("true", TensorType((BATCH, 3, 5), DType.FLOAT64, boxes(2)))
    b.result("total", Role.LOSS, LOSSES["detection"].make(b, (*heads, true), **settings))
    graph = specialise(b.finish(), Mode.TRAINING)
    made = evaluate(gradient(simplify(graph), [slope]), arrays)
    return float(made["loss", "total"]), made["gradient", slope]


def scene() -> dict[str, Array]:
    true = np.array([[0.3, 0.2, 0.5, 0.6, 1], [0.8, 0.6, 0.1, 0.3, 0], [0, 0, 0, 0, 0]])
    return {
        "large": RANDOM.normal(size=(2, 2, 2, 14)),
        "small": RANDOM.normal(size=(2, 4, 4, 7)),
        "true": np.stack([true, np.zeros((3, 5))]),
    }


@pytest.mark.parametrize("form", ["iou", "giou", "diou", "ciou"])
@pytest.mark.parametrize("slope", ["large", "small"])
def test_the_slope_is_that_of_the_loss(form: str, slope: str) -> None:
    arrays = scene()
    _, found = judged(arrays, slope, form=form, alike=0.3)
    along = RANDOM.normal(size=found.shape)
    ends = [
        judged(arrays | {slope: arrays[slope] + sign * 1e-6 * along}, slope, form=form, alike=0.3) for sign in (1, -1)
    ]
    assert (ends[0][0] - ends[1][0]) / 2e-6 == pytest.approx(float((found * along).sum()), rel=1e-5, abs=1e-7)


def test_what_fills_up_pictures_does_not_count() -> None:
    """Whatever stands in rows without area, NaN too, changes neither loss nor slope."""
    arrays = scene()
    other = arrays["true"].copy()
    other[0, 2], other[1] = [np.nan, 7, 0, 3, np.nan], [np.nan, np.nan, 0, 0, 5]
    for one, two in zip(judged(arrays), judged(arrays | {"true": other}), strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_parts() -> None:
    """One cell, one anchor, one box, by hand."""
    b = Builder()
    said = head(b, "x", 1, [(16.0, 32.0)])
    true = b.input("true", TensorType((BATCH, 1, 5), DType.FLOAT64, boxes(2)))
    weights = {"box": 2.0, "object": 3.0, "label": 5.0, "empty": 7.0, "form": "iou"}
    b.result("total", Role.LOSS, LOSSES["detection"].make(b, (said, true), **weights))
    graph = specialise(b.finish(), Mode.TRAINING)
    x = np.zeros((2, 1, 1, 7))
    x[0, ..., 4:] = 1.0, -1.0, 2.0
    true_box = np.array([[[0.5, 0.5, 0.25, 0.25, 1]], [[0, 0, 0, 0, 0]]])
    sure = 1 / (1 + np.exp(-x[0, 0, 0, 4:]))
    shown = 2 * (1 - 0.5) - 3 * np.log(sure[0]) - 5 * (np.log(1 - sure[1]) + np.log(sure[2]))
    nothing = -7 * np.log(0.5)
    got = float(evaluate(graph, {"x": x, "true": true_box})["loss", "total"])
    assert got == pytest.approx((shown + nothing) / 2, rel=1e-6)


def assigned(true: list[list[float]], found: Array | None = None, **settings: Any) -> tuple[Array, Array]:
    grids = {"rows": (2, 4), "columns": (2, 4), "anchors": (((0.5, 0.5), (0.2, 0.8)), ((0.1, 0.1),))}
    op = AssignBoxes(**(grids | {"alike": 1.0, "ignore": 0.6} | settings))
    found = np.zeros((1, 24, 7)) if found is None else found
    goal, asked = op.reference(found, np.array([true]))
    return goal[0], asked[0]


def test_the_cell_and_the_anchor() -> None:
    """The middle says the cell, the shape the anchor, whichever head it is in."""
    goal, asked = assigned([[0.7, 0.2, 0.5, 0.4, 1], [0.1, 0.9, 0.12, 0.1, 0], [0.1, 0.9, 0, 0.1, 0]])
    large, small = 2 * (0 * 2 + 1) + 0, 8 + 3 * 4 + 0
    assert asked[:, 0].nonzero()[0].tolist() == [large, small]
    np.testing.assert_array_equal(goal[large], [0.7, 0.2, 0.5, 0.4, 1, 0, 1])
    np.testing.assert_array_equal(goal[small], [0.1, 0.9, 0.12, 0.1, 1, 1, 0])
    assert (asked.sum(axis=1) == 1).all()


def test_several_boxes_in_one_cell() -> None:
    """They go to different anchors: the second box gets its next best one."""
    goal, asked = assigned([[0.7, 0.2, 0.5, 0.4, 1], [0.72, 0.22, 0.5, 0.5, 0]])
    assert asked[:, 0].nonzero()[0].tolist() == [2, 3]
    np.testing.assert_array_equal(goal[2:4, :4], [[0.7, 0.2, 0.5, 0.4], [0.72, 0.22, 0.5, 0.5]])


def test_what_overlaps_well_need_not_be_empty() -> None:
    found = np.zeros((1, 24, 7))
    found[0, 5, :4] = 0.7, 0.2, 0.5, 0.35
    _, asked = assigned([[0.7, 0.2, 0.5, 0.4, 1]], found)
    assert asked[5].tolist() == [0, 0] and asked[2].tolist() == [1, 0]
    _, asked = assigned([[0.7, 0.2, 0.5, 0.4, 1]], found, ignore=0.9)
    assert asked[5].tolist() == [0, 1]


def test_anchors_that_are_alike_show_it_too() -> None:
    _, asked = assigned([[0.7, 0.2, 0.5, 0.4, 1]], alike=0.28)
    assert asked[:, 0].nonzero()[0].tolist() == [2, 3]


@pytest.mark.parametrize("form", ["iou", "giou", "diou", "ciou"])
def test_overlaps_by_hand(form: str) -> None:
    first = np.concatenate([RANDOM.uniform(0, 1, (40, 2)), RANDOM.uniform(0.05, 0.8, (40, 2))], 1)
    second = np.concatenate([RANDOM.uniform(0, 1, (40, 2)), RANDOM.uniform(0.05, 0.8, (40, 2))], 1)
    b = Builder()
    a, t = (b.input(name, TensorType((BATCH, 40, 4), DType.FLOAT64)) for name in ("a", "t"))
    b.result("y", Role.OUTPUT, LAYERS["box_overlap"].make(b, a, t, form=form))
    got = evaluate(b.finish(), {"a": first[None], "t": second[None]})["output", "y"]
    wanted = [shared(x, y, form) for x, y in zip(first, second, strict=True)]
    np.testing.assert_allclose(got[0, :, 0], wanted, rtol=1e-6, atol=1e-8)


def shared(a: Array, t: Array, form: str) -> float:
    """One pair, as the papers say it."""
    corners = [(c[0] - c[2] / 2, c[1] - c[3] / 2, c[0] + c[2] / 2, c[1] + c[3] / 2) for c in (a, t)]
    (al, at, ar, ab), (tl, tt, tr, tb) = corners
    common = max(min(ar, tr) - max(al, tl), 0) * max(min(ab, tb) - max(at, tt), 0)
    union = a[2] * a[3] + t[2] * t[3] - common
    wide, high = max(ar, tr) - min(al, tl), max(ab, tb) - min(at, tt)
    iou = common / union
    if form == "giou":
        return float(iou - (wide * high - union) / (wide * high))
    apart = ((a[0] - t[0]) ** 2 + (a[1] - t[1]) ** 2) / (wide**2 + high**2)
    skew = 4 / pi**2 * (atan(t[2] / t[3]) - atan(a[2] / a[3])) ** 2
    trade = skew / (1 - iou + skew)
    return float({"iou": iou, "diou": iou - apart, "ciou": iou - apart - trade * skew}[form])


@pytest.mark.parametrize(
    ("classes", "kind", "part"),
    [(3, boxes(2), "the head knows 3 classes"), (2, boxes(1), "the head knows 2"), (2, None, "the last is the target")],
)
def test_what_does_not_fit(classes: int, kind: Any, part: str) -> None:
    b = Builder()
    said = head(b, "x", 1, [(16.0, 32.0)], classes)
    made = TensorType((BATCH, 4, 5), DType.FLOAT64)
    true = b.input("true", made if kind is None else made.with_kind(kind))
    with pytest.raises(TypeRuleError, match=part):
        LOSSES["detection"].make(b, (said, true))


def test_only_heads_are_judged() -> None:
    b = Builder()
    plain = b.input("x", TensorType((BATCH, 8, 7), DType.FLOAT64))
    true = b.input("true", TensorType((BATCH, 4, 5), DType.FLOAT64, boxes(2)))
    with pytest.raises(TypeRuleError, match="needs what `detect` gives"):
        LOSSES["detection"].make(b, (plain, true))


def test_the_label_is_a_block_for_each_anchor() -> None:
    """A row of cells, in each cell a row of anchors, and of each [box, object, classes]: 0 but for those that show."""
    goal, asked = assigned([[0.3, 0.3, 0.5, 0.5, 0], [0.7, 0.3, 0.2, 0.8, 1]])
    y = goal[:8].reshape(2, 2, 2, 7)
    np.testing.assert_array_equal(y[0, 0, 0], [0.3, 0.3, 0.5, 0.5, 1, 1, 0])
    np.testing.assert_array_equal(y[0, 1, 1], [0.7, 0.3, 0.2, 0.8, 1, 0, 1])
    assert asked[:8, 0].reshape(2, 2, 2).tolist() == [[[1, 0], [0, 1]], [[0, 0], [0, 0]]]
    assert not goal[asked[:, 0] == 0].any()


def test_two_boxes_for_one_anchor_of_one_cell() -> None:
    """The first in the list gets it; the others take those that are next alike, in that cell or another head's."""
    same = [0.7, 0.2, 0.5, 0.5]
    goal, asked = assigned([[*same, 1], [*same, 0], [*same, 1]])
    shown = asked[:, 0].nonzero()[0].tolist()
    assert shown == [2, 3, 8 + 4 * 0 + 2] and goal[shown, 5].tolist() == [0, 1, 0]


def test_more_boxes_than_anchors_of_a_cell() -> None:
    """A box for which no anchor is left is shown by none, and takes nothing from the others."""
    same = [0.7, 0.2, 0.5, 0.5]
    crowd = [[*same, 1]] * 3
    for one, two in zip(assigned(crowd), assigned([*crowd, [*same, 0]]), strict=True):
        np.testing.assert_array_equal(one, two)
