"""Attention over several blocks of keys and queries, alone and shared among threads."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ir import Array
from graphdsl.ops import Attention, AttentionGradient
from tests.support.calls import exact, single
from tests.support.kernels import check, every_isa

pytestmark = [every_isa, pytest.mark.usefixtures("threads")]

SHAPES = [
    pytest.param((1, 385, 385, 1, 16, 16), True, False, id="causal"),
    pytest.param((2, 230, 230, 2, 20, 24), True, True, id="causal-padded"),
    pytest.param((3, 70, 450, 2, 33, 7), False, True, id="padded"),
    pytest.param((2, 3, 450, 2, 33, 7), False, True, id="few-queries"),
    pytest.param((1, 97, 2, 1, 8, 8), False, False, id="two-keys"),
]
"""batch, queries, keys, heads, features of a head's keys and values; causal; padded."""


def given(sizes: tuple[int, ...], padded: bool) -> list[Array]:
    """Queries, keys, values and, where padded, lengths with a 0 among them."""
    batch, queries, keys, heads, depth, width = sizes
    random = np.random.default_rng(7)
    found = [3 * random.standard_normal((batch, queries, heads * depth))]
    found += [random.standard_normal((batch, keys, heads * size)) for size in (depth, width)]
    lengths = [np.maximum(size - 120 * np.arange(batch), 0).astype(np.int32) for size in (queries, keys)]
    return single([*found, *(lengths if padded else [])])


@pytest.mark.parametrize(("sizes", "causal", "padded"), SHAPES)
def test_blocks_join_exactly(sizes: tuple[int, ...], causal: bool, padded: bool, isa: str) -> None:
    arrays, settings = given(sizes, padded), (sizes[3], causal, padded, padded)
    check(isa, Attention(*settings), *arrays, tolerance=1e-5)
    kept = exact(Attention(*settings), arrays)
    flowed = np.random.default_rng(8).standard_normal(kept[0].shape)
    back = single([*arrays[:3], *kept, flowed, *arrays[3:]])
    check(isa, AttentionGradient(*settings), *back, tolerance=1e-5)
