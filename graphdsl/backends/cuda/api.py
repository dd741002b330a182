"""NVIDIA's interface as CuPy hands it through: numbers in, numbers out. The only file that imports CuPy.

`runtime` and `driver` have the functions of the CUDA runtime and driver without their prefixes: cudaStreamWaitEvent is
runtime.streamWaitEvent. Tests put a machine of their own in their place, which has no GPU.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from graphdsl.backends.cuda.nvrtc import Compiled, architecture, compiled
from graphdsl.backends.cuda.unit import Unit
from graphdsl.report import dataclass

TO_DEVICE, TO_HOST, WITHIN = 1, 2, 3
"""cudaMemcpyKind."""
NON_BLOCKING = 1
"""Of a stream: it does not wait for the default one."""
UNTIMED = 2
"""Of an event: for order alone, not for time."""
RELAXED = 2
"""Of a recording: other threads may do what they like."""
SHARED_BYTES = 8
"""CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES."""
OUT_OF_MEMORY = 2


@dataclass(frozen=True)
class Api:
    """What a GPU is used by.

    compiled      a unit for an architecture
    architecture  for a compute capability, such as `sm_90a` for 9, 0
    """

    runtime: Any
    driver: Any
    compiled: Callable[[Unit, str], Compiled] = compiled
    architecture: Callable[[int, int], str] = architecture

    def made(self, make: Callable[[], int]) -> int:
        """What make gives; MemoryError where the GPU has no room for it."""
        try:
            return make()
        except (self.runtime.CUDARuntimeError, self.driver.CUDADriverError) as error:
            if error.status != OUT_OF_MEMORY:
                raise
            raise MemoryError(str(error)) from error


def by_cupy() -> Api:
    """Raises ImportError where CuPy is not installed or cannot be loaded."""
    from cupy.cuda import driver, runtime

    return Api(runtime, driver)


def owned(thing: Any, release: Callable[[int], None], handle: int) -> None:
    """The handle is released when thing is gone; not when the process ends, which releases all."""
    weakref.finalize(thing, release, handle).atexit = False
