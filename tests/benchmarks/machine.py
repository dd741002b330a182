"""What the numbers were measured on: the machine in words, and how fast it multiplies matrices."""

from __future__ import annotations

import ctypes
import os
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Any

import torch

from graphdsl.backends.cpu.library import available, chosen, processor

SIDE = 2048
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of glibc's malloc.h."""

PEERS = ("numpy", "torch", "onnxruntime", "jax")


def description(threads: int) -> dict[str, Any]:
    """The machine and the versions of what ran on it."""
    return {
        "processor": processor(),
        "isa": chosen().isa if available() else "none built",
        "cores": os.cpu_count(),
        "threads": threads,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PEERS}},
        "matmul_gflops": round(peak_gflops(), 1),
        "date": date.today().isoformat(),
    }


def keep_freed_memory() -> bool:
    """Lets freed memory stay with the process, where the C library is glibc. Gives whether it could.

    glibc gives large blocks back to the system, which then clears every page anew: PyTorch's steps here take up to
    half as long again, or not, as the heap happens to lie. Ours allocate nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


def peak_gflops(rounds: int = 15) -> float:
    """The measured peak of the machine: GFLOP/s of PyTorch's product of two large float32 matrices, at its best."""
    a, b = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    made = torch.empty(SIDE, SIDE)
    times = []
    for _ in range(rounds):
        start = perf_counter()
        torch.mm(a, b, out=made)
        times.append(perf_counter() - start)
    return 2e-9 * SIDE**3 / min(times)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
