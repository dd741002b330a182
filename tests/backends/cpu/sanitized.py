"""Runs every sample on kernels built with sanitizers: `LD_PRELOAD=libasan.so python sanitized.py FOLDER`.

FOLDER has them for one set of instructions, or for two that are of one library.

Every array is a piece of malloc's memory of exactly its size, so that a byte read or written beside it is noticed.
AddressSanitizer and UndefinedBehaviorSanitizer end the process at the first mistake.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np

from graphdsl.backends.cpu import conv_half, library, winograd
from graphdsl.backends.cpu.backend import CpuBackend
from graphdsl.backends.cpu.program import table
from graphdsl.ir import Array
from graphdsl.ops import Conv
from tests.support.calls import made, samples, single

LARGER = (
    (Conv((2, 2), ((0, 0), (0, 0)), (1, 1), 1), (2, 5, 5, 512), (1, 1, 512, 40)),
    (Conv((1, 1), ((1, 1), (1, 1)), (1, 1), 1), (1, 7, 7, 160), (3, 3, 160, 100)),
)
"""What no sample is large enough for: operators, and the shapes of what they take."""


class Exact(CpuBackend):
    """Memory without any room to spare."""

    def alloc(self, size: int) -> Array:
        return np.frombuffer((ctypes.c_uint8 * size)(), np.uint8)


def halved(machine: CpuBackend) -> None:
    """3x3 convolutions of stride 2, of a size that is done in tiles of 7x7: samples are smaller."""
    x, kernel = np.ones((2, 15, 18, 17), np.float32), np.ones((3, 3, 17, 50), np.float32)
    op = Conv((2, 2), ((1, 1), (0, 1)), (1, 1), 1)
    with patch.object(conv_half, "shorter", return_value=True):
        (y,) = made(machine, op, (x, kernel))
        made(machine, op.for_input(x.shape[1:3]), (y, kernel))
        made(machine, op.for_kernel((3, 3)), (x, y))


def winograd_in_blocks(machine: CpuBackend) -> None:
    """More tiles than a block has, whichever way a convolution of these sizes would be calculated."""
    for channels, filters in ((16, 16), (20, 40)):
        shapes = (8, 20, 18, channels), (3, 3, channels, filters), (8, 20, 18, filters)
        x, kernel, y = (machine.alloc(4 * int(np.prod(s))).view(np.float32).reshape(s) for s in shapes)
        plans = (
            winograd.convolution(x, kernel, y, (1, 1), machine.machine, staged=False),
            winograd.kernel_gradient(x, y, kernel, (1, 1), machine.machine, staged=False),
        )
        for plan in plans:
            table(machine.library, plan.steps)()


def main() -> None:
    library.FOLDER = Path(sys.argv[1])
    for machine in [Exact(library.load(isa)) for isa in library.available()]:
        for _, sample in samples():
            made(machine, sample.operator, single(sample.arrays))
        for op, *shapes in LARGER:
            made(machine, op, [np.ones(shape, np.float32) for shape in shapes])
        halved(machine)
        winograd_in_blocks(machine)
    print("clean")


if __name__ == "__main__":
    main()
