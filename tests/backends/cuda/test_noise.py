"""Random numbers on a GPU: the very bits of the reference."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends.cuda.noise import random_uniform_args
from graphdsl.backends.cuda.unit import Unit
from graphdsl.ops import RandomUniform
from tests.support.cuda.budget import needs_compiler as needs_nvrtc
from tests.support.cuda.budget import within
from tests.support.cuda.kernels import computed, every_schedule, needs_compiler


@needs_compiler
@every_schedule
@pytest.mark.parametrize("shift", [0, 4])
def test_bits_are_those_of_the_reference(seed: int, shift: int) -> None:
    for key, counter, shape in ((0, 0, (3, 5, 7)), (2**63 - 1, 2**40 + 3, (17001,)), (12345, -1, (1,)), (1, 2, (0,))):
        op, at = RandomUniform(key, shape), np.array(counter, np.int64)
        (made,) = computed(op, at, seed=seed, shift=2 * shift)
        np.testing.assert_array_equal(made, op.reference(at))


@needs_nvrtc
def test_registers() -> None:
    for n in (1, 4):
        within(Unit("noise", f"random_uniform<{n}>", random_uniform_args), 40)
