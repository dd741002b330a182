"""Records calls, computes nothing: for tests of all that is not arithmetic."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

import numpy as np

from graphdsl.backends.base import Backend, Kernel
from graphdsl.ir import Array, Call, DType
from graphdsl.report import dataclass


@dataclass(frozen=True)
class NullView:
    """An array that is nowhere."""

    memory: int
    offset: int
    shape: tuple[int, ...]
    dtype: DType


class NullBackend(Backend):
    """What was asked of it.

    allocated  sizes, in order
    made       calls that kernels were made for, with their arrays
    ran        names of calls, as they ran
    """

    name: ClassVar[str] = "null"

    def __init__(self) -> None:
        self.allocated: list[int] = []
        self.made: list[tuple[Call, tuple[NullView, ...], tuple[NullView, ...]]] = []
        self.ran: list[str] = []

    def alloc(self, size: int) -> int:
        self.allocated.append(size)
        return len(self.allocated) - 1

    def view(self, memory: int, offset: int, shape: tuple[int, ...], dtype: DType) -> NullView:
        return NullView(memory, offset, shape, dtype)

    def upload(self, view: NullView, array: Array) -> None:
        return

    def download(self, view: NullView) -> Array:
        return np.zeros(view.shape, view.dtype.numpy)

    def kernel(
        self, call: Call, inputs: Sequence[NullView], outputs: Sequence[NullView], fixed: Collection[int] = ()
    ) -> Kernel:
        self.made.append((call, tuple(inputs), tuple(outputs)))
        return lambda: self.ran.append(call.name)
