"""Runs programs on a GPU: every call a few launches, a program one recording."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Any, ClassVar

import numpy as np

from graphdsl.backends.base import BF16, SINGLE, TF32, Backend, Kernel, Outcome
from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.calls import Fallback, Native
from graphdsl.backends.cuda.device import Device, DeviceMemory
from graphdsl.backends.cuda.families import LAUNCHERS
from graphdsl.backends.cuda.launch import Launch
from graphdsl.backends.cuda.launcher import Gpu
from graphdsl.backends.cuda.many import together
from graphdsl.backends.cuda.order import steps_of
from graphdsl.backends.cuda.selfcheck import kernels
from graphdsl.ir import Array, Call, DType
from graphdsl.report import dataclass

BESIDE = 256 << 20
"""Bytes that are left free for what no plan knows: arrays on their way, the code of kernels, recordings."""


class CudaBackend(Backend):
    """Our own kernels on one GPU. What they do not serve (float64, rare operators) the reference does on the CPU, with
    its operands copied there and its results back."""

    name: ClassVar[str] = "cuda"
    passes: ClassVar[tuple[str, ...]] = ("inline", "reduced", "epilogue", "together")
    apart: ClassVar[int] = 1 << 20

    def __init__(self, device: Device, *, precision: str = SINGLE, eager: bool | None = None) -> None:
        """eager: whether programs run launch by launch, not as a recording; None: as GRAPHDSL_EAGER=1 says."""
        self.device = device
        self.precision = precision
        self.eager = os.environ.get("GRAPHDSL_EAGER") == "1" if eager is None else eager

    def precise(self, precision: str) -> CudaBackend:
        known = precision if precision in (TF32, BF16) else SINGLE
        return CudaBackend(self.device, precision=known, eager=self.eager)

    def eagerly(self) -> CudaBackend:
        return CudaBackend(self.device, precision=self.precision, eager=True)

    def checked(self) -> Iterator[Outcome]:
        return kernels(self)

    def facts(self) -> dict[str, Any]:
        return self.device.facts()

    def alloc(self, size: int) -> DeviceMemory:
        return self.device.alloc(size)

    def spare(self) -> int | None:
        left = self.device.spare()
        return None if left is None else max(0, left - BESIDE)

    def view(self, memory: DeviceMemory, offset: int, shape: tuple[int, ...], dtype: DType) -> DeviceArray:
        return DeviceArray(memory, memory.address + offset, shape, np.dtype(dtype.numpy))

    def upload(self, view: DeviceArray, array: Array) -> None:
        if array.shape != view.shape or array.dtype != view.dtype or not array.flags.c_contiguous:
            given, array = array, np.empty(view.shape, view.dtype)
            np.copyto(array, given, casting="unsafe")
        self.device.write(view.address, array)

    def download(self, view: DeviceArray) -> Array:
        return self.download_all([view])[0]

    def download_all(self, views: Sequence[DeviceArray]) -> list[Array]:
        arrays: list[Array] = [np.empty(view.shape, view.dtype) for view in views]
        self.device.read_all([(view.address, array) for view, array in zip(views, arrays, strict=True)])
        return arrays

    def synchronize(self) -> None:
        self.device.synchronize()

    def kernel(
        self, call: Call, inputs: Sequence[DeviceArray], outputs: Sequence[DeviceArray], fixed: Collection[int] = ()
    ) -> Kernel:
        launcher = LAUNCHERS.get(type(call.op))
        gpu = Gpu(self.device, self.precision, frozenset(fixed))
        plan = launcher(call, inputs, outputs, gpu) if launcher else None
        if plan is None:
            return Fallback(call, tuple(inputs), tuple(outputs), self.device)
        return Native(call, tuple(inputs), tuple(outputs), self.device, plan)

    def sequence(self, kernels: Sequence[Kernel]) -> Kernel:
        """Neighbours that the GPU makes become one recording."""
        made = [k for k in kernels if isinstance(k, Native | Fallback)]
        assert len(made) == len(kernels), "kernels of another backend"
        if self.eager:
            self.device.compile({x.unit for k in made if isinstance(k, Native) for x in k.plan.launches})
            return _InTurn(tuple(made))
        parts: list[Kernel] = []
        for native, group in groupby(made, key=lambda k: isinstance(k, Native)):
            some = list(group)
            parts += [self._recorded([k for k in some if isinstance(k, Native)])] if native else some
        return parts[0] if len(parts) == 1 else _InTurn(tuple(parts))

    def preparation(self, kernels: Sequence[Kernel]) -> Kernel:
        launches = [x for k in kernels if isinstance(k, Native) for x in k.plan.once]
        self.device.compile({x.unit for x in launches})
        return _Launches(self.device, tuple(launches))

    def _recorded(self, kernels: Sequence[Native]) -> Kernel:
        calls = together(kernels, self.device)
        self.device.compile({x.unit for call in calls for x in call.plan.launches})
        return _Held(self.device.record(steps_of(calls)), tuple(kernels))


@dataclass(frozen=True)
class _Launches:
    """Launches that are begun when it is called."""

    device: Device
    launches: tuple[Launch, ...]

    def __call__(self) -> None:
        self.device.run(self.launches)


@dataclass(frozen=True)
class _InTurn:
    """Kernels one after another."""

    kernels: tuple[Kernel, ...]

    def __call__(self) -> None:
        for kernel in self.kernels:
            kernel()


@dataclass(frozen=True)
class _Held:
    """A recording with the kernels whose arrays it uses."""

    run: Kernel
    keeps: tuple[Native, ...]

    def __call__(self) -> None:
        self.run()
