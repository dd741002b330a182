"""Whole training steps on the simulated GPU: what the CPU gives, nothing left to it, and the same bits again."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends import STRICT, Backend, backend
from graphdsl.backends.cpu.library import available
from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.model.selfcheck import NETS, networks, trained
from tests.support.cuda.checks import OnlyNative, needs_compiler
from tests.support.cuda.simulated import SimulatedDevice

pytestmark = needs_compiler


@pytest.fixture(scope="module")
def cpu() -> Backend:
    """Sums as they stand: a maximum that falls otherwise by a rounding changes a gradient by much more than that."""
    return backend("cpu" if available() else "reference").precise(STRICT)


@pytest.mark.parametrize("name", NETS)
def test_three_steps_give_what_the_cpu_gives(name: str, cpu: Backend) -> None:
    made, expected = (trained(NETS[name], machine, 3) for machine in (OnlyNative(SimulatedDevice()), cpu))
    np.testing.assert_allclose(made.losses, expected.losses, rtol=2e-5)
    assert made.weights.keys() == expected.weights.keys()
    for key, array in made.weights.items():
        np.testing.assert_allclose(array, expected.weights[key], rtol=1e-3, atol=5e-5, err_msg=key)


def test_bits_do_not_depend_on_the_order_of_threads() -> None:
    ordered, shuffled = (trained(NETS["lenet"], CudaBackend(SimulatedDevice(seed=seed)), 2) for seed in (0, 5))
    assert ordered.same_bits(shuffled)


def test_networks_check_themselves(cpu: Backend) -> None:
    outcomes = list(networks(CudaBackend(SimulatedDevice()), cpu, steps=2))
    assert len(outcomes) == 3 * len(NETS)
    assert [str(o) for o in outcomes if not o.passed] == []
