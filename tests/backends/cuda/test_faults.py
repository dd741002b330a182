"""Mistakes planted in our kernels are found: by wrong results, by the simulated GPU's complaints, or by sanitizers."""

from __future__ import annotations

import pytest

from graphdsl.backends.cuda.backend import CudaBackend
from tests.support.cuda import faults, sanitized
from tests.support.cuda.faults import FAULTS, planted
from tests.support.cuda.kernels import needs_compiler
from tests.support.cuda.simulated import KernelFailed, SimulatedDevice

pytestmark = needs_compiler

SEEN = [name for name, fault in FAULTS.items() if not fault.beside]
BESIDE = [name for name, fault in FAULTS.items() if fault.beside]
CALLS = {(fault.work.__name__, fault.precision, fault.seed): fault for fault in FAULTS.values()}


def machine(fault: faults.Fault) -> CudaBackend:
    return CudaBackend(SimulatedDevice(seed=fault.seed), precision=fault.precision)


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_without_a_fault_all_is_right(call: tuple[str, str, int]) -> None:
    CALLS[call].work(machine(CALLS[call]))


@pytest.mark.parametrize("name", SEEN)
def test_a_fault_is_seen(name: str) -> None:
    with planted(FAULTS[name]), pytest.raises((AssertionError, KernelFailed)) as seen:
        FAULTS[name].work(machine(FAULTS[name]))
    assert "not equal" in str(seen.value).lower() or seen.type is KernelFailed, seen.value


def test_which_mistakes_the_simulated_gpu_names() -> None:
    fault = FAULTS["a barrier stands in divergent code"]
    with planted(fault), pytest.raises(KernelFailed, match=r"softmax\.cu, softmax_by_block<256>.*divergent code"):
        fault.work(machine(fault))


@pytest.mark.slow
@pytest.mark.parametrize("name", BESIDE)
def test_a_fault_beside_an_array_is_seen(name: str) -> None:
    faults.build(FAULTS[name])
    done = sanitized.run("tests.support.cuda.faults", name)
    assert done.returncode and "AddressSanitizer: heap-buffer-overflow" in done.stderr, done.stderr[-3000:]


@pytest.mark.slow
def test_without_a_fault_nothing_beside_an_array_is_touched() -> None:
    for name in BESIDE:
        faults.build(FAULTS[name])
    done = sanitized.run("tests.support.cuda.faults")
    assert done.returncode == 0 and done.stdout.endswith("clean\n"), done.stderr[-3000:]
