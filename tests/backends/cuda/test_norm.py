"""Normalisation on a GPU: every way of sharing out rows, and statistics over other axes."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends.cuda.norm import standardize_args
from graphdsl.backends.cuda.unit import Unit
from graphdsl.ops import Standardize
from tests.support.cuda.budget import needs_compiler as needs_nvrtc
from tests.support.cuda.budget import within
from tests.support.cuda.kernels import check, needs_compiler, wave


@needs_compiler
@pytest.mark.parametrize("shape", [(37, 20), (3, 11, 63), (9, 130), (300, 132), (5, 1030), (2, 5000)])
def test_rows(shape: tuple[int, ...]) -> None:
    check(Standardize((len(shape) - 1,), 1e-3), wave(*shape) + 2, tolerance=1e-5)


@needs_compiler
def test_other_axes() -> None:
    check(Standardize((1, 2), 1e-3), wave(3, 6, 8), tolerance=1e-5)
    check(Standardize((0, 1), 1e-3), wave(3, 60, 7), tolerance=1e-5)
    lengths = np.array([9, 0, 4], np.int32)
    check(Standardize((0, 1, 2), 1e-3, (1, 2)), wave(3, 9, 10, 8), lengths, lengths + 1, tolerance=1e-5)


@needs_nvrtc
@pytest.mark.parametrize("group", [8, 256])
def test_registers(group: int) -> None:
    within(Unit("norm", f"standardize_rows<{group}, 4>", standardize_args), 40)
