"""Calls made ready for C: structs of pointers and numbers, and which function makes them for which operator.

A binder is a function from a call and its arrays to a Plan, or to None where C cannot serve it; then the operator's own
reference does. One file a family, with the stem of the operator's file and of the C file:

    @binds(MaxPool)
    def max_pool(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
        task = max_pool_task(x=pointer(inputs[0]), ...)
        return Plan((machine.step("max_pool", task),))
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any, TypeVar

import numpy as np

from graphdsl.backends.cpu.library import Library
from graphdsl.ir import Array, Call, Operator
from graphdsl.report import dataclass

Arrays = Sequence[Array]

i64 = ctypes.c_int64
f64 = ctypes.c_double
address = ctypes.c_void_p


class Task(ctypes.Structure):
    """The struct of the same name in C: only i64, f64 and address fields. `library` checks its size when it loads."""


@dataclass(frozen=True)
class Step:
    """A C function on a task.

    serial  too little work to be shared among threads
    own     bytes of scratch for each thread
    shared  bytes of scratch for all, kept between the steps of one call
    keeps   arrays that the task points into
    """

    function: int
    task: Task
    serial: bool = False
    own: int = 0
    shared: int = 0
    keeps: tuple[Array, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a call runs.

    steps  every time
    once   before the first time, and again when weights have been written from outside: what depends on nothing else
    """

    steps: tuple[Step, ...]
    once: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Machine:
    """What a binder may know of where the call will run.

    fixed   positions of the operands that hold the same numbers in every run until weights are written from outside
    fast    whether float32 sums may be taken by shortcuts that round a little more (Winograd)
    ahead   numbers read and written by the formula that runs before the call, unless its kernel works that out as well
    """

    library: Library
    threads: int
    fixed: frozenset[int] = field(default=frozenset())
    fast: bool = True
    ahead: int = 0

    @property
    def lanes(self) -> int:
        """Floats in a vector."""
        return self.library.lanes

    def step(
        self, name: str, task: Task, *, serial: bool = False, own: int = 0, shared: int = 0, keeps: Arrays = ()
    ) -> Step:
        """The C function called name on task."""
        return Step(self.library.function(name), task, serial, own, shared, tuple(keeps))


Binder = Callable[[Call, Arrays, Arrays, Machine], Plan | None]
B = TypeVar("B", bound=Binder)

BINDERS: dict[type[Operator], Binder] = {}


def binds(*operators: type[Operator]) -> Callable[[B], B]:
    """Decorator: the function makes calls of these operators ready."""

    def register(function: B) -> B:
        for operator in operators:
            assert operator not in BINDERS, f"two binders for {operator.name}"
            BINDERS[operator] = function
        return function

    return register


def pointer(array: Array) -> int:
    """The address of an array's first element."""
    return int(array.__array_interface__["data"][0])


def room(*shape: int, dtype: Any = np.float32) -> Array:
    """An array that a kernel keeps to itself, zeroed, aligned to 64 bytes."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    whole = np.zeros(size + 64, np.uint8)
    start = -pointer(whole) % 64
    return np.ndarray(shape, dtype, whole.data, start)


def all_float32(*arrays: Array) -> bool:
    return all(a.dtype == np.float32 for a in arrays)
