"""Every operator × sample on the kernels for every instruction set that can be run here."""

from __future__ import annotations

import pytest

from graphdsl.backends.cpu.backend import CpuBackend
from graphdsl.backends.cpu.library import available, load
from graphdsl.ir import Sample
from tests.support.calls import close, exact, made, samples, single

SAMPLES = [pytest.param(sample, id=name) for name, sample in samples()]


@pytest.mark.parametrize("isa", available())
@pytest.mark.parametrize("sample", SAMPLES)
def test_kernels_agree_with_float64(sample: Sample, isa: str) -> None:
    operands = single(sample.arrays)
    results = made(CpuBackend(load(isa)), sample.operator, operands)
    for result, expected in zip(results, exact(sample.operator, operands), strict=True):
        close(result, expected, 2e-5)


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_same_call_gives_the_same_bits(sample: Sample) -> None:
    machine = CpuBackend(load(available()[0]))
    first = made(machine, sample.operator, single(sample.arrays))
    second = made(machine, sample.operator, single(sample.arrays))
    assert [a.tobytes() for a in first] == [a.tobytes() for a in second]
