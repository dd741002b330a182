"""Every sample of every operator as a call that our kernels make: what it launches, and with which arrays."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from graphdsl.backends.cuda.backend import CudaBackend, Native
from graphdsl.backends.cuda.launch import Launch
from graphdsl.backends.cuda.unit import Unit
from graphdsl.ir import Array, Call, DType, Operator, TensorType
from tests.support.calls import samples, single

PRECISIONS = ("float32", "tf32", "bf16")


def native(machine: CudaBackend, op: Operator, arrays: list[Array]) -> Native | None:
    """The call made ready, its arrays as they come; None where it is left to the reference."""
    types = [TensorType(a.shape, DType(a.dtype.name)) for a in arrays]
    out = op.type(*types)
    ends = list(out) if isinstance(out, tuple) else [out]
    views = [
        machine.view(machine.alloc(prod(shape := t.bind({})) * t.dtype.size), 0, shape, t.dtype)
        for t in (*types, *ends)
    ]
    places = tuple(range(len(views)))
    call = Call(op.name, op, places[: len(types)], places[len(types) :])
    kernel = machine.kernel(call, views[: len(types)], views[len(types) :])
    return kernel if isinstance(kernel, Native) else None


def launched(kernel: Native) -> tuple[Launch, ...]:
    """All that it launches, ever."""
    return (*kernel.plan.once, *kernel.plan.launches)


def met(machine: CudaBackend) -> Iterator[tuple[str, Operator, list[Array], Native]]:
    """The samples that have kernels, with their names."""
    for name, sample in samples():
        op, arrays = sample.operator.bound({}), single(sample.arrays)
        kernel = native(machine, op, arrays)
        if kernel is not None:
            yield name, op, arrays, kernel


def units(machine: CudaBackend) -> dict[Unit, str]:
    """Every instance of a kernel that the samples use, with the first sample that does."""
    found: dict[Unit, str] = {}
    for name, _, _, kernel in met(machine):
        for launch in launched(kernel):
            found.setdefault(launch.unit, name)
    return found
