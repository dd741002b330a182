"""The compiled kernels: finds the library for this processor, loads it, sizes its pool of threads."""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache
from pathlib import Path

from graphdsl.report import dataclass, fail

FOLDER = Path(__file__).resolve().parent / "_build"
TILED = "amx"
FEATURES = {
    TILED: ("avx512f", "avx512bw", "avx512dq", "avx512vl", "fma", "bmi2", "avx512_bf16", "amx_tile", "amx_bf16"),
    "avx512": ("avx512f", "avx512bw", "avx512dq", "avx512vl", "fma", "bmi2"),
    "avx2": ("avx2", "fma", "f16c", "bmi2"),
    "portable": (),
}
"""Instruction sets, the best first, with what a processor must have for them. TILED is AVX-512 with tiles that multiply
matrices; the system must grant them."""
BUILT = {TILED: "avx512"}
"""Those that have no library of their own: its kernels know both ways."""


@dataclass(frozen=True)
class Library:
    """The kernels for one instruction set.

    lanes    floats in a vector
    threads  that run programs
    tiles    whether there are AMX tiles, for products of matrices
    """

    isa: str
    c: ctypes.CDLL
    lanes: int
    threads: int
    tiles: bool = False

    def function(self, name: str) -> int:
        """The address of a kernel."""
        try:
            found = ctypes.cast(getattr(self.c, name), ctypes.c_void_p).value
        except AttributeError:
            raise stale(self.isa) from None
        assert found
        return found

    def loop(self, name: str) -> int:
        """The address of a formula's loop, 0 where there is none."""
        found = getattr(self.c, name, None)
        return ctypes.cast(found, ctypes.c_void_p).value or 0 if found else 0

    def size_of(self, task: str) -> int:
        """Bytes of a task's struct, as the C compiler lays it out."""
        try:
            return ctypes.c_int64.in_dll(self.c, f"size_of_{task}").value
        except ValueError:
            raise stale(self.isa) from None


def available() -> tuple[str, ...]:
    """The instruction sets that were built and that this processor has, the best first; none where no kernels were
    built."""
    has = processor_features()
    found = tuple(isa for isa, needs in FEATURES.items() if _path(isa).exists() and has.issuperset(needs))
    return found if TILED not in found or _granted() else found[1:]


def chosen() -> Library:
    """The best available kernels, or those that GRAPHDSL_ISA names. Raises Failed E0806 where there are none."""
    found, wanted = available(), os.environ.get("GRAPHDSL_ISA", "")
    if wanted in found:
        return load(wanted)
    if wanted or not found:
        what = f"for `{wanted}`" if wanted else "at all"
        raise fail(
            "E0806",
            f"there are no compiled kernels {what}",
            help=f"there are: {', '.join(found) or 'none; install a C compiler, then install graphdsl again'}",
        )
    return load(found[0])


@cache
def load(isa: str) -> Library:
    """The kernels for an instruction set among the available ones."""
    c = ctypes.CDLL(str(_path(isa)))
    threads = thread_count()
    c.pool_size.argtypes = [ctypes.c_int64]
    c.pool_size.restype = None
    c.pool_size(threads)
    return Library(isa, c, ctypes.c_int64.in_dll(c, "lanes").value, threads, isa == TILED)


@cache
def _granted() -> bool:
    """Whether the system lets this process use tiles."""
    c = ctypes.CDLL(str(_path(TILED)))
    try:
        c.amx_granted.restype = ctypes.c_int64
        return bool(c.amx_granted())
    except AttributeError:
        raise stale(TILED) from None


def stale(isa: str) -> Exception:
    """Kernels and Python code are not of one version: a checkout moved on after the kernels were built."""
    return fail(
        "E0806",
        f"the compiled kernels for `{isa}` are older than graphdsl's Python files",
        help="install graphdsl again, or in a checkout run `python graphdsl/backends/cpu/build.py`",
    )


def thread_count() -> int:
    """GRAPHDSL_THREADS, or as many as this process may use."""
    given = os.environ.get("GRAPHDSL_THREADS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if "sched_getaffinity" in dir(os) else os.cpu_count() or 1


@cache
def processor_features() -> frozenset[str]:
    """What the processor can do, by the names that Linux gives; elsewhere nothing is claimed."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    lines = (line for line in text.splitlines() if line.startswith(("flags", "Features")))
    return frozenset(next(lines, "").partition(":")[2].split())


def processor() -> str:
    """The processor's name, for people and for caches of measurements."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _path(isa: str) -> Path:
    return FOLDER / f"libgraphdsl_{BUILT.get(isa, isa)}.so"
