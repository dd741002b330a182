"""Mistakes that people make in kernels, planted in ours, to see that the tests find them.

As a program, under sanitizers: `python -m tests.support.cuda.faults [NAME]` makes the call of a fault with the fault in
place, or without a name the calls of all on the kernels as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from unittest import mock

import numpy as np

from graphdsl.backends.cuda import nms, tiles, unit
from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.backends.cuda.launch import Launch
from graphdsl.backends.cuda.unit import Unit
from graphdsl.ir import Array, Operator
from graphdsl.ops import Conv, GlobalMaxPool, MatMul, MaxPool, MaxPoolGradient, Softmax, Transpose
from tests.support.calls import close, exact, made
from tests.support.cuda.kernels import wave
from tests.support.cuda.simulated import SANITIZED, SimulatedDevice

TOLERANCE = {"float32": 2e-5, "tf32": 4e-3, "bf16": 3e-2}

Work = Callable[[CudaBackend], None]
"""A call, with the assertion that its results are right."""


@dataclass(frozen=True)
class Fault:
    """A mistake: in a file of kernels/, `right` is replaced by `wrong`.

    seed    of the schedule that shows it: 7 where only a shuffled one does
    beside  whether it touches memory beside an array, which only sanitizers see for certain
    """

    file: str
    right: str
    wrong: str
    work: Work
    precision: str = "float32"
    seed: int = 0
    beside: bool = False


def _demand_right(machine: CudaBackend, op: Operator, *arrays: Array) -> None:
    for actual, expected in zip(made(machine, op, arrays), exact(op, arrays), strict=True):
        close(actual, expected, TOLERANCE[machine.precision])


def rows(machine: CudaBackend) -> None:
    _demand_right(machine, Softmax(), wave(3, 1500))


def short_rows(machine: CudaBackend) -> None:
    _demand_right(machine, Softmax(), wave(5, 70))


def turned(machine: CudaBackend) -> None:
    _demand_right(machine, Transpose((1, 0)), wave(70, 45))


def product(machine: CudaBackend) -> None:
    _demand_right(machine, MatMul(), wave(37, 50), wave(50, 40))


def convolution(machine: CudaBackend) -> None:
    """In tiles of 64 x 64."""
    with mock.patch.multiple(tiles, PLAIN=(tiles.PLAIN[1],), TENSOR=(tiles.TENSOR[2],)):
        _demand_right(machine, Conv((1, 1), ((1, 1), (1, 1)), (1, 1), 1), wave(3, 9, 7, 8), wave(3, 3, 8, 40))


def pool_gradient(machine: CudaBackend) -> None:
    window = (3, 3), (2, 2), ((1, 1), (1, 1))
    y, winner = MaxPool(*window).reference(wave(2, 11, 8, 5))
    _demand_right(machine, MaxPoolGradient(*window, (11, 8)), wave(*y.shape), winner)


def sequence_pool(machine: CudaBackend) -> None:
    _demand_right(machine, GlobalMaxPool(), wave(3, 7, 40))


def boxes(machine: CudaBackend) -> None:
    """Of 450 boxes a third goes: each overlaps a better one, and a worse one that therefore stays."""
    corners = np.concatenate([20 * np.arange(150) + shift for shift in (0, 2, 4)])[:, None] + np.array([0, 0, 9, 9])
    found = nms.nms(corners.astype(np.float32), np.arange(450.0, 0, -1), overlap=0.4, device=machine.device)
    np.testing.assert_array_equal(found, np.delete(np.arange(450), np.s_[150:300]))


_BARRIER = "        __syncthreads();\n"
_STEP = "        copies_wait<STAGES - 2>();\n" + _BARRIER
_AHEAD = "loads.load(room + to, room + to + A);\n        copies_commit();\n"

FAULTS = {
    "a barrier is missing between warps": Fault(
        "block.cuh", "parts[threadIdx.x / 32] = x;\n    __syncthreads();", "parts[threadIdx.x / 32] = x;", rows, seed=7
    ),
    "a barrier is missing before a tile is read": Fault("shape.cu", "    __syncthreads();\n", "", turned, seed=7),
    "a barrier is missing between what one thread decides and what all do": Fault(
        "nms.cu", "a.most - count);\n" + _BARRIER, "a.most - count);\n", boxes, seed=7
    ),
    "a barrier is missing in a pipeline": Fault("tiles.cuh", _STEP, _STEP.replace(_BARRIER, ""), convolution, seed=7),
    "a barrier stands in divergent code": Fault(
        "block.cuh", "__syncthreads();\n    if", "if (threadIdx.x < 64) __syncthreads();\n    if", rows
    ),
    "lanes of a warp do not shuffle together": Fault(
        "softmax.cu", "sum = over_warp", "if (threadIdx.x % 32 < 16) sum = over_warp", short_rows
    ),
    "a group of copies too few is waited for": Fault("tiles.cuh", "<STAGES - 2>", "<STAGES - 1>", convolution),
    "a group of copies is not committed at the end": Fault(
        "tiles.cuh", _AHEAD, "{ " + _AHEAD + "        }\n", convolution
    ),
    "a pipeline reads the wrong slot": Fault("tiles.cuh", "int from = 0,", "int from = STAGE,", convolution),
    "a pipeline fills a slot that is in use": Fault(
        "tiles.cuh", "to = (STAGES - 1) * STAGE;\n    for", "to = (STAGES - 2) * STAGE;\n    for", convolution
    ),
    "lanes take each other's part of a fragment": Fault(
        "tiles.cuh",
        "int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;\n        const float *slot",
        "int g = threadIdx.x % 8, t = threadIdx.x % 32 / 8;\n        const float *slot",
        convolution,
        precision="tf32",
    ),
    "an index is off by one": Fault("max_pool.cu", "a.winner[k] == own)", "a.winner[k] == own + 1)", pool_gradient),
    "shared memory is not cleared": Fault("nms.cu", "removed[w] = 0;", ";", boxes),
    "threads behind the last row store": Fault("softmax.cu", "if (row >= a.rows) return;", "", short_rows, beside=True),
    "threads behind the last channel read": Fault(
        "max_pool.cu", "s < a.size && c < a.channels;", "s < a.size;", sequence_pool, beside=True
    ),
    "a tile reaches below the last row": Fault(
        "linear.cu", "if (row >= p.rows || column", "if (column", product, beside=True
    ),
}


@contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """The fault is in its file; asserts that the text that it replaces is there, once."""
    read = unit._text

    def text(name: str) -> str:
        found = read(name)
        if name != fault.file:
            return found
        assert found.count(fault.right) == 1, f"{name} holds {found.count(fault.right)} times: {fault.right}"
        return found.replace(fault.right, fault.wrong)

    with mock.patch.object(unit, "_text", text):
        yield


class Compiling(SimulatedDevice):
    """Compiles, and runs nothing: what is built with sanitizers can be loaded only under them."""

    def compile(self, units: Collection[Unit]) -> None:
        for each in units:
            self.built(each)

    def run(self, launches: Sequence[Launch]) -> None:
        self.compile({launch.unit for launch in launches})


def build(fault: Fault) -> None:
    """Compiles what the call of a fault needs under sanitizers, with the fault and without."""
    machine = CudaBackend(Compiling(flags=SANITIZED), precision=fault.precision)
    with suppress(AssertionError):
        fault.work(machine)
    with planted(fault), suppress(AssertionError):
        fault.work(CudaBackend(Compiling(flags=SANITIZED), precision=fault.precision))


def main() -> None:
    for name, fault in FAULTS.items():
        machine = CudaBackend(SimulatedDevice(flags=SANITIZED, exact=True), precision=fault.precision)
        if name in sys.argv[1:]:
            with planted(fault):
                fault.work(machine)
        elif fault.beside and not sys.argv[1:]:
            fault.work(machine)
    print("clean")


if __name__ == "__main__":
    main()
