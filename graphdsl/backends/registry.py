"""Backends by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache

from graphdsl.backends.base import Backend
from graphdsl.backends.cpu.backend import CpuBackend
from graphdsl.backends.cpu.library import available, chosen
from graphdsl.backends.null.backend import NullBackend
from graphdsl.backends.reference.backend import ReferenceBackend
from graphdsl.report import did_you_mean, fail

AUTO = "auto"
DEFAULT = AUTO
NO_KERNELS = (
    "note: graphdsl was installed without compiled kernels, so the reference backend runs, many times slower; "
    "install a C compiler (gcc or clang), then graphdsl again"
)


def _cpu() -> Backend:
    return CpuBackend(chosen())


def _auto() -> Backend:
    """The compiled kernels; where they were not built, the reference, which is said once."""
    if available():
        return backend("cpu")
    print(NO_KERNELS, file=sys.stderr)
    return backend(ReferenceBackend.name)


BACKENDS: dict[str, Callable[[], Backend]] = {
    "cpu": _cpu,
    ReferenceBackend.name: ReferenceBackend,
    NullBackend.name: NullBackend,
}


@cache
def backend(name: str = DEFAULT) -> Backend:
    """The backend called name, always the same object; `auto` takes the fastest there is.

    Raises Failed E0803 where there is none of that name, E0806 where its kernels were not built.
    """
    if name == AUTO:
        return _auto()
    if name not in BACKENDS:
        known = ", ".join(f"`{b}`" for b in (AUTO, *BACKENDS))
        raise fail("E0803", f"there is no backend `{name}`", help=did_you_mean(name, BACKENDS) or f"there are {known}")
    return BACKENDS[name]()
