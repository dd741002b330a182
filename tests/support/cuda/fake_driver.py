"""A machine behind CUDA's interface without a GPU: streams, events, graphs and memory as NVIDIA documents them.

Nothing runs before somebody waits for it, and then in any order that streams and events allow: what is not ordered by
them shows as wrong numbers. Kernels run as on the simulated device. While a stream is being captured, what must not be
called then is refused.
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np

from graphdsl.backends.cuda.api import OUT_OF_MEMORY, TO_DEVICE, TO_HOST, WITHIN, Api
from graphdsl.backends.cuda.launch import Launch
from graphdsl.backends.cuda.nvrtc import Compiled
from graphdsl.backends.cuda.unit import Unit
from tests.support.cuda.simulated import SimulatedDevice

POISON = 0xA5


class FakeError(RuntimeError):
    """What CuPy raises, with CUDA's number."""

    def __init__(self, status: int, message: str) -> None:
        RuntimeError.__init__(self, message)
        self.status = status


class Node:
    """Work that runs once those before it have run."""

    def __init__(self, work: Callable[[], None], before: list[Node], name: str = "") -> None:
        self.work, self.before, self.name, self.done = work, before, name, False

    def ancestors(self) -> Iterator[Node]:
        """Those before it, each once."""
        open_, seen = list(self.before), set()
        while open_:
            node = open_.pop()
            if id(node) not in seen:
                seen.add(id(node))
                yield node
                open_ += node.before


class Capture:
    """What is being recorded. first: the stream that it began on."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.nodes: list[Node] = []


class FakeDriver:
    """Stands for cupy.cuda.runtime and cupy.cuda.driver.

    calls     names of what was called, in order
    recorded  launches that are in recordings, in order
    memory    bytes that may be allocated
    """

    CUDARuntimeError = CUDADriverError = FakeError

    def __init__(self, seed: int = 0, memory: int = 1 << 30) -> None:
        self.random = random.Random(seed)
        self.simulated = SimulatedDevice()
        self.calls: list[str] = []
        self.recorded: list[Launch] = []
        self.memory = memory
        self.driver_version, self.devices, self.status = 13000, 1, 0
        self.about: dict[str, Any] = {"name": b"Fake GPU", "multiProcessorCount": 4, "totalGlobalMem": memory}
        self.about |= {"major": 9, "minor": 0}
        self._handles = count(1000)
        self._tails: dict[int, Node | None] = {}
        self._events: dict[int, Node | None] = {}
        self._blocks: dict[int, np.ndarray] = {}
        self._pinned: dict[int, np.ndarray] = {}
        self._modules: dict[int, bytes] = {}
        self._units: dict[bytes, Unit] = {}
        self._functions: dict[int, Unit] = {}
        self._granted: dict[int, int] = {}
        self._graphs: dict[int, list[Node]] = {}
        self._captured: dict[int, Capture] = {}
        self._begun: list[Node] = []

    @property
    def api(self) -> Api:
        return Api(self, self, self._compiled, lambda major, minor: f"sm_{major}{minor}a")

    @property
    def captures(self) -> list[list[str]]:
        """What was called in each recording."""
        found, rest = [], self.calls
        while "streamBeginCapture" in rest:
            start = rest.index("streamBeginCapture")
            end = rest.index("streamEndCapture", start)
            found.append(rest[start + 1 : end])
            rest = rest[end + 1 :]
        return found

    def _compiled(self, unit: Unit, architecture: str) -> Compiled:
        code = repr(unit).encode()
        self._units[code] = unit
        self.simulated.compile([unit])
        return Compiled(code, unit.expression, 32, 0, 0, 0, "")

    # --- machine -----------------------------------------------------------------------------------------------------

    def _called(self, name: str, *, capture: bool = False) -> None:
        """Unless it may be called while something is captured, nothing must be."""
        self.calls.append(name)
        if self._captured and not capture:
            raise FakeError(900, f"{name} while a stream is captured")

    def driverGetVersion(self) -> int:
        return self.driver_version

    def runtimeGetVersion(self) -> int:
        return 13000

    def getDeviceCount(self) -> int:
        if self.status:
            raise FakeError(self.status, "cudaErrorSomething: said of the driver")
        return self.devices

    def setDevice(self, number: int) -> None:
        self._called("setDevice")

    def getDeviceProperties(self, number: int) -> dict[str, Any]:
        return self.about

    def memGetInfo(self) -> tuple[int, int]:
        self._called("memGetInfo")
        return self.memory - sum(b.size for b in self._blocks.values()), self.memory

    # --- memory ------------------------------------------------------------------------------------------------------

    def malloc(self, size: int) -> int:
        self._called("malloc")
        if size > self.memory - sum(b.size for b in self._blocks.values()):
            raise FakeError(OUT_OF_MEMORY, "cudaErrorMemoryAllocation: out of memory")
        return _placed(self._blocks, size)

    def hostAlloc(self, size: int, flags: int) -> int:
        self._called("hostAlloc")
        return _placed(self._pinned, size)

    def free(self, address: int) -> None:
        self._called("free", capture=True)
        self._blocks.pop(address)[:] = POISON

    def memsetAsync(self, address: int, value: int, size: int, stream: int) -> None:
        self._called("memsetAsync")
        self._add(stream, lambda: ctypes.memset(address, value, size))

    def memcpyAsync(self, to: int, source: int, size: int, kind: int, stream: int) -> None:
        self._called("memcpyAsync")
        for address, device in ((to, kind != TO_HOST), (source, kind != TO_DEVICE)):
            assert not device or self._inside(address, size), "a copy outside of the GPU's memory"
        assert kind in (TO_DEVICE, TO_HOST, WITHIN)
        self._add(stream, lambda: ctypes.memmove(to, source, size))

    def _inside(self, address: int, size: int) -> bool:
        spans = ((b.ctypes.data, b.ctypes.data + b.size) for b in self._blocks.values())
        return any(start <= address and address + size <= end for start, end in spans)

    # --- kernels -----------------------------------------------------------------------------------------------------

    def moduleLoadData(self, code: bytes) -> int:
        self._called("moduleLoadData")
        self._modules[handle := next(self._handles)] = code
        return handle

    def moduleGetFunction(self, module: int, name: str) -> int:
        unit = self._units[self._modules[module]]
        assert name == unit.expression
        self._functions[handle := next(self._handles)] = unit
        return handle

    def funcSetAttribute(self, function: int, attribute: int, value: int) -> None:
        self._called("funcSetAttribute")
        assert attribute == 8
        if value > 227 << 10:
            raise FakeError(1, "CUDA_ERROR_INVALID_VALUE")
        self._granted[function] = value

    def launchKernel(self, function: int, *given: int) -> None:
        self._called("launchKernel", capture=True)
        x, y, z, block, one, another, shared, stream, pointers, extra = given
        assert one == another == 1
        assert extra == 0
        assert shared <= self._granted.get(function, 48 << 10), "more shared memory than was granted"
        unit = self._functions[function]
        first = ctypes.c_void_p.from_address(pointers).value
        assert first is not None
        arguments = unit.arguments.from_buffer_copy(ctypes.string_at(first, ctypes.sizeof(unit.arguments)))
        launch = Launch(unit, (x, y, z), block, arguments, shared)
        if stream in self._captured:
            self.recorded.append(launch)
        self._add(stream, lambda: self.simulated.run((launch,)), unit.expression)

    # --- order -------------------------------------------------------------------------------------------------------

    def streamCreateWithFlags(self, flags: int) -> int:
        self._called("streamCreateWithFlags")
        assert flags == 1, "a stream that waits for the default one"
        self._tails[handle := next(self._handles)] = None
        return handle

    def streamDestroy(self, stream: int) -> None:
        assert stream not in self._captured
        del self._tails[stream]

    def eventCreateWithFlags(self, flags: int) -> int:
        self._called("eventCreateWithFlags")
        self._events[handle := next(self._handles)] = None
        return handle

    def eventDestroy(self, event: int) -> None:
        self._called("eventDestroy", capture=True)
        del self._events[event]

    def eventRecord(self, event: int, stream: int) -> None:
        self._called("eventRecord", capture=True)
        self._events[event] = self._add(stream, lambda: None, "event")

    def streamWaitEvent(self, stream: int, event: int, flags: int = 0) -> None:
        self._called("streamWaitEvent", capture=True)
        node = self._events[event]
        owners = [c for c in self._captured.values() if node in c.nodes]
        if owners and stream not in self._captured:
            self._captured[stream] = owners[0]
            self._tails[stream] = None
        if node is None or (stream in self._captured and not owners):
            assert stream not in self._captured, "a captured stream waits for what is not captured"
            return
        self._add(stream, lambda: None, "wait", node)

    def streamSynchronize(self, stream: int) -> None:
        self.calls.append("streamSynchronize")
        assert stream not in self._captured
        self._run_for(self._tails[stream])

    def eventSynchronize(self, event: int) -> None:
        self._called("eventSynchronize")
        self._run_for(self._events[event])

    def _add(self, stream: int, work: Callable[[], None], name: str = "", *before: Node) -> Node:
        tail = self._tails[stream]
        node = self._tails[stream] = Node(work, [*([tail] if tail else []), *before], name)
        (self._captured[stream].nodes if stream in self._captured else self._begun).append(node)
        return node

    def _run_for(self, last: Node | None) -> None:
        """Runs what `last` needs and, besides, some of what else has been begun."""
        if last is None or last.done:
            return
        needed = {id(n) for n in (last, *last.ancestors())}
        extra = {id(m) for n in self._begun if self.random.random() < 0.2 for m in (n, *n.ancestors())}
        self._run([n for n in self._begun if id(n) in needed | extra])
        self._begun = [n for n in self._begun if not n.done]

    def _run(self, nodes: list[Node]) -> None:
        """In any order that respects what is before what."""
        left = list(nodes)
        while left:
            ready = [n for n in left if all(b.done for b in n.before)]
            node = self.random.choice(ready)
            node.work()
            node.done = True
            node.before = []
            left.remove(node)

    # --- graphs ------------------------------------------------------------------------------------------------------

    def streamBeginCapture(self, stream: int, mode: int) -> None:
        self._called("streamBeginCapture")
        assert mode == 2
        self._captured[stream] = Capture(stream)
        self._tails[stream] = None

    def streamEndCapture(self, stream: int) -> int:
        self.calls.append("streamEndCapture")
        capture = self._captured[stream]
        assert capture.first == stream
        tails = [self._tails[s] for s in self._captured]
        last = self._tails[stream]
        reached = {id(n) for n in (last, *last.ancestors())} if last else set()
        for other in self._captured:
            self._tails[other] = None
        self._captured = {}
        if any(tail and id(tail) not in reached for tail in tails):
            raise FakeError(904, "cudaErrorStreamCaptureUnjoined")
        self._graphs[handle := next(self._handles)] = capture.nodes
        return handle

    def graphInstantiate(self, graph: int) -> int:
        self._called("graphInstantiate")
        self._graphs[handle := next(self._handles)] = self._graphs[graph]
        return handle

    def graphUpload(self, whole: int, stream: int) -> None:
        self._called("graphUpload")

    def graphLaunch(self, whole: int, stream: int) -> None:
        self._called("graphLaunch")
        nodes = self._graphs[whole]

        def work() -> None:
            copies: dict[int, Node] = {}
            for node in nodes:
                copies[id(node)] = Node(node.work, [copies[id(b)] for b in node.before])
            self._run(list(copies.values()))

        self._add(stream, work, "graph")

    def graphDestroy(self, graph: int) -> None:
        self._called("graphDestroy", capture=True)
        del self._graphs[graph]

    def graphExecDestroy(self, whole: int) -> None:
        self._called("graphExecDestroy", capture=True)
        del self._graphs[whole]


def _placed(blocks: dict[int, np.ndarray], size: int) -> int:
    """The address of a new block among blocks, filled with what nobody wrote."""
    block = np.full(size + 256, POISON, np.uint8)
    start = block.ctypes.data
    blocks[start + -start % 256] = block
    return start + -start % 256
