"""Peers held to the instructions that GRAPHDSL_ISA allows ours, so that both sides are compared on the same machine."""

from __future__ import annotations

import os

HELD = {
    "avx512": {
        "ATEN_CPU_CAPABILITY": "avx512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
    },
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "portable": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
}
"""What PyTorch and its libraries read, once, when they are first used. ONNX Runtime and JAX read none of these."""


def given() -> str:
    """The instruction set that was asked for, "" for the best."""
    return os.environ.get("GRAPHDSL_ISA", "")


def hold_peers() -> None:
    """To be called before PyTorch is imported. What is set already stays."""
    for name, value in HELD.get(given(), {}).items():
        os.environ.setdefault(name, value)
