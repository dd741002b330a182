"""The GPU that figures come from: its name, versions, and its ceilings, measured by PyTorch in the same run."""

from __future__ import annotations

import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from tests.benchmarks.gpu_model import MACHINES, Machine
from tests.benchmarks.gpu_peers import precise
from tests.benchmarks.gpu_timing import kernel_us

SIDE = {"float32": 8192, "tf32": 8192, "bf16": 8192}
COPIED = 1 << 30
"""Bytes of the array that is copied: much more than the second cache holds."""

PACKAGES = ("numpy", "torch", "torchvision", "triton", "cupy-cuda13x", "cupy-cuda12x", "nvidia-cuda-nvrtc")


def described(*, dry: bool = False) -> dict[str, Any]:
    """The machine, what ran on it, and what it reaches."""
    said = {
        "gpu": "none: a dry run" if dry else torch.cuda.get_device_name(0),
        "cuda": torch.version.cuda,
        "cudnn": None if dry else torch.backends.cudnn.version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "date": date.today().isoformat(),
    }
    return said if dry else {**said, **ceilings()}


def ceilings() -> dict[str, Any]:
    """TFLOP/s of a large product in each precision; GB/s of a copy, read and written."""
    found = {precision: round(matmul(precision, side), 1) for precision, side in SIDE.items()}
    return {"matmul_tflops": found, "copy_gbs": round(copied(), 1)}


def matmul(precision: str, side: int, on: str = "cuda") -> float:
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(side, side, device=on, dtype=kind) for _ in range(2))
    made = torch.empty(side, side, device=on, dtype=kind)
    with precise(precision):
        us = kernel_us(lambda: torch.mm(a, b, out=made), seconds=0.05)
    return 2e-6 * side**3 / us


def copied(size: int = COPIED, on: str = "cuda") -> float:
    a = torch.zeros(size // 4, device=on)
    b = torch.empty_like(a)
    return 2e-3 * size / kernel_us(lambda: b.copy_(a), seconds=0.05)


def model_of(name: str) -> Machine:
    """The machine of the model that a GPU's name means; an H100 where it is another."""
    return next((machine for known, machine in MACHINES.items() if known in name), MACHINES["H100"])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
