"""One call on a backend, and every sample of every operator to make it with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphdsl.backends import Backend
from graphdsl.ir import OPERATORS, Array, Call, DType, ModalOperator, Operator, Sample, TensorType


def samples() -> list[tuple[str, Sample]]:
    """Every sample that can be run, with a name."""
    found = [(cls, number, s) for cls in OPERATORS.values() for number, s in enumerate(cls.samples())]
    return [
        (f"{getattr(s.operator, 'title', s.operator.name)}-{number}", s)
        for _, number, s in found
        if not isinstance(s.operator, ModalOperator)
    ]


def made(machine: Backend, op: Operator, arrays: Sequence[Array]) -> tuple[Array, ...]:
    """The operator's results on arrays. Their memory holds NaN before, where it holds floats."""
    op = op.bound({})
    types = op.type(*(TensorType(a.shape, DType(a.dtype.name)) for a in arrays))
    inputs = [machine.view(machine.alloc(a.nbytes), 0, a.shape, DType(a.dtype.name)) for a in arrays]
    for view, array in zip(inputs, arrays, strict=True):
        machine.upload(view, array)
    outputs = []
    for type in types if isinstance(types, tuple) else (types,):
        shape = type.bind({})
        view = machine.view(machine.alloc(int(np.prod(shape, initial=type.dtype.size))), 0, shape, type.dtype)
        machine.upload(view, np.full(shape, np.nan if type.dtype.is_float else 1))
        outputs.append(view)
    call = Call(op.name, op, tuple(range(len(inputs))), tuple(range(len(inputs), len(inputs) + len(outputs))))
    kernels = [machine.kernel(call, inputs, outputs)]
    machine.preparation(kernels)()
    machine.sequence(kernels)()
    return tuple(machine.download(view) for view in outputs)


def exact(op: Operator, arrays: Sequence[Array]) -> tuple[Array, ...]:
    """What the reference says in float64."""
    doubled = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    with np.errstate(all="ignore"):
        found = op.bound({}).reference(*doubled)
    return found if isinstance(found, tuple) else (found,)


def single(arrays: Sequence[Array]) -> list[Array]:
    """The same arrays with float32 for floats."""
    return [a.astype(np.float32) if a.dtype.kind == "f" else a for a in arrays]


def close(actual: Array, expected: Array, tolerance: float) -> None:
    """Asserts equality up to tolerance, relative to the largest number expected."""
    finite = expected[np.isfinite(expected)] if expected.dtype.kind == "f" else expected
    scale = max(1.0, float(np.max(np.abs(finite.astype(np.float64)), initial=0.0)))
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale)
