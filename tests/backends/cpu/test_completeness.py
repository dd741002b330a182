"""Every operator is computed in C, but for a few that are known, with their reasons."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends.cpu.backend import CpuBackend, Native
from graphdsl.backends.cpu.library import available, load
from graphdsl.ir import OPERATORS, Array, Call, DType, Operator, Sample, TensorType
from tests.support.calls import samples, single

LEFT_TO_THE_REFERENCE: dict[str, str] = {
    "cast": "whole numbers become floats at the edge of a network, NumPy is quick enough",
    "rnn": "cells that went out of use: lstm and gru have kernels",
    "rnn_gradient": "cells that went out of use: lstm and gru have kernels",
    "cumulative_sum": "few networks have one, and NumPy is quick enough",
    "top_places": "the end of a network: a few places of each sample",
    "ctc": "always simplifies to softmax_ctc, which has a kernel",
    "ctc_beam": "a search that sorts texts, after training",
    "triplets": "one product of a small matrix a step, and NumPy has it from BLAS",
    "fused_pool": "kernels would have to keep rows of a window; no pass asks for it yet",
}

needs_kernels = pytest.mark.skipif(not available(), reason="no kernels were built")


def served(op: Operator, arrays: list[Array]) -> bool:
    """Whether C makes this call."""
    machine = CpuBackend(load(available()[0]))
    made = op.type(*(TensorType(a.shape, DType(a.dtype.name)) for a in arrays))
    types = made if isinstance(made, tuple) else (made,)
    ends = [np.zeros(t.bind({}), t.dtype.numpy) for t in types]
    places = tuple(range(len(arrays) + len(ends)))
    call = Call(op.name, op, places[: len(arrays)], places[len(arrays) :])
    return isinstance(machine.kernel(call, arrays, ends), Native)


@needs_kernels
@pytest.mark.parametrize("sample", [pytest.param(s, id=name) for name, s in samples()])
def test_operators_are_computed_in_c(sample: Sample) -> None:
    op = sample.operator.bound({})
    if op.name in LEFT_TO_THE_REFERENCE:
        pytest.skip(LEFT_TO_THE_REFERENCE[op.name])
    assert served(op, single(sample.arrays))


@needs_kernels
def test_other_floats_are_left_to_the_reference() -> None:
    found = [s for _, s in samples() if any(a.dtype == np.float64 for a in s.arrays)]
    moved = {"concat", "slice", "pad", "transpose", "reshape"}
    wide = [s.operator.name for s in found if served(s.operator.bound({}), list(s.arrays))]
    assert set(wide) <= moved


def test_exceptions_are_operators() -> None:
    assert set(LEFT_TO_THE_REFERENCE) <= set(OPERATORS)
