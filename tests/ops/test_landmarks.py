"""Heads that say where points are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphdsl.ir import BATCH, LAYERS, LOSSES, POINTS, Array, Builder, DType, Role, TensorType, TypeRuleError, symbol
from graphdsl.passes import gradient, simplify
from tests.support.evaluate import built, evaluate

RANDOM = np.random.default_rng(11)
MAPS = TensorType((BATCH, 4, 6, 3), DType.FLOAT64)


def places(x: Array) -> Array:
    def head(b: Builder, maps: Any) -> Any:
        return LAYERS["soft_argmax"].make(b, maps)

    return evaluate(built(head, MAPS), {"x0": x})["output", "y"]


def test_a_map_that_lights_up_in_one_place() -> None:
    """Row 1, column 4 of 4 x 6 places; a map that is dark everywhere says the middle."""
    x = np.zeros((1, 4, 6, 3))
    x[0, 1, 4, 0] = x[0, 1, 4, 1] = 1000.0
    x[0, 3, 4, 1] = 1000.0
    np.testing.assert_allclose(places(x)[0], [[4.5 / 6, 1.5 / 4], [4.5 / 6, 2.5 / 4], [0.5, 0.5]])


def test_against_a_loop() -> None:
    x = RANDOM.normal(size=(2, 4, 6, 3))
    made = places(x)
    for n, c in np.ndindex(2, 3):
        share = np.exp(x[n, :, :, c]) / np.exp(x[n, :, :, c]).sum()
        middle = sum(share[i, j] * np.array([(j + 0.5) / 6, (i + 0.5) / 4]) for i in range(4) for j in range(6))
        np.testing.assert_allclose(made[n, c], middle)


def test_the_slope_is_that_of_the_loss() -> None:
    """Of points of which some are unknown, against what the maps say."""
    b = Builder()
    said = LAYERS["soft_argmax"].make(b, b.input("x", MAPS))
    assert said.type.kind == POINTS
    true = b.input("t", TensorType((BATCH, 3, 2), DType.FLOAT64, POINTS))
    b.result("total", Role.LOSS, LOSSES["mse"].make(b, said, true))
    graph = gradient(simplify(b.finish()), ["x"])
    x, t, along = (RANDOM.normal(size=shape) for shape in ((2, 4, 6, 3), (2, 3, 2), (2, 4, 6, 3)))
    t[0, 1], t[1, 2, 0] = np.nan, np.nan
    slope = float((evaluate(graph, {"x": x, "t": t})["gradient", "x"] * along).sum())
    high, low = (evaluate(graph, {"x": x + step * along, "t": t})["loss", "total"] for step in (1e-6, -1e-6))
    assert float(high - low) / 2e-6 == pytest.approx(slope, rel=1e-6)


def test_a_dense_head_counts_from_the_middle() -> None:
    b = Builder()
    said = LAYERS["landmarks"].make(b, b.input("x", TensorType((BATCH, 4), DType.FLOAT64)), 5)
    assert said.type.shape == (BATCH, 5, 2) and said.type.kind == POINTS and said.type.describe() == "point[5]"
    b.result("y", Role.OUTPUT, said)
    np.testing.assert_allclose(evaluate(b.finish(), {"x": np.zeros((3, 4))})["output", "y"], 0.5)


@pytest.mark.parametrize(
    ("word", "shape", "settings", "code"),
    [
        ("landmarks", (BATCH, 4, 4, 2), {"count": 5}, "E0301"),
        ("soft_argmax", (BATCH, 4), {}, "E0301"),
        ("soft_argmax", (BATCH, symbol("H"), 4, 2), {}, "E0401"),
    ],
)
def test_refusals(word: str, shape: tuple[Any, ...], settings: dict[str, Any], code: str) -> None:
    b = Builder()
    with pytest.raises(TypeRuleError) as caught:
        LAYERS[word].make(b, b.input("x", TensorType(shape)), **settings)
    assert caught.value.code == code
