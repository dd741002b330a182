"""Calls made ready for the GPU: which kernels, on what grid, with what arguments; one function an operator.

A launcher is a function from a call and its arrays to a Plan, or to None where no kernel serves it; then the operator's
own reference does, on the CPU. One file a family, with the stem of the operator's file and of the CUDA file:

    @launches(MaxPool)
    def max_pool(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
        unit = Unit("max_pool", "max_pool<256>", max_pool_args)
        return Plan((Launch(unit, blocks(outputs[0].size, 256), 256, max_pool_args(x=inputs[0].address, ...)),))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from math import ceil, prod
from typing import TypeVar

import numpy as np

from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.device import Device
from graphdsl.backends.cuda.launch import Plan
from graphdsl.ir import Array, Call, Operator
from graphdsl.report import dataclass

Arrays = Sequence[DeviceArray]

THREADS = 256
"""In a block, where nothing speaks for another number."""
WAVES = 16
"""Blocks for each processor, at most, where threads may take several elements."""


@dataclass(frozen=True)
class Gpu:
    """What a launcher may know of where the call will run.

    precision  of products: "float32" (sums as they stand), "tf32" or "bf16" (factors rounded, sums in float32)
    fixed      positions of the operands that hold the same numbers in every run until weights are written from outside
    """

    device: Device
    precision: str = "float32"
    fixed: frozenset[int] = field(default=frozenset())

    def room(self, *shape: int, dtype: str = "float32") -> DeviceArray:
        """An array that a kernel keeps to itself, zeroed."""
        kind = np.dtype(dtype)
        memory = self.device.alloc(prod(shape) * kind.itemsize)
        return DeviceArray(memory, memory.address, shape, kind)

    def constant(self, array: Array) -> DeviceArray:
        """A table that kernels read, copied to the device."""
        made = self.room(*array.shape, dtype=array.dtype.name)
        self.device.write(made.address, np.ascontiguousarray(array))
        return made

    def grid(self, count: int, each: int = THREADS) -> tuple[int, int, int]:
        """Blocks of which every thread takes one of count elements, or several where that would be very many."""
        return blocks(count, each, WAVES * self.device.processors)


Launcher = Callable[[Call, Arrays, Arrays, Gpu], Plan | None]
L = TypeVar("L", bound=Launcher)

LAUNCHERS: dict[type[Operator], Launcher] = {}


def launches(*operators: type[Operator]) -> Callable[[L], L]:
    """Decorator: the function makes calls of these operators ready."""

    def register(function: L) -> L:
        for operator in operators:
            assert operator not in LAUNCHERS, f"two launchers for {operator.name}"
            LAUNCHERS[operator] = function
        return function

    return register


def plan_of(op: Operator, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """What a call of op launches; None where no kernel serves it."""
    launcher = LAUNCHERS.get(type(op))
    return launcher(Call("", op, (), ()), inputs, outputs, gpu) if launcher else None


def in_turn(*plans: Plan | None) -> Plan | None:
    """The plans one after another; None where one of them is not there."""
    if any(plan is None for plan in plans):
        return None
    found = [plan for plan in plans if plan is not None]
    return Plan(tuple(x for p in found for x in p.launches), tuple(x for p in found for x in p.once))


def blocks(items: int, each: int = THREADS, most: int = 1 << 30) -> tuple[int, int, int]:
    """A grid along x for so many items, each block taking `each` of them; no more than `most` blocks."""
    return (max(1, min(ceil(items / each), most)), 1, 1)


def index_type(count: int) -> str:
    """What kernels count so many elements with: dividing 32 bits takes a fraction of the time of 64."""
    return "u32" if count < 1 << 31 else "i64"


def element_type(bytes: int) -> str:
    """What moves so many bytes at a time: 1, 4, 8 or 16."""
    return {1: "u8", 4: "u32", 8: "u64", 16: "words"}[bytes]
