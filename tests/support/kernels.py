"""Operators on compiled kernels, for every instruction set there is, with watched memory around the arrays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from graphdsl.backends.cpu.backend import CpuBackend, Native
from graphdsl.backends.cpu.library import BUILT, available, load
from graphdsl.backends.cpu.task import pointer
from graphdsl.ir import Array, Call, DType, Operator, TensorType

every_isa = pytest.mark.parametrize("isa", [isa for isa in available() if isa not in BUILT])
"""For kernels that are alike with and without tiles; `with_tiles` for the others."""
with_tiles = pytest.mark.parametrize("isa", available())
GUARD = 64


@cache
def machine(isa: str) -> CpuBackend:
    return CpuBackend(load(isa))


def guarded(shape: Sequence[int], dtype: np.dtype[np.generic], shift: int = 8) -> tuple[Array, Array]:
    """An array full of rubbish amid rubbish, `shift` bytes behind the start of a cache line; the memory around it."""
    size = int(np.prod(shape, initial=dtype.itemsize))
    whole = np.full(size + 3 * GUARD + shift, 0xAB, np.uint8)
    start = GUARD + -(pointer(whole) + GUARD) % 64 + shift
    return np.ndarray(tuple(shape), dtype, whole.data, start), whole


def demand_untouched(array: Array, whole: Array) -> None:
    """Asserts that the rubbish around a guarded array is as it was."""
    start = pointer(array) - pointer(whole)
    assert (whole[:start] == 0xAB).all(), "written before the result"
    assert (whole[start + array.nbytes :] == 0xAB).all(), "written behind the result"


def compute(isa: str, op: Operator, *arrays: Array, shift: int = 0) -> tuple[Array, ...]:
    """The results of op, from C. Fails where C does not serve it, or writes beyond its results.

    shift  how many bytes behind the start of a cache line arrays begin
    """
    types = op.type(*(TensorType(a.shape, DType(a.dtype.name)) for a in arrays))
    given = [guarded(a.shape, a.dtype, shift)[0] for a in arrays]
    for place, array in zip(given, arrays, strict=True):
        place[...] = array
    made = types if isinstance(types, tuple) else (types,)
    ends = [guarded(t.bind({}), t.dtype.numpy, shift) for t in made]
    places, outputs = tuple(range(len(given))), tuple(range(len(given), len(given) + len(ends)))
    kernel = machine(isa).kernel(Call(op.name, op, places, outputs), given, [end for end, _ in ends])
    assert isinstance(kernel, Native), f"{op} is left to the reference"
    backend = machine(isa)
    backend.preparation([kernel])()
    backend.sequence([kernel])()
    for end, whole in ends:
        demand_untouched(end, whole)
    return tuple(end.copy() for end, _ in ends)


def expected(op: Operator, *arrays: Array) -> tuple[Array, ...]:
    """What the operator means, in float64."""
    wide = [a.astype(np.float64) if a.dtype == np.float32 else a for a in arrays]
    with np.errstate(all="ignore"):
        made = op.bound({}).reference(*wide)
    return made if isinstance(made, tuple) else (made,)


def check(isa: str, op: Operator, *arrays: Array, tolerance: float = 2e-6) -> None:
    """C agrees with the reference: whole numbers and NaN exactly, floats relative to the largest of the result.

    Once with arrays that begin with a cache line, as programs have them, once with arrays that do not.
    """
    wanted = expected(op, *arrays)
    for shift in (0, 8):
        _compare(op, compute(isa, op, *arrays, shift=shift), wanted, tolerance)


def _compare(op: Operator, results: Sequence[Array], exact: Sequence[Array], tolerance: float) -> None:
    for found, wanted in zip(results, exact, strict=True):
        assert found.shape == wanted.shape
        if found.dtype.kind != "f":
            np.testing.assert_array_equal(found, wanted, err_msg=str(op))
            continue
        finite = wanted[np.isfinite(wanted)]
        scale = float(np.abs(finite).max(initial=1e-30))
        with np.errstate(over="ignore"):
            narrow = wanted.astype(found.dtype)
        np.testing.assert_allclose(found, narrow, rtol=tolerance, atol=tolerance * scale, err_msg=str(op))
