"""Detectors without anchors: what a cell says, which cells are to show which box, and that the slope is the loss's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphdsl.ir import BATCH, LAYERS, LOSSES, Array, Builder, DType, Role, TensorType, TypeRuleError, Weight, boxes
from graphdsl.ops import AssignCells
from graphdsl.passes import Mode, gradient, simplify, specialise
from tests.support.evaluate import evaluate
from tests.support.language import elaborated, fine

RANDOM = np.random.default_rng(5)
CHANNELS = 3


def head(b: Builder, name: str, side: int) -> Any:
    x = b.input(name, TensorType((BATCH, side, side, CHANNELS), DType.FLOAT64))
    return LAYERS["detect_free"].make(b, x, 2)


def weights(graph: Any) -> dict[str, Array]:
    shapes = {key: node.types[0].bind({}) for key, node in graph.items() if isinstance(node.op, Weight)}
    return {key: np.random.default_rng(1).normal(size=shape) for key, shape in shapes.items()}


def judged(arrays: dict[str, Array], slope: str = "coarse", **settings: Any) -> tuple[float, Array]:
    """The loss of two heads and true boxes, and its gradient by what flows into a head."""
    b = Builder()
    heads = [head(b, "coarse", 2), head(b, "fine", 4)]
    true = b.input("true", TensorType((BATCH, 3, 5), DType.FLOAT64, boxes(2)))
    b.result("total", Role.LOSS, LOSSES["detection"].make(b, (*heads, true), **settings))
    graph = specialise(b.finish(), Mode.TRAINING)
    made = evaluate(gradient(simplify(graph), [slope]), arrays | weights(graph))
    return float(made["loss", "total"]), made["gradient", slope]


def scene() -> dict[str, Array]:
    true = np.array([[0.3, 0.2, 0.5, 0.6, 1], [0.8, 0.6, 0.1, 0.3, 0], [0, 0, 0, 0, 0]])
    return {
        "coarse": RANDOM.normal(size=(2, 2, 2, CHANNELS)),
        "fine": RANDOM.normal(size=(2, 4, 4, CHANNELS)),
        "true": np.stack([true, np.zeros((3, 5))]),
    }


@pytest.mark.parametrize("slope", ["coarse", "fine"])
def test_the_slope_is_that_of_the_loss(slope: str) -> None:
    arrays = scene()
    _, found = judged(arrays, slope, span=2.0)
    assert np.abs(found).max() > 1e-3
    along = RANDOM.normal(size=found.shape)
    ends = [judged(arrays | {slope: arrays[slope] + sign * 1e-6 * along}, slope, span=2.0) for sign in (1, -1)]
    assert (ends[0][0] - ends[1][0]) / 2e-6 == pytest.approx(float((found * along).sum()), rel=1e-5, abs=1e-7)


def test_what_fills_up_pictures_does_not_count() -> None:
    """Whatever stands in rows without area, NaN too, changes neither loss nor slope."""
    arrays = scene()
    other = arrays["true"].copy()
    other[0, 2], other[1] = [np.nan, 7, 0, 3, np.nan], [np.nan, np.nan, 0, 0, 5]
    for one, two in zip(judged(arrays), judged(arrays | {"true": other}), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_cell_says_a_box() -> None:
    """A head that says 0 has boxes as large as its cells, in the middle of each; log 3 makes them three times wider."""
    b = Builder()
    b.result("y", Role.OUTPUT, head(b, "x", 2))
    graph = specialise(b.finish(), Mode.INFERENCE)
    said = {key: np.zeros_like(array) for key, array in weights(graph).items()}
    (bias,) = (key for key, array in said.items() if array.ndim == 1)
    said[bias][:5] = 0.25, 0, np.log(3), 0, 100
    (got,) = evaluate(graph, said | {"x": np.zeros((1, 2, 2, CHANNELS))}).values()
    middles = np.array([[0.375, 0.25], [0.875, 0.25], [0.375, 0.75], [0.875, 0.75]])
    np.testing.assert_allclose(got[0, :, :2], middles, atol=1e-7)
    np.testing.assert_allclose(got[0, :, 2:], [[1.5, 0.5, 1, 0.5, 0.5]] * 4, atol=1e-6)


def assigned(true: list[list[float]], found: Array | None = None, **settings: Any) -> tuple[Array, Array]:
    op = AssignCells(**({"rows": (2, 8), "columns": (2, 8), "near": 1.5, "span": 4.0, "ignore": 0.6} | settings))
    goal, asked = op.reference(np.zeros((1, 68, 7)) if found is None else found, np.array([true]))
    return goal[0], asked[0]


def cells(asked: Array) -> list[tuple[int, int]]:
    """Row and column of the cells of the fine head that show something."""
    return [(int(k) // 8, int(k) % 8) for k in np.flatnonzero(asked[4:, 0])]


def test_cells_around_the_middle_show_a_box() -> None:
    goal, asked = assigned([[0.53, 0.55, 0.45, 0.4, 1]])
    assert cells(asked) == [(row, column) for row in (3, 4, 5) for column in (3, 4, 5)]
    np.testing.assert_array_equal(goal[4 + 8 * 4 + 4], [0.53, 0.55, 0.45, 0.4, 1, 0, 1])
    assert asked[:, 1].sum() == 68 - 9 and not asked[:4, 0].any()
    _, asked = assigned([[0.53, 0.55, 0.45, 0.4, 1]], near=0.6)
    assert cells(asked) == [(4, 4)]


def test_a_box_smaller_than_its_cell_is_shown_by_that() -> None:
    _, asked = assigned([[0.51, 0.51, 0.02, 0.4, 0]])
    assert cells(asked) == [(4, 4)]
    _, asked = assigned([[1.2, -0.1, 0.02, 0.4, 0]])
    assert cells(asked) == [(0, 7)]


def test_the_size_says_the_head() -> None:
    """Up to four cells of the fine head; what is larger goes to the coarse one."""
    assert assigned([[0.5, 0.5, 0.5, 0.1, 0]])[1][:4, 0].sum() == 0
    assert assigned([[0.5, 0.5, 0.51, 0.1, 0]])[1][4:, 0].sum() == 0
    assert assigned([[0.5, 0.5, 0.51, 0.1, 0]], span=5.0)[1][:4, 0].sum() == 0
    assert assigned([[0.5, 0.5, 0.9, 0.9, 0]], rows=(8, 2), columns=(8, 2))[1][64:, 0].sum() == 4


def test_the_smallest_box_comes_first() -> None:
    goal, asked = assigned([[0.55, 0.55, 0.4, 0.4, 1], [0.7, 0.55, 0.3, 0.35, 0]])
    small = {(row, column) for row in (3, 4, 5) for column in (5, 6)} | {(3, 4), (4, 4), (5, 4)}
    shown = {c for c in cells(asked) if goal[4 + 8 * c[0] + c[1], 5] == 1}
    assert shown == small and len(cells(asked)) == 9 + 3


def test_two_boxes_in_the_same_cells() -> None:
    """The second of equal ones, whose cells are all taken, is shown by none."""
    goal, asked = assigned([[0.55, 0.55, 0.1, 0.1, 1], [0.55, 0.55, 0.1, 0.1, 0]])
    assert asked[:, 0].sum() == 1 and goal[:, 6].sum() == 1 and goal[:, 5].sum() == 0


def test_what_overlaps_well_need_not_be_empty() -> None:
    found = np.zeros((1, 68, 7))
    found[0, 60, :4] = 0.53, 0.55, 0.45, 0.35
    assert assigned([[0.53, 0.55, 0.45, 0.4, 1]], found)[1][60].tolist() == [0, 0]
    assert assigned([[0.53, 0.55, 0.45, 0.4, 1]], found, ignore=0.9)[1][60].tolist() == [0, 1]


def test_a_head_in_a_spec() -> None:
    """Filters, cells and suppression follow; no size of a picture has to be known."""
    text = "weight w: float[4, 6, 8] = zeros\noutput y = w -> detect_free(3) -> nms"
    made = fine(text).graph
    assert [n.types[0].shape for k, n in made.items() if k.endswith("kernel")] == [(1, 1, 8, 8)]
    _, told = elaborated("input x: float[8]\noutput y = x -> detect_free(3)")
    assert told[0].code == "E0301"
    _, told = elaborated("input x: float[H, W, 8]\noutput y = x -> detect_free(3)")
    assert told[0].code == "E0401"


def test_heads_of_one_sort() -> None:
    b = Builder()
    raw = b.input("raw", TensorType((BATCH, 2, 2, 7), DType.FLOAT64))
    mixed = [head(b, "x", 2), LAYERS["decode_boxes"].make(b, raw, 2, [(16.0, 32.0)], picture=64)]
    true = b.input("true", TensorType((BATCH, 4, 5), DType.FLOAT64, boxes(2)))
    with pytest.raises(TypeRuleError, match="some heads have anchors and some have none"):
        LOSSES["detection"].make(b, (*mixed, true))
