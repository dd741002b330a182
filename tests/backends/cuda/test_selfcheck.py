"""The self-check passes where kernels are right, and fails where a single number is wrong or missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.backends.cuda.launch import Launch
from graphdsl.backends.cuda.selfcheck import kernels
from graphdsl.ir import Array
from tests.support.cuda.checks import needs_compiler
from tests.support.cuda.simulated import SimulatedDevice

pytestmark = needs_compiler


class Wrong(SimulatedDevice):
    """Reads one number of every array wrongly."""

    def read(self, address: int, array: Array) -> None:
        super().read(address, array)
        if array.size and array.dtype.kind == "f":
            array.reshape(-1)[-1] += 1


class Idle(SimulatedDevice):
    """Writes nothing."""

    def run(self, launches: Sequence[Launch]) -> None:
        return


def test_every_kernel_passes() -> None:
    outcomes = list(kernels(CudaBackend(SimulatedDevice()), large=False))
    assert len(outcomes) > 20
    assert [str(o) for o in outcomes if not o.passed] == []


@pytest.mark.parametrize("device", [Wrong, Idle])
def test_what_is_wrong_is_found(device: type[SimulatedDevice]) -> None:
    outcomes = list(kernels(CudaBackend(device()), ("softmax", "max_pool"), large=False))
    assert len(outcomes) == 2 and not any(o.passed for o in outcomes)
    assert np.isnan(outcomes[0].error) or outcomes[0].error > 0.1
