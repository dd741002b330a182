"""Backends by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module

from graphdsl.backends.base import Backend
from graphdsl.backends.cpu.backend import CpuBackend
from graphdsl.backends.cpu.library import available, chosen
from graphdsl.backends.cuda import present
from graphdsl.backends.null.backend import NullBackend
from graphdsl.backends.reference.backend import ReferenceBackend
from graphdsl.report import dataclass, did_you_mean, fail

AUTO = "auto"
DEFAULT = AUTO
NO_KERNELS = (
    "note: graphdsl was installed without compiled kernels, so the reference backend runs, many times slower; "
    "install a C compiler (gcc or clang), then graphdsl again"
)


@dataclass(frozen=True)
class Choice:
    """What `auto` takes.

    said    in a line: what, and why
    unsure  whether a GPU is concerned, so that people want to know without asking
    """

    name: str
    said: str
    unsure: bool


def automatic() -> Choice:
    """A GPU that we can use; else the compiled kernels; where they were not built, the reference."""
    if not present.driver():
        return _without_gpu("no NVIDIA driver is installed", unsure=False)
    found = import_module("graphdsl.backends.cuda.probe").found()
    if found.device:
        return Choice("cuda", f"device: cuda, {found.device.name}", unsure=True)
    return _without_gpu(f"{found.reason}{f' ({found.help})' if found.help else ''}", unsure=True)


def instead(name: str) -> Backend | None:
    """What serves where the backend of this name meets what it cannot do: the CPU for a GPU that `auto` has taken."""
    taken = name == AUTO and backend(name).name == "cuda"
    return backend(_without_gpu("", unsure=False).name) if taken else None


def _without_gpu(reason: str, *, unsure: bool) -> Choice:
    name = "cpu" if available() else ReferenceBackend.name
    return Choice(name, f"device: {name}, since {reason}", unsure)


def _auto() -> Backend:
    """Says once what people would wonder about."""
    choice = automatic()
    if choice.unsure:
        print(choice.said, file=sys.stderr)
    if choice.name == ReferenceBackend.name:
        print(NO_KERNELS, file=sys.stderr)
    return backend(choice.name)


def _cpu() -> Backend:
    return CpuBackend(chosen())


def _cuda() -> Backend:
    """Imported when asked for: its launchers are many files."""
    made: Backend = import_module("graphdsl.backends.cuda.backend").CudaBackend(
        import_module("graphdsl.backends.cuda.probe").gpu()
    )
    return made


BACKENDS: dict[str, Callable[[], Backend]] = {
    "cpu": _cpu,
    "cuda": _cuda,
    ReferenceBackend.name: ReferenceBackend,
    NullBackend.name: NullBackend,
}


@cache
def backend(name: str = DEFAULT) -> Backend:
    """The backend called name, always the same object; `auto` takes the fastest there is.

    Raises Failed E0803 where there is none of that name, E0806 where its kernels were not built, E0808 where there is
    no GPU for it.
    """
    if name == AUTO:
        return _auto()
    if name not in BACKENDS:
        known = ", ".join(f"`{b}`" for b in (AUTO, *BACKENDS))
        raise fail("E0803", f"there is no backend `{name}`", help=did_you_mean(name, BACKENDS) or f"there are {known}")
    return BACKENDS[name]()
