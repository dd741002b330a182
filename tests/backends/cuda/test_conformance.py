"""Every sample of every operator that has a kernel, on the simulated GPU, under two schedules of threads."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.backends.cuda.calls import Fallback
from graphdsl.ir import OPERATORS, Array, Call, DType, Operator, Sample, TensorType
from tests.support.calls import close, exact, made, samples, single
from tests.support.cuda.checks import SCHEDULES, needs_compiler
from tests.support.cuda.simulated import SimulatedDevice

pytestmark = needs_compiler

LEFT_TO_THE_REFERENCE: dict[str, str] = {
    "cast": "whole numbers become floats at the edge of a network, NumPy is quick enough",
    "rnn": "cells that went out of use: lstm and gru have kernels",
    "rnn_gradient": "cells that went out of use: lstm and gru have kernels",
    "cumulative_sum": "few networks have one, and NumPy is quick enough",
    "top_places": "the end of a network: a few places of each sample",
    "ctc": "always simplifies to softmax_ctc",
    "ctc_beam": "a search that sorts texts, after training",
    "triplets": "one product of a small matrix a step, and NumPy has it from BLAS",
    "ahead": "no pass asks for it here",
}
"""Operators without a kernel, with the reason."""

ALL = [pytest.param(s, id=name) for name, s in samples()]


def served(op: Operator, arrays: list[Array]) -> bool:
    """Whether kernels make this call."""
    machine = CudaBackend(SimulatedDevice())
    made = op.type(*(TensorType(a.shape, DType(a.dtype.name)) for a in arrays))
    types = [TensorType(a.shape, DType(a.dtype.name)) for a in arrays]
    ends = list(made) if isinstance(made, tuple) else [made]
    views = [machine.view(machine.alloc(1 << 10), 0, t.bind({}), t.dtype) for t in (*types, *ends)]
    places = tuple(range(len(views)))
    call = Call(op.name, op, places[: len(types)], places[len(types) :])
    return not isinstance(machine.kernel(call, views[: len(types)], views[len(types) :]), Fallback)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sample", ALL)
def test_kernels_give_what_the_reference_says(sample: Sample, schedule: int) -> None:
    arrays = single(sample.arrays)
    found = made(CudaBackend(SimulatedDevice(seed=schedule)), sample.operator, arrays)
    for actual, expected in zip(found, exact(sample.operator, arrays), strict=True):
        close(actual, expected, 2e-5)


@pytest.mark.parametrize("sample", ALL)
def test_operators_have_kernels(sample: Sample) -> None:
    op = sample.operator.bound({})
    if op.name in LEFT_TO_THE_REFERENCE:
        pytest.skip(LEFT_TO_THE_REFERENCE[op.name])
    assert served(op, single(sample.arrays))


def test_other_floats_are_left_to_the_reference() -> None:
    found = [s for _, s in samples() if any(a.dtype == np.float64 for a in s.arrays)]
    moved = {"broadcast", "concat", "slice", "pad", "transpose", "reshape"}
    wide = [s.operator.name for s in found if served(s.operator.bound({}), list(s.arrays))]
    assert set(wide) <= moved


def test_exceptions_are_operators() -> None:
    assert set(LEFT_TO_THE_REFERENCE) <= set(OPERATORS)
