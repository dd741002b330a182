"""Do our kernels give the right numbers on this GPU? Every operator's samples, and large calls.

Each call runs with its results full of NaN beforehand, and is compared with the reference in float64: the largest
difference, relative to the largest number expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from graphdsl.backends.base import BF16, SINGLE, TF32, Backend, Outcome
from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.calls import Native
from graphdsl.ir import OPERATORS, Array, Call, DType, ModalOperator, Operator, TensorType
from graphdsl.ops import Conv, MatMul, MaxPool, Moments, Softmax

PRECISIONS = {SINGLE: 2e-5, TF32: 4e-3, BF16: 3e-2}
"""How far results may be off. Factors keep 24, 11 or 8 bits, and sums with signs lose some of them."""
ROUNDED = ("conv", "conv_input_gradient", "conv_kernel_gradient", "matmul")
"""Operators that have more than one precision."""


def kernels(machine: Backend, names: Iterable[str] = OPERATORS, *, large: bool = True) -> Iterator[Outcome]:
    """Operators that have kernels, in every precision that they have. large: also calls of the size of layers."""
    for name in names:
        calls = _samples(name) + (_large(name) if large else [])
        several = name in ROUNDED
        outcomes = (
            _outcome(
                f"{name} {precision}" if several else name, calls, machine.precise(precision), PRECISIONS[precision]
            )
            for precision in (PRECISIONS if several else (SINGLE,))
        )
        yield from (outcome for outcome in outcomes if outcome.calls)


def _outcome(what: str, calls: Sequence[tuple[Operator, list[Array]]], machine: Backend, bound: float) -> Outcome:
    errors, native, seconds = [0.0], 0, perf_counter()
    for op, arrays in calls:
        error = _error(op, arrays, machine)
        if error is not None:
            native += 1
            errors.append(error)
    worst = float("nan") if any(np.isnan(errors)) else max(errors)
    return Outcome(what, native, worst, bound, f"{perf_counter() - seconds:.1f} s")


def _error(op: Operator, arrays: list[Array], machine: Backend) -> float | None:
    """None where no kernel serves the call."""
    op = op.bound({})
    made = op.type(*(TensorType(a.shape, DType(a.dtype.name)) for a in arrays))
    types = made if isinstance(made, tuple) else (made,)
    inputs = [_view(machine, a.shape, DType(a.dtype.name)) for a in arrays]
    outputs = [_view(machine, t.bind({}), t.dtype) for t in types]
    for view, array in zip(inputs, arrays, strict=True):
        machine.upload(view, array)
    for view in outputs:
        machine.upload(view, np.frombuffer(b"\xff" * view.nbytes, view.dtype).reshape(view.shape))
    places = tuple(range(len(inputs) + len(outputs)))
    kernel = machine.kernel(Call(op.name, op, places[: len(inputs)], places[len(inputs) :]), inputs, outputs)
    if not isinstance(kernel, Native):
        return None
    machine.preparation([kernel])()
    machine.sequence([kernel])()
    return max(_difference(machine.download(v), e) for v, e in zip(outputs, _exact(op, arrays), strict=True))


def _view(machine: Backend, shape: tuple[int, ...], dtype: DType) -> DeviceArray:
    size = int(np.prod(shape, initial=dtype.size))
    view: DeviceArray = machine.view(machine.alloc(size), 0, shape, dtype)
    return view


def _exact(op: Operator, arrays: Sequence[Array]) -> tuple[Array, ...]:
    doubled = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    with np.errstate(all="ignore"):
        found = op.reference(*doubled)
    return found if isinstance(found, tuple) else (found,)


def _difference(made: Array, expected: Array) -> float:
    """Numbers that are no numbers must be so in both."""
    wanted = np.asarray(expected, np.float64)
    finite = np.isfinite(wanted)
    if not np.array_equal(finite, np.isfinite(made)):
        return float("nan")
    scale = max(1.0, float(np.abs(wanted[finite]).max(initial=0.0)))
    return float(np.abs(made[finite] - wanted[finite]).max(initial=0.0)) / scale


def _samples(name: str) -> list[tuple[Operator, list[Array]]]:
    found = [s for s in OPERATORS[name].samples() if not isinstance(s.operator, ModalOperator)]
    return [(s.operator, [a.astype(np.float32) if a.dtype.kind == "f" else a for a in s.arrays]) for s in found]


def _large(name: str) -> list[tuple[Operator, list[Array]]]:
    """Calls with many blocks, deep sums and tails, as layers of networks are."""
    same, half = Conv((1, 1), ((1, 1), (1, 1)), (1, 1), 1), Conv((2, 2), ((0, 1), (0, 1)), (1, 1), 1)
    pictures: list[tuple[Conv, Any, Any]] = [
        (same, (8, 28, 28, 64), (3, 3, 64, 128)),
        (half, (8, 28, 28, 64), (3, 3, 64, 96)),
        (Conv((1, 1), ((0, 0), (0, 0)), (1, 1), 1), (8, 14, 14, 256), (1, 1, 256, 64)),
        (Conv((2, 2), ((3, 3), (3, 3)), (1, 1), 1), (2, 56, 56, 3), (7, 7, 3, 64)),
        (Conv((1, 1), ((1, 1), (1, 1)), (1, 1), 96), (4, 28, 28, 96), (3, 3, 1, 96)),
    ]
    found: list[tuple[Operator, list[Array]]] = []
    for op, x, kernel in pictures:
        y = op.type(TensorType(x), TensorType(kernel)).bind({})
        cases = {
            "conv": (op, x, kernel),
            "conv_input_gradient": (op.for_input(x[1:-1]), y, kernel),
            "conv_kernel_gradient": (op.for_kernel(kernel[:2]), x, y),
        }
        found += [(c[0], [_random(c[1]), _random(c[2])]) for key, c in cases.items() if key == name]
    others: list[tuple[Operator, tuple[tuple[int, ...], ...]]] = [
        (MatMul(), ((300, 1000), (1000, 130))),
        (Softmax(), ((50, 3000),)),
        (Moments((0, 1, 2)), ((16, 28, 28, 70),)),
        (MaxPool((3, 3), (2, 2), ((1, 1), (1, 1))), ((8, 29, 29, 64),)),
    ]
    return found + [(op, [_random(shape) for shape in shapes]) for op, shapes in others if op.name == name]


def _random(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)
