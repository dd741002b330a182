"""Standardize: rows in one launch (norm.cu), anything else as statistics and then formulas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, prod

import numpy as np

from graphdsl.backends.cuda.array import DeviceArray, all_of
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import THREADS, Arrays, Gpu, in_turn, launches, plan_of
from graphdsl.backends.cuda.unit import Arguments, Unit, address, f32, i64
from graphdsl.ir import Array, Call, Operator
from graphdsl.ops import Elementwise, Moments, Reduced, Standardize
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Expression, Literal, Operand

X, A, B, C = (Operand(i) for i in range(4))
FEW, MANY = 64, 4096
"""Numbers of a row up to which eight threads take it, and up to which a warp does; above, a block does."""


class standardize_args(Arguments):
    _fields_ = (
        *((n, address) for n in ("x", "y", "mean", "variance", "count")),
        *((n, i64) for n in ("rows", "columns")),
        ("eps", f32),
    )


@launches(Standardize)
def standardize(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """Of float32."""
    op, (x, *lengths) = call.op, inputs
    assert isinstance(op, Standardize)
    size = prod(x.shape[a] for a in op.axes)
    if not all_of("float32", x, *outputs) or not all_of("int32", *lengths) or not x.size:
        return None
    if lengths:
        return _masked(op, x, lengths, outputs, gpu)
    last = tuple(range(x.ndim - len(op.axes), x.ndim))
    if tuple(sorted(op.axes)) == last and size < 2**31:
        return _rows(x, outputs, size, op.eps, gpu)
    steps = _Steps(gpu)
    y, mean, variance, count = outputs
    steps.add(Moments(op.axes), [x], [mean, variance])
    steps.formula((X - A) * (1 / e.sqrt(B + op.eps)), [x, mean, variance], y)
    steps.formula(Literal(float(size)), [], count)
    return steps.plan()


def _rows(x: DeviceArray, outputs: Arrays, columns: int, eps: float, gpu: Gpu) -> Plan:
    y, mean, variance, count = outputs
    rows = x.size // columns
    few = ceil(rows / 8) < gpu.device.processors and columns > 4 * THREADS
    group = THREADS if few or columns > MANY else 8 if columns <= FEW else 32
    n = 4 if columns % 4 == x.address % 16 == y.address % 16 == 0 else 1
    arguments = standardize_args(
        *(a.address for a in (x, y, mean, variance, count)), rows=rows, columns=columns, eps=eps
    )
    unit = Unit("norm", f"standardize_rows<{group}, {n}>", standardize_args)
    return Plan((Launch(unit, (ceil(rows * group / THREADS), 1, 1), THREADS, arguments),))


def _masked(op: Standardize, x: DeviceArray, lengths: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """Where only the real steps of each sample count."""
    steps = _Steps(gpu)
    y, mean, variance, count = outputs
    real = _real(steps, op, x, lengths)
    others = prod(x.shape[a] for a in op.axes if a not in (0, *op.steps))
    total = steps.room(*(1 for _ in real.shape))
    steps.add(Reduced(tuple(range(real.ndim)), (X,), 1), [real], [total])
    steps.formula(e.maximum(X * others, 1.0), [total.reshaped()], count)
    steps.add(Reduced(op.axes, (e.where(A, X, 0),), 2), [x, real], [mean])
    steps.formula(X / A, [mean, count], mean)
    steps.add(Reduced(op.axes, (e.where(A, (X - B) * (X - B), 0),), 3), [x, real, mean], [variance])
    steps.formula(X / A, [variance, count], variance)
    steps.formula(e.where(A, (X - B) / e.sqrt(C + op.eps), 0), [x, real, mean, variance], y)
    return steps.plan()


def _real(steps: _Steps, op: Standardize, x: DeviceArray, lengths: Sequence[DeviceArray]) -> DeviceArray:
    """1 at the places that count, 0 elsewhere; 1 in place of the axes that have no lengths."""
    real = steps.room(*(s if a in (0, *op.steps) else 1 for a, s in enumerate(x.shape)))
    operands: list[DeviceArray] = []
    tree: Expression | None = None
    for axis, own in zip(op.steps, lengths, strict=True):
        places = np.arange(x.shape[axis], dtype=np.int32)
        exists = Operand(len(operands)) < Operand(len(operands) + 1)
        operands.append(steps.constant(places.reshape(-1, *(1,) * (x.ndim - axis - 1))))
        operands.append(own.reshaped(own.size, *(1,) * (x.ndim - 1)))
        tree = exists if tree is None else e.both(tree, exists)
    assert tree is not None
    steps.formula(e.where(tree, 1, 0), operands, real)
    return real


class _Steps:
    """Calls that follow each other, and the arrays that they keep to themselves."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu
        self.plans: list[Plan | None] = []
        self.keeps: list[DeviceArray] = []

    def room(self, *shape: int) -> DeviceArray:
        self.keeps.append(self.gpu.room(*shape))
        return self.keeps[-1]

    def constant(self, array: Array) -> DeviceArray:
        self.keeps.append(self.gpu.constant(array))
        return self.keeps[-1]

    def add(self, op: Operator, inputs: Sequence[DeviceArray], outputs: Sequence[DeviceArray]) -> None:
        self.plans.append(plan_of(op, inputs, outputs, self.gpu))

    def formula(self, tree: Expression, inputs: Sequence[DeviceArray], output: DeviceArray) -> None:
        self.add(Elementwise(tree, len(inputs)), inputs, [output])

    def plan(self) -> Plan | None:
        made = in_turn(*self.plans)
        keeps = tuple(self.keeps)
        return made and Plan(tuple(replace(x, keeps=(*x.keeps, *keeps)) for x in made.launches), made.once)
