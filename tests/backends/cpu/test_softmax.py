"""Softmax, cross-entropies and maxima of rows of every length, with what overflows and what is no number."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ir import Array
from graphdsl.ops import BinaryCrossentropy, CategoricalCrossentropy, Max, Softmax, SoftmaxCrossentropy
from tests.support.kernels import check, every_isa

pytestmark = [every_isa, pytest.mark.usefixtures("threads")]
CLASSES = [1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 17, 31, 32, 33, 100, 1000]


def scores(rows: int, classes: int) -> Array:
    return (np.random.default_rng((rows, classes)).standard_normal((rows, classes)) * 5).astype(np.float32)


def edges(classes: int) -> Array:
    """Rows that overflow, that underflow, that are no number."""
    x = scores(7, classes)
    x[0] *= 1000
    x[1, classes // 2] = np.nan
    x[2, 0] = np.inf
    x[3, -1] = -np.inf
    x[4] = -np.inf
    x[5] = -300
    return x


def truths(x: Array) -> Array:
    t = np.zeros(x.shape, np.float32)
    t[np.arange(len(x)), np.arange(len(x)) * 7 % x.shape[-1]] = 1
    return t


@pytest.mark.parametrize("classes", CLASSES)
def test_softmax(isa: str, classes: int) -> None:
    for rows in (0, 1, 3, 32):
        check(isa, Softmax(), scores(rows, classes)) if rows else None
    check(isa, Softmax(), edges(classes))
    check(isa, Softmax(), scores(6, classes).reshape(2, 3, classes))


@pytest.mark.parametrize("classes", CLASSES)
def test_from_scores(isa: str, classes: int) -> None:
    for rows in (1, 3, 16, 35):
        x = scores(rows, classes)
        check(isa, SoftmaxCrossentropy(), x, truths(x), tolerance=4e-6)
        check(isa, SoftmaxCrossentropy(), x, Softmax().reference(scores(rows + 1, classes)[1:]), tolerance=4e-6)
    check(isa, SoftmaxCrossentropy(), edges(classes), truths(edges(classes)), tolerance=4e-6)


@pytest.mark.parametrize("classes", CLASSES)
def test_from_probabilities(isa: str, classes: int) -> None:
    for rows in (1, 3, 35):
        p = Softmax().reference(scores(rows, classes))
        check(isa, CategoricalCrossentropy(), p, truths(p), tolerance=4e-6)
    p[0], p[1, 0] = 0, np.nan
    check(isa, CategoricalCrossentropy(), p, truths(p), tolerance=4e-6)


def test_binary(isa: str) -> None:
    p = np.linspace(0.01, 0.99, 60, dtype=np.float32).reshape(3, 20)
    check(isa, BinaryCrossentropy(), p, np.float32(p > 0.3))


@pytest.mark.parametrize("shape", [(4, 5, 6, 7), (1, 40, 1, 33), (3, 1, 2, 100), (65, 2, 3, 1)], ids=str)
def test_largest(isa: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    x.flat[::53] = np.nan
    x.flat[7::29] = np.inf
    x[0] = -np.inf
    for axes in ((0,), (1,), (3,), (1, 2), (2, 3), (0, 2), (1, 3), (0, 1, 2, 3), (0, 1, 3)):
        check(isa, Max(axes), x)
