"""NumPy memory, and kernels that are the operators' own meaning."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

import numpy as np

from graphdsl.backends.base import Backend, Kernel
from graphdsl.backends.reference.elementwise import blocked
from graphdsl.ir import Array, Call, DType, Operator
from graphdsl.ops import Elementwise

ALIGNMENT = 64


class ReferenceBackend(Backend):
    """Right before fast: what other backends are compared with. Matrix products run in the BLAS of NumPy."""

    name: ClassVar[str] = "reference"

    def alloc(self, size: int) -> Array:
        whole = np.zeros(size + ALIGNMENT, np.uint8)
        start = -whole.ctypes.data % ALIGNMENT
        return whole[start : start + size]

    def view(self, memory: Array, offset: int, shape: tuple[int, ...], dtype: DType) -> Array:
        return np.ndarray(shape, dtype.numpy, memory.data, offset)

    def upload(self, view: Array, array: Array) -> None:
        np.copyto(view, array, casting="unsafe")

    def download(self, view: Array) -> Array:
        return view.copy()

    def kernel(
        self, call: Call, inputs: Sequence[Array], outputs: Sequence[Array], fixed: Collection[int] = ()
    ) -> Kernel:
        if isinstance(call.op, Elementwise):
            return blocked(call.op, inputs, outputs[0])
        return _reference(call.op, tuple(inputs), tuple(outputs))

    def sequence(self, kernels: Sequence[Kernel]) -> Kernel:
        """All kernels in order. That a number is infinite or no number is no surprise here; who trains looks for it."""

        def run() -> None:
            with np.errstate(all="ignore"):
                for kernel in kernels:
                    kernel()

        return run


def _reference(op: Operator, inputs: tuple[Array, ...], outputs: tuple[Array, ...]) -> Kernel:
    (first, *more) = outputs

    def run() -> None:
        made = op.reference(*inputs)
        arrays = made if isinstance(made, tuple) else (made,)
        np.copyto(first, arrays[0], casting="unsafe")
        for target, array in zip(more, arrays[1:], strict=True):
            np.copyto(target, array, casting="unsafe")

    return run
