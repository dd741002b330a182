"""Who shows what in crowded scenes: the kernels decide as the reference does, ties, NaN and places outside included."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends import Backend, backend
from graphdsl.backends.cpu.library import available
from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.ir import Array, Operator
from graphdsl.ops import AssignBoxes, AssignCells
from tests.support.calls import made
from tests.support.cuda.checks import needs_compiler
from tests.support.cuda.simulated import SimulatedDevice

ANCHORS = (((0.1, 0.12), (0.3, 0.2), (0.125, 0.25)), ((0.0625, 0.0625), (0.2, 0.1)))
OPERATORS = [
    AssignBoxes((5, 10), (7, 14), ANCHORS, 1.0, 0.6),
    AssignBoxes((5, 10), (7, 14), ANCHORS, 0.4, 0.3),
    AssignCells((5, 10), (7, 14), 1.5, 3.0, 0.6),
    AssignCells((10, 5), (14, 7), 2.5, 3.0, 0.4),
    AssignCells((15,), (12,), 0.5, 8.0, 0.6),
]


def scene(seed: int, n: int) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    true = np.zeros((4, 30, 5), np.float32)
    for rows in true:
        count = int(random.integers(0, 30))
        drawn = np.concatenate([random.uniform(-0.05, 1.05, (count, 2)), random.uniform(-0.02, 0.5, (count, 2))], 1)
        rows[:count, :4] = np.round(drawn * 32) / 32 if seed % 2 else drawn
        rows[:count, 4] = random.integers(0, 3, count)
    found = random.uniform(0.01, 0.99, (4, n, 8)).astype(np.float32)
    found[..., 2:4] *= 0.5
    found[0, 3, 0], found[1, 5, 2], found[1, 6, 3] = np.nan, np.inf, np.nan
    return found, true


MACHINES = [
    pytest.param("cpu", marks=pytest.mark.skipif(not available(), reason="no kernels were built")),
    pytest.param("simulated", marks=needs_compiler),
]


def machine(name: str, schedule: int) -> Backend:
    return CudaBackend(SimulatedDevice(seed=schedule)) if name == "simulated" else backend(name)


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: f"{op.name}-{op.rows}")
def test_kernels_decide_as_the_reference(op: Operator, seed: int, name: str) -> None:
    assert isinstance(op, AssignBoxes | AssignCells)
    cells = [rows * columns for rows, columns in zip(op.rows, op.columns, strict=True)]
    each = [len(a) for a in op.anchors] if isinstance(op, AssignBoxes) else [1] * len(cells)
    arrays = list(scene(seed, int(np.dot(cells, each))))
    with np.errstate(invalid="ignore"):
        expected = op.reference(*arrays)
    for one, two in zip(made(machine(name, seed), op, arrays), expected, strict=True):
        np.testing.assert_array_equal(one, two)
