"""Formulas over whole tensors: elementwise.cu."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import ceil

from graphdsl.backends.axes import coalesced
from graphdsl.backends.cuda.divider import divider, divider_of
from graphdsl.backends.cuda.formula import Formula, formula_of, letters
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import THREADS, Arrays, Gpu, index_type, launches
from graphdsl.backends.cuda.unit import Arguments, Unit, address, f32, i32, i64
from graphdsl.ir import Call
from graphdsl.ops import Elementwise, Formulas
from graphdsl.ops.expression import Expression

AXES = 6
"""As in elementwise.cu."""


@launches(Elementwise, Formulas)
def elementwise(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """Formulas over tensors of float32, int32 and bool."""
    op = call.op
    assert isinstance(op, Elementwise | Formulas)
    return computed(op.trees if isinstance(op, Formulas) else (op.tree,), inputs, outputs, gpu)


def computed(trees: Sequence[Expression], inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """The trees over inputs, whatever shapes these have that stretch to that of the outputs."""
    y = outputs[0]
    axes = coalesced([*inputs, y], y.shape)
    skip = 1 if axes.shape[0] == 1 else 0
    shape, strides = axes.shape[skip:], [s[skip:] for s in axes.strides[:-1]]
    classes = letters(inputs, [bool(s[-1]) for s in strides])
    known = letters(outputs, [True] * len(outputs))
    if classes is None or known is None or len(shape) > AXES:
        return None
    if not y.size:
        return Plan(())
    if any(n >= 2**31 for s in (shape, *strides) for n in s):
        return None
    formula = formula_of(trees, classes, y.dtype.name)
    along = [inputs[i] for i in formula.operands if strides[i][-1]]
    n = 4 if all(a.address % (4 * a.dtype.itemsize) == 0 for a in (*along, *outputs)) else 1
    n = n if len(shape) == 1 or shape[-1] % n == 0 else 1
    arguments = _arguments(formula, (*shape[:-1], ceil(shape[-1] / n)), inputs, outputs, strides)
    unit = Unit("elementwise", f"elementwise<{len(shape)}, {n}, {index_type(y.size)}>", type(arguments), formula.text)
    return Plan((Launch(unit, gpu.grid(ceil(y.size / n)), THREADS, arguments),))


def _arguments(
    formula: Formula,
    sizes: Sequence[int],
    inputs: Arrays,
    outputs: Arrays,
    strides: Sequence[Sequence[int]],
) -> Arguments:
    kind = argument_struct(len(formula.operands), len(outputs), len(formula.literals))
    arguments = kind(count=outputs[0].size)
    for axis, size in enumerate(sizes):
        arguments.sizes[axis] = divider_of(size)
    for number, index in enumerate(formula.operands):
        arguments.operands[number] = inputs[index].address
        arguments.strides[number][: len(sizes)] = list(strides[index])
    arguments.results[:] = [a.address for a in outputs]
    arguments.k[: len(formula.literals)] = formula.literals
    return arguments


@cache
def argument_struct(operands: int, results: int, literals: int) -> type[Arguments]:
    """The struct for a formula with so many of each."""

    class elementwise_args(Arguments):
        _fields_ = (
            ("operands", address * max(operands, 1)),
            ("results", address * results),
            ("count", i64),
            ("sizes", divider * AXES),
            ("strides", i32 * AXES * max(operands, 1)),
            ("k", f32 * max(literals, 1)),
        )

    return elementwise_args
