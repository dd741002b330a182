"""Does this machine look like one with an NVIDIA GPU? Asked at every start, so it costs next to nothing."""

from __future__ import annotations

import ctypes
import sys


def driver() -> bool:
    """Whether NVIDIA's driver is installed."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
