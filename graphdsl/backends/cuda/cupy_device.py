"""An NVIDIA GPU by CuPy's hands: its memory, our kernels on it, and programs recorded as CUDA graphs.

All work goes to one stream, so that it is done in the order in which it was begun. A recording is made on streams of
its own (streams.py): nothing runs while it is made, and afterwards the GPU knows the whole program, with all that may
run at the same time, and starts it at one request. It holds addresses, so it also keeps what they belong to.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from graphdsl.backends.cuda.api import (
    NON_BLOCKING,
    RELAXED,
    SHARED_BYTES,
    UNTIMED,
    Api,
    by_cupy,
    owned,
)
from graphdsl.backends.cuda.device import Device, Recording
from graphdsl.backends.cuda.launch import Launch, Step
from graphdsl.backends.cuda.nvrtc import Compiled
from graphdsl.backends.cuda.staging import Staging
from graphdsl.backends.cuda.streams import Schedule, schedule
from graphdsl.backends.cuda.unit import Unit
from graphdsl.ir import Array

STREAMS = 8
"""That a recording may take, where GRAPHDSL_STREAMS does not say another number."""
GRANTED = 48 << 10
"""Bytes of shared memory that a kernel may have without asking."""


class CupyDevice(Device):
    """The first GPU that CUDA_VISIBLE_DEVICES leaves to be seen.

    work  the stream of all that it does
    """

    def __init__(self, api: Api | None = None) -> None:
        self.api = api or by_cupy()
        r = self.api.runtime
        r.setDevice(0)
        about = r.getDeviceProperties(0)
        self.name = about["name"].decode()
        self.processors = about["multiProcessorCount"]
        self.shared = about.get("sharedMemPerBlockOptin", GRANTED)
        self.memory = about["totalGlobalMem"]
        self.capability = about["major"], about["minor"]
        self.architecture = self.api.architecture(*self.capability)
        self._thread = threading.local()
        self.work = r.streamCreateWithFlags(NON_BLOCKING)
        self._lanes = [r.streamCreateWithFlags(NON_BLOCKING) for _ in range(streams())]
        self._staging = Staging(self.api, self.work)
        self._kernels: dict[Unit, _Kernel] = {}
        for stream in (self.work, *self._lanes):
            owned(self, r.streamDestroy, stream)

    def alloc(self, size: int) -> _Memory:
        r = self.api.runtime
        address = self.api.made(lambda: r.malloc(max(size, 1)))
        r.memsetAsync(address, 0, max(size, 1), self.work)
        return _Memory(self, address)

    def write(self, address: int, array: Array) -> None:
        if array.nbytes:
            self._staging.write(address, array)

    def read(self, address: int, array: Array) -> None:
        self.read_all([(address, array)])

    def read_all(self, wanted: Sequence[tuple[int, Array]]) -> None:
        self._staging.read([(address, array) for address, array in wanted if array.nbytes])

    def compile(self, units: Collection[Unit]) -> None:
        """Several at a time: the compiler is a library that works outside Python's lock."""
        new = [unit for unit in units if unit not in self._kernels]
        if not new:
            return
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            made = list(threads.map(lambda unit: self.api.compiled(unit, self.architecture), new))
        for unit, code in zip(new, made, strict=True):
            self._kernels[unit] = self._loaded(code)

    def run(self, launches: Sequence[Launch]) -> None:
        self._ready(launches)
        for launch in launches:
            self._begin(launch, self.work)

    def record(self, steps: Sequence[Step]) -> Recording:
        self._ready([launch for step in steps for launch in step.launches])
        made = schedule([step.after for step in steps], len(self._lanes))
        graph = self._captured(steps, made)
        try:
            return _Graph(self, graph, tuple(steps))
        finally:
            self.api.runtime.graphDestroy(graph)

    def synchronize(self) -> None:
        self.api.runtime.streamSynchronize(self.work)

    def spare(self) -> int:
        return int(self.api.runtime.memGetInfo()[0])

    def facts(self) -> dict[str, Any]:
        major, minor = self.capability
        return {
            "name": self.name,
            "architecture": self.architecture,
            "processors": self.processors,
            "compute capability": f"{major}.{minor}",
            "memory": self.memory,
            "driver": version(self.api.runtime.driverGetVersion()),
            "runtime": version(self.api.runtime.runtimeGetVersion()),
        }

    def _ready(self, launches: Sequence[Launch]) -> None:
        """Kernels are there and may have the shared memory that they ask for."""
        self.compile({launch.unit for launch in launches})
        for launch in launches:
            kernel = self._kernels[launch.unit]
            if launch.shared > kernel.granted:
                self.api.driver.funcSetAttribute(kernel.function, SHARED_BYTES, launch.shared)
                kernel.granted = launch.shared

    def _loaded(self, code: Compiled) -> _Kernel:
        self._bind()
        module = self.api.made(lambda: self.api.driver.moduleLoadData(code.cubin))
        return _Kernel(self.api.driver.moduleGetFunction(module, code.name), GRANTED - code.shared)

    def _begin(self, launch: Launch, stream: int) -> None:
        self._bind()
        pointers = (ctypes.c_void_p * 1)(ctypes.addressof(launch.arguments))
        shape = (*launch.grid, launch.block, 1, 1)
        function = self._kernels[launch.unit].function
        self.api.driver.launchKernel(function, *shape, launch.shared, stream, ctypes.addressof(pointers), 0)

    def _bind(self) -> None:
        """The driver's functions need the GPU's context in this thread; those of the runtime bring it."""
        if not getattr(self._thread, "bound", False):
            self.api.runtime.memGetInfo()
            self._thread.bound = True

    def _captured(self, steps: Sequence[Step], made: Schedule) -> int:
        """The steps as a CUDA graph. Everything is there already: nothing is allocated, loaded or copied here."""
        r, (first, *_) = self.api.runtime, self._lanes
        events = {number: r.eventCreateWithFlags(UNTIMED) for number in (_START, *made.signals)}
        r.streamBeginCapture(first, RELAXED)
        try:
            r.eventRecord(events[_START], first)
            for stream in self._lanes[1 : made.streams]:
                r.streamWaitEvent(stream, events[_START])
            self._begin_all(steps, made, events)
            for number in made.joins:
                r.streamWaitEvent(first, events[number])
        except BaseException:
            with suppress(Exception):
                r.graphDestroy(r.streamEndCapture(first))
            raise
        graph: int = r.streamEndCapture(first)
        for event in events.values():
            r.eventDestroy(event)
        return graph

    def _begin_all(self, steps: Sequence[Step], made: Schedule, events: dict[int, int]) -> None:
        r = self.api.runtime
        for number, (step, placed) in enumerate(zip(steps, made.placed, strict=True)):
            stream = self._lanes[placed.stream]
            for wait in placed.waits:
                r.streamWaitEvent(stream, events[wait])
            for launch in step.launches:
                self._begin(launch, stream)
            if number in made.signals:
                r.eventRecord(events[number], stream)


_START = -1
"""The event that other streams wait for, to be recorded with the first."""


def streams() -> int:
    """GRAPHDSL_STREAMS, or as many as are taken otherwise."""
    given = os.environ.get("GRAPHDSL_STREAMS", "")
    return int(given) if given.isdecimal() and int(given) > 0 else STREAMS


def version(number: int) -> str:
    """13000 -> `13.0`"""
    return f"{number // 1000}.{number % 1000 // 10}"


class _Kernel:
    """A loaded kernel. granted: bytes of shared memory that launches may ask for."""

    def __init__(self, function: int, granted: int) -> None:
        self.function = function
        self.granted = granted


class _Memory:
    """A stretch of the GPU's memory, free again when nobody holds this."""

    def __init__(self, device: CupyDevice, address: int) -> None:
        def release(address: int) -> None:
            device.synchronize()
            device.api.runtime.free(address)

        self.address = address
        owned(self, release, address)


class _Graph:
    """A recording, and what keeps the memory that it uses."""

    def __init__(self, device: CupyDevice, graph: int, keeps: tuple[Step, ...]) -> None:
        r = device.api.runtime
        self._keeps = device, keeps
        self._launch = r.graphLaunch
        self._stream = device.work
        self._whole = device.api.made(lambda: r.graphInstantiate(graph))
        owned(self, r.graphExecDestroy, self._whole)
        r.graphUpload(self._whole, self._stream)

    def __call__(self) -> None:
        self._launch(self._whole, self._stream)
