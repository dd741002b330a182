"""Operators on our CUDA kernels, run by the simulated device, with watched memory around the results."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pytest

from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.backends.cuda.calls import Native
from graphdsl.ir import Array, Call, DType, Operator, TensorType
from tests.support.calls import close, exact
from tests.support.cuda.simulated import SimulatedDevice, compiler

GUARD = 64
RUBBISH = 0xAB
SEEDS = (0, 7)
"""Threads in their order, and shuffled."""

every_schedule = pytest.mark.parametrize("seed", SEEDS)
needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler for x86-64")


def computed(
    op: Operator,
    *arrays: Array,
    seed: int = 0,
    precision: str = "float32",
    processors: int = 4,
    shift: int = 0,
    fixed: Collection[int] = (),
    onto: Mapping[int, int] | None = None,
) -> tuple[Array, ...]:
    """The results of op, from our kernels. Fails where none serves it, or one writes beside its results.

    shift  how many bytes behind a multiple of 256 arrays begin
    fixed  positions of the operands that are the same in every run
    onto   results that lie where an operand lies, each with that operand's position
    """
    backend = CudaBackend(SimulatedDevice(seed=seed, processors=processors), precision=precision)
    types = op.type(*(TensorType(a.shape, DType(a.dtype.name)) for a in arrays))
    given = [_placed(backend, a, shift) for a in arrays]
    made = types if isinstance(types, tuple) else (types,)
    rubbish = [np.full(t.bind({}), 77, t.dtype.numpy) for t in made]
    ends = [_placed(backend, a, shift) for a in rubbish]
    ends = [given[(onto or {})[n]] if n in (onto or {}) else end for n, end in enumerate(ends)]
    places, outputs = tuple(range(len(given))), tuple(range(len(given), len(given) + len(ends)))
    kernel = backend.kernel(Call(op.name, op, places, outputs), given, ends, fixed)
    assert isinstance(kernel, Native), f"{op} is left to the reference"
    sequence = backend.sequence([kernel])
    backend.preparation([kernel])()
    for _ in range(2):
        for view, array in zip((*ends, *given), (*rubbish, *arrays), strict=True):
            backend.upload(view, array)
        sequence()
    for end in ends:
        _demand_untouched(backend, end)
    return tuple(backend.download(end) for end in ends)


def check(op: Operator, *arrays: Array, tolerance: float = 2e-6, **how: object) -> None:
    """Asserts that our kernels' results are those of the reference in float64, to a part of the largest number."""
    for made, right in zip(computed(op, *arrays, **how), exact(op, arrays), strict=True):  # type: ignore[arg-type]
        close(made, right, tolerance)


def wave(*shape: int) -> Array:
    """Numbers between -1.5 and 1.5, the same for the same shape."""
    return np.random.default_rng(shape).uniform(-1.5, 1.5, shape).astype(np.float32)


def _placed(backend: CudaBackend, array: Array, shift: int) -> DeviceArray:
    """The array amid rubbish."""
    memory = backend.alloc(array.nbytes + 3 * GUARD + shift)
    start = memory.address + GUARD + shift
    around = np.full(array.nbytes + 2 * GUARD, RUBBISH, np.uint8)
    backend.device.write(start - GUARD, around)
    view = DeviceArray(memory, start, array.shape, array.dtype)
    if array.size:
        backend.upload(view, array)
    return view


def _demand_untouched(backend: CudaBackend, view: DeviceArray) -> None:
    around = np.empty(view.nbytes + 2 * GUARD, np.uint8)
    backend.device.read(view.address - GUARD, around)
    assert (around[:GUARD] == RUBBISH).all(), "written before the result"
    assert (around[GUARD + view.nbytes :] == RUBBISH).all(), "written behind the result"
