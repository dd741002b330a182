"""Runs kernels built with sanitizers: `LD_PRELOAD=libasan.so python -m tests.support.cuda.sanitized [PRECISION ...]`.

Every array is a piece of malloc's memory of exactly its size, so that a byte read or written beside it is noticed.
AddressSanitizer and UndefinedBehaviorSanitizer end the process at the first mistake.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.backends.cuda.unit import Unit
from graphdsl.ir import Array, Operator
from tests.support.calls import close, exact, made
from tests.support.cuda.calls import launched, met
from tests.support.cuda.simulated import SANITIZED, SimulatedDevice, compiler

ROOT = Path(__file__).parents[3]
AT_ONCE = 2
"""Compilers."""
TOLERANCE = {"float32": 2e-5, "tf32": 4e-3, "bf16": 3e-2}


def backend(precision: str = "float32") -> CudaBackend:
    return CudaBackend(SimulatedDevice(flags=SANITIZED, exact=True), precision=precision)


def build(units: Collection[Unit]) -> None:
    """Compiles them with sanitizers; beforehand, so that the compiler need not run under them itself."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(SimulatedDevice(flags=SANITIZED).built, units))


def runtime() -> str:
    """The sanitizers' libraries, which must be loaded before all others. Skips the test where there are none."""
    paths = [_file(name) for name in ("libasan.so", "libubsan.so", "libstdc++.so")]
    if not all(Path(path).is_absolute() for path in paths):
        pytest.skip("the compiler has no sanitizers that can be loaded first, as gcc has")
    return ":".join(paths)


def _file(name: str) -> str:
    """Where the compiler has a library; only its name where it has none."""
    asked = [str(compiler()), f"-print-file-name={name}"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program of ours under the sanitizers."""
    environment = {
        **os.environ,
        "LD_PRELOAD": runtime(),
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONPATH": str(ROOT),
        "PYTHONMALLOC": "malloc",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def _demand_right(machine: CudaBackend, op: Operator, arrays: list[Array]) -> None:
    for actual, expected in zip(made(machine, op, arrays), exact(op, arrays), strict=True):
        close(actual, expected, TOLERANCE[machine.precision])


def main() -> None:
    for precision in sys.argv[1:]:
        machine = backend(precision)
        for name, op, arrays, kernel in met(machine):
            if precision == "float32" or any(_tensor(x.unit) for x in launched(kernel)):
                print(name, flush=True)
                _demand_right(machine, op, arrays)
    print("clean")


def _tensor(unit: Unit) -> bool:
    """Whether it is made for a precision of its own."""
    return "tensor_sums" in unit.expression


if __name__ == "__main__":
    main()
