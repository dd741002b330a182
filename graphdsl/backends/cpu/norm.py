"""Standardize: statistics, then formulas, made of the kernels for sums and for formulas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from graphdsl.backends.cpu.elementwise import elementwise
from graphdsl.backends.cpu.reduce import moments, reduced
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Step, all_float32, binds, room
from graphdsl.ir import Array, Call, Operator
from graphdsl.ops import Elementwise, Moments, Reduced, Standardize
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Expression, Literal, Operand

X, A, B, C = (Operand(i) for i in range(4))


@binds(Standardize)
def standardize(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    op, (x, *lengths) = call.op, inputs
    assert isinstance(op, Standardize)
    size = prod(x.shape[a] for a in op.axes)
    if not all_float32(x, *outputs) or any(n.dtype != np.int32 for n in lengths) or not size:
        return None
    steps = _Steps(call, machine)
    y, mean, variance, count = outputs
    if not lengths:
        steps.add(Moments(op.axes), [x], [mean, variance])
        steps.formula((X - A) * (1 / e.sqrt(B + op.eps)), [x, mean, variance], y)
        steps.formula(Literal(float(size)), [mean.reshape(-1)[:1].reshape(())], count)
        return steps.plan()
    real = _real(steps, op, x, lengths)
    others = prod(x.shape[a] for a in op.axes if a not in (0, *op.steps))
    total = room(*(1 for _ in real.shape))
    steps.add(Reduced(tuple(range(real.ndim)), (X,), 1), [real], [total])
    steps.formula(e.maximum(X * others, 1.0), [total.reshape(())], count)
    steps.add(Reduced(op.axes, (e.where(A, X, 0),), 2), [x, real], [mean])
    steps.formula(X / A, [mean, count], mean)
    steps.add(Reduced(op.axes, (e.where(A, (X - B) * (X - B), 0),), 3), [x, real, mean], [variance])
    steps.formula(X / A, [variance, count], variance)
    steps.formula(e.where(A, (X - B) / e.sqrt(C + op.eps), 0), [x, real, mean, variance], y)
    return steps.plan()


def _real(steps: _Steps, op: Standardize, x: Array, lengths: Sequence[Array]) -> Array:
    """1 at the places that count, 0 elsewhere; 1 in place of the axes that have no lengths."""
    shape = [s if a in (0, *op.steps) else 1 for a, s in enumerate(x.shape)]
    real = room(*shape)
    operands: list[Array] = []
    tree: Expression | None = None
    for axis, own in zip(op.steps, lengths, strict=True):
        places = room(*(s if a == axis else 1 for a, s in enumerate(x.shape)))
        places[...] = np.arange(x.shape[axis]).reshape(places.shape)
        exists = Operand(len(operands)) < Operand(len(operands) + 1)
        operands += [places, own.reshape(-1, *(1,) * (x.ndim - 1))]
        tree = exists if tree is None else e.both(tree, exists)
    assert tree is not None
    steps.formula(e.where(tree, 1, 0), operands, real)
    return real


class _Steps:
    """Steps that follow each other."""

    def __init__(self, call: Call, machine: Machine) -> None:
        self.call = call
        self.machine = machine
        self.steps: list[Step] = []

    def add(self, op: Operator, inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        bind = {Moments: moments, Reduced: reduced, Elementwise: elementwise}[type(op)]
        plan = bind(replace(self.call, op=op), inputs, outputs, self.machine)
        assert plan is not None, "all are float32"
        self.steps += [replace(s, keeps=(*s.keeps, *inputs, *outputs)) for s in plan.steps]

    def formula(self, tree: Expression, inputs: Sequence[Array], output: Array) -> None:
        self.add(Elementwise(tree, len(inputs)), inputs, [output])

    def plan(self) -> Plan:
        return Plan(tuple(self.steps))
