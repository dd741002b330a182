"""Moving elements: squares with tails, rows of any width, many pieces, stretched axes."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ops import Broadcast, Concat, Pad, Slice, Transpose
from tests.support.cuda.checks import check, needs_compiler

pytestmark = needs_compiler


def numbered(*shape: int, dtype: str = "float32"):
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((33, 70), (1, 0)),
        ((3, 5, 40), (0, 2, 1)),
        ((3, 34, 2, 33), (3, 0, 2, 1)),
        ((2, 3, 4, 5), (2, 0, 1, 3)),
        ((4, 3, 1, 5), (3, 1, 2, 0)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "float64"])
def test_transpose(shape, axes, dtype) -> None:
    check(Transpose(axes), [numbered(*shape, dtype=dtype)], 0)


@pytest.mark.parametrize("widths", [(4, 8, 12), (1, 2, 3), (5,) * 11, (3, 0, 4)])
def test_concat(widths) -> None:
    check(Concat(1), [numbered(7, width, 1) + width for width in widths], 0)
    check(Concat(1), [numbered(7, width, dtype="bool") for width in widths], 0)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_boxes(channels) -> None:
    x = numbered(2, 9, 7, channels)
    check(Slice((0, 2, 1, 0), (2, 5, 4, channels)), [x], 0)
    check(Pad((0, 1, 2, 0), (0, 3, 0, 0)), [x], 0)


@pytest.mark.parametrize(
    ("shape", "whole"), [((1, 3), (50, 3)), ((4, 1, 2), (4, 30, 2)), ((), (3, 5)), ((3, 1), (2, 3, 9))]
)
def test_broadcast(shape, whole) -> None:
    check(Broadcast(whole), [numbered(*shape)], 0)
