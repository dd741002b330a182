"""Anchors by k-means: against all ways to part a few boxes, and what must not depend on luck."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from graphdsl.data import chosen, shared_out, suits, written
from graphdsl.data.anchors import alike
from graphdsl.ir import Array
from graphdsl.report import Failed

RANDOM = np.random.default_rng(2)


def partings(count: int, most: int) -> Iterator[list[int]]:
    """All ways to part so many boxes into at most so many groups."""
    if not count:
        yield []
        return
    for rest in partings(count - 1, most):
        for group in range(min(max(rest, default=-1) + 2, most)):
            yield [*rest, group]


@pytest.mark.parametrize("seed", range(4))
def test_as_good_as_any_parting(seed: int) -> None:
    """Of nine boxes and three groups, whose anchors are their means."""
    sizes = np.random.default_rng(seed).uniform(5, 60, (9, 2))
    best = 0.0
    for parting in partings(9, 3):
        own = np.array(parting)
        best = max(best, suits(sizes, np.array([sizes[own == k].mean(axis=0) for k in range(own.max() + 1)])))
    assert chosen(sizes, 3).mean >= 0.99 * best


def test_clusters_are_found() -> None:
    middles = np.array([[10, 12], [40, 20], [30, 90], [100, 100]], float)
    sizes = np.concatenate([m * RANDOM.uniform(0.95, 1.05, (50, 2)) for m in middles])
    found = chosen(sizes, 4)
    np.testing.assert_allclose(found.shapes, middles, rtol=0.03)
    assert found.mean == pytest.approx(suits(sizes, found.shapes)) and found.mean > 0.93


def test_the_same_boxes_and_seed_give_the_same_anchors() -> None:
    sizes = RANDOM.uniform(5, 60, (300, 2))
    one, two = chosen(sizes, 5, seed=3), chosen(sizes, 5, seed=3)
    np.testing.assert_array_equal(one.shapes, two.shapes)
    areas: Array = one.shapes.prod(axis=1)
    assert (np.diff(areas) >= 0).all()
    assert abs(chosen(sizes, 5, seed=4).mean - one.mean) < 0.01


def test_more_anchors_suit_better() -> None:
    sizes = RANDOM.uniform(5, 60, (300, 2))
    means = [chosen(sizes, count).mean for count in range(1, 8)]
    assert means == sorted(means)
    assert chosen(sizes[:6], 6).mean == pytest.approx(1)


def test_how_alike_shapes_are() -> None:
    got = alike(np.array([[2.0, 4.0], [3.0, 3.0]]), np.array([[4.0, 2.0], [3.0, 3.0]]))
    np.testing.assert_allclose(got, [[4 / 12, 6 / 11], [6 / 11, 1]])


@pytest.mark.triggers("E0815")
@pytest.mark.parametrize(
    ("sizes", "told"), [([], "no boxes"), ([[3, 4]], "1 box of different size"), ([[3, 4]] * 5 + [[4, 4]], "2 boxes")]
)
def test_too_few_boxes(sizes: list[list[float]], told: str) -> None:
    with pytest.raises(Failed, match=f"E0815.*3 anchors are asked for, and there are {told}"):
        chosen(np.array(sizes, float).reshape(-1, 2), 3)


def test_shares_and_how_they_are_written() -> None:
    assert shared_out(5, 2) == [2, 3] and shared_out(9, 3) == [3, 3, 3] and shared_out(2, 3) == [0, 1, 1]
    assert written([(10.4, 13.6), (0.2, 7.0)]) == "[10x14, 1x7]"
