"""Backends by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from graphdsl.backends.base import Backend
from graphdsl.backends.null.backend import NullBackend
from graphdsl.backends.reference.backend import ReferenceBackend
from graphdsl.report import did_you_mean, fail


def _cpu() -> Backend:
    from graphdsl.backends.cpu.backend import CpuBackend
    from graphdsl.backends.cpu.library import chosen

    return CpuBackend(chosen())


BACKENDS: dict[str, Callable[[], Backend]] = {
    "cpu": _cpu,
    ReferenceBackend.name: ReferenceBackend,
    NullBackend.name: NullBackend,
}
DEFAULT = ReferenceBackend.name


@cache
def backend(name: str = DEFAULT) -> Backend:
    """The backend called name, always the same object. Raises Failed E0803 where there is none."""
    if name not in BACKENDS:
        known = ", ".join(f"`{b}`" for b in BACKENDS)
        raise fail("E0803", f"there is no backend `{name}`", help=did_you_mean(name, BACKENDS) or f"there are {known}")
    return BACKENDS[name]()
