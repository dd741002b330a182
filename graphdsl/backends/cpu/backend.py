"""Runs programs in C: every call a few steps of one table, which a pool of threads works through without Python."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import groupby
from typing import ClassVar

import numpy as np

from graphdsl.backends.base import STRICT, Backend, Kernel
from graphdsl.backends.cpu import families
from graphdsl.backends.cpu.chains import Together, arranged
from graphdsl.backends.cpu.library import Library, stale
from graphdsl.backends.cpu.program import table
from graphdsl.backends.cpu.task import Machine, Plan, Step, Task
from graphdsl.backends.reference.backend import ReferenceBackend
from graphdsl.ir import Array, Call, DType
from graphdsl.report import dataclass


class CpuBackend(Backend):
    """Our own kernels. What they do not serve (float64, rare operators) the reference does, on the same memory."""

    name: ClassVar[str] = "cpu"
    passes: ClassVar[tuple[str, ...]] = ("reduced", "epilogue", "statistics", "ahead")

    def __init__(self, library: Library, *, fast: bool = True) -> None:
        for task in Task.__subclasses__():
            if library.size_of(task.__name__) != ctypes.sizeof(task):
                raise stale(library.isa)
        self.library = library
        self.machine = Machine(library, library.threads, fast=fast)
        self._reference = ReferenceBackend()

    def precise(self, precision: str) -> CpuBackend:
        return CpuBackend(self.library, fast=False) if precision == STRICT else self

    def alloc(self, size: int) -> Array:
        return self._reference.alloc(size)

    def view(self, memory: Array, offset: int, shape: tuple[int, ...], dtype: DType) -> Array:
        return self._reference.view(memory, offset, shape, dtype)

    def upload(self, view: Array, array: Array) -> None:
        np.copyto(view, array, casting="unsafe")

    def download(self, view: Array) -> Array:
        return view.copy()

    def kernel(
        self, call: Call, inputs: Sequence[Array], outputs: Sequence[Array], fixed: Collection[int] = ()
    ) -> Kernel:
        binder = families.BINDERS.get(type(call.op))
        plan = binder(call, inputs, outputs, replace(self.machine, fixed=frozenset(fixed))) if binder else None
        if plan is None:
            run = self._reference.sequence([self._reference.kernel(call, inputs, outputs)])
            return Fallback(call, tuple(inputs), tuple(outputs), run)
        return Native(call, tuple(inputs), tuple(outputs), self.library, plan)

    def sequence(self, kernels: Sequence[Kernel]) -> Kernel:
        made = [k for k in kernels if isinstance(k, Native | Fallback)]
        assert len(made) == len(kernels), "kernels of another backend"
        parts: list[tuple[Kernel, tuple[Step, ...]]] = []
        for part in arranged(made, self.machine):
            kernel = made[part.members[0] if isinstance(part, Together) else part]
            steps = kernel.plan.steps if isinstance(kernel, Native) else ()
            parts.append((kernel, part.steps if isinstance(part, Together) else steps))
        return _in_turn(self.library, parts)

    def preparation(self, kernels: Sequence[Kernel]) -> Kernel:
        return _in_turn(self.library, [(k, k.plan.once) for k in kernels if isinstance(k, Native) and k.plan.once])


@dataclass(frozen=True)
class Fallback:
    """A call that the reference makes."""

    call: Call
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    run: Kernel

    def __call__(self) -> None:
        self.run()


@dataclass(frozen=True)
class Native:
    """A call that C makes, on these arrays."""

    call: Call
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    library: Library
    plan: Plan

    def __call__(self) -> None:
        table(self.library, self.plan.steps)()


def _in_turn(library: Library, kernels: Sequence[tuple[Kernel, tuple[Step, ...]]]) -> Kernel:
    """All kernels as few calls: neighbours that C makes become one table."""
    runs: list[Callable[[], None]] = []
    keeps = tuple(kernel for kernel, _ in kernels)
    for native, group in groupby(kernels, key=lambda k: isinstance(k[0], Native)):
        if native:
            steps = [step for _, some in group for step in some]
            runs += [table(library, steps)] if steps else []
        else:
            runs += [kernel for kernel, _ in group]
    if len(runs) == 1:
        return _Held(runs[0], keeps)

    def run() -> None:
        for each in runs:
            each()

    return _Held(run, keeps)


@dataclass(frozen=True)
class _Held:
    """A callable with what must stay in memory as long as it is called."""

    run: Kernel
    keeps: tuple[Kernel, ...]

    def __call__(self) -> None:
        self.run()
