"""A device that runs our CUDA kernels on the CPU: the sources as they are, compiled as C++ (machine.h, device.h)."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.backends.cuda.device import Device, DeviceMemory, Recording
from graphdsl.backends.cuda.launch import Launch, Step
from graphdsl.backends.cuda.unit import Unit, source
from graphdsl.ir import Array

HERE = Path(__file__).resolve().parent
FLAGS = (
    *("-x", "c++", "-std=c++17", "-O1", "-fPIC", "-shared", "-w"),
    *("-fno-strict-aliasing", "-ffp-contract=off", "-fvisibility=hidden"),
)
"""Hidden, so that two units whose templates have the same name share no static memory in one process."""
CACHE = Path(tempfile.gettempdir()) / f"graphdsl_simulated_{os.environ.get('USER', 'user')}"


def compiler() -> str | None:
    """The C++ compiler, where kernels can be run; else None."""
    known = platform.system() == "Linux" and platform.machine() == "x86_64"
    return shutil.which("g++") or shutil.which("clang++") if known else None


SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "--param=asan-stack=0", "-g1")
"""Flags for kernels that end the process at the first byte beside an array; not on stacks, which fibers change."""


@dataclass(frozen=True)
class HostMemory:
    """Host memory that stands for a GPU's."""

    whole: Any
    address: int


class ExactMemory:
    """Memory of the C library, not a byte more than asked for: a sanitizer sees what goes beyond."""

    def __init__(self, size: int) -> None:
        c, found = ctypes.CDLL(None), ctypes.c_void_p()
        assert not c.posix_memalign(ctypes.byref(found), ctypes.c_size_t(256), ctypes.c_size_t(size))
        ctypes.memset(found, 0, size)
        self.address = found.value or 0
        weakref.finalize(self, c.free, found)


class KernelFailed(Exception):
    """A kernel did what it must not: the text says what, and in which unit."""


class SimulatedDevice(Device):
    """One block after another, threads as fibers.

    seed   0: threads in their order; else shuffled, another order each round
    flags  for the compiler besides
    exact  whether arrays have no room to spare, for sanitizers
    ran    expressions of kernels, as they ran
    """

    def __init__(self, *, seed: int = 0, flags: Sequence[str] = (), processors: int = 4, exact: bool = False) -> None:
        self.name, self.architecture, self.processors = "simulated", "sm_90a", processors
        self.seed = seed
        self.ran: list[str] = []
        self._flags = (*FLAGS, *flags)
        self._exact = exact
        self._functions: dict[Unit, ctypes._CFuncPtr] = {}

    def alloc(self, size: int) -> DeviceMemory:
        if self._exact:
            return ExactMemory(size)
        whole = np.zeros(size + 256, np.uint8)
        start = whole.__array_interface__["data"][0]
        return HostMemory(whole, start + -start % 256)

    def write(self, address: int, array: Array) -> None:
        ctypes.memmove(address, array.ctypes.data, array.nbytes)

    def read(self, address: int, array: Array) -> None:
        ctypes.memmove(array.ctypes.data, address, array.nbytes)

    def compile(self, units: Collection[Unit]) -> None:
        for unit in units:
            self._function(unit)

    def run(self, launches: Sequence[Launch]) -> None:
        for launch in launches:
            grid = (ctypes.c_uint * 3)(*launch.grid)
            self.ran.append(launch.unit.expression)
            wrong = self._function(launch.unit)(
                ctypes.byref(launch.arguments), grid, launch.block, launch.shared, self.seed
            )
            if wrong:
                raise KernelFailed(f"{launch.unit.stem}.cu, {launch.unit.expression}: {wrong.decode()}")

    def record(self, steps: Sequence[Step]) -> Recording:
        launches = [launch for step in steps for launch in step.launches]
        return lambda: self.run(launches)

    def synchronize(self) -> None:
        return

    def _function(self, unit: Unit) -> ctypes._CFuncPtr:
        if unit not in self._functions:
            library = ctypes.CDLL(str(self.built(unit)))
            function = library.run
            function.restype = ctypes.c_char_p
            function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_size_t, ctypes.c_uint64)
            self._functions[unit] = function
        return self._functions[unit]

    def built(self, unit: Unit) -> Path:
        """The unit as a library, from the cache where it is there."""
        text = _program(unit)
        headers = "".join((HERE / name).read_text() for name in ("machine.h", "device.h"))
        key = blake2b(f"{headers}\0{text}\0{self._flags}".encode(), digest_size=12).hexdigest()
        library = CACHE / f"{Path(unit.stem).name}_{key}.so"
        if not library.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                written, made = Path(folder) / "unit.cpp", Path(folder) / "unit.so"
                written.write_text(text)
                command = [str(compiler()), *self._flags, f"-I{HERE}", str(written), "-o", str(made)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                assert not done.returncode, f"{unit.stem}.cu, {unit.expression}:\n{done.stderr[:4000]}"
                os.replace(made, library)
        return library


def _program(unit: Unit) -> str:
    struct = unit.arguments.__name__
    return f"""{source(unit, '#include "device.h"')}
static void kernel(const void *arguments) {{ {unit.expression}(*(const {struct} *)arguments); }}
extern "C" __attribute__((visibility("default"))) const char *
run(const void *arguments, const unsigned *grid, unsigned threads, size_t shared, uint64_t seed) {{
    return machine::launch(kernel, arguments, grid, threads, shared, seed);
}}
"""
