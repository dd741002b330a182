"""Whole axes become one number: sums, of tensors and of formulas; mean and variance; the largest: reduce.cu."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import ceil, nan, prod

import numpy as np

from graphdsl.backends.axes import Axes, coalesced
from graphdsl.backends.cuda.array import DeviceArray, all_of
from graphdsl.backends.cuda.divider import divider, divider_of
from graphdsl.backends.cuda.elementwise import computed
from graphdsl.backends.cuda.formula import Formula, formula_of, letters
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import THREADS, Arrays, Gpu, in_turn, index_type, launches
from graphdsl.backends.cuda.unit import Arguments, Unit, address, f32, i32, i64
from graphdsl.ir import Call
from graphdsl.ops import Max, Moments, Reduced, Sum
from graphdsl.ops.expression import Expression, Literal, Operand
from graphdsl.report import dataclass

AXES, RESULTS = 6, 8
"""As in reduce.cuh."""
FEW, MANY = 16, 1024
"""Steps of a row up to which four threads take it, and up to which a warp does; above, a block does."""
STEPS = 8
"""Of a thread, at least, before a sum is cut into parts; so many blocks a processor are wanted."""
PARTS = 512
ONE = Operand(0)


@launches(Sum)
def sums(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """Of float32."""
    assert isinstance(call.op, Sum)
    return reduced("sums", (ONE,), call.op.axes, inputs, outputs, gpu)


@launches(Reduced)
def sums_of_formulas(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """Up to RESULTS together."""
    op = call.op
    assert isinstance(op, Reduced)
    parts = [slice(n, n + RESULTS) for n in range(0, len(outputs), RESULTS)]
    return in_turn(*(reduced("sums", op.formulas[p], op.axes, inputs, outputs[p], gpu) for p in parts))


@launches(Moments)
def moments(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """In one go over x."""
    assert isinstance(call.op, Moments)
    return reduced("moments", (ONE,), call.op.axes, inputs, outputs, gpu)


@launches(Max)
def largest(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """NaN wins."""
    assert isinstance(call.op, Max)
    return reduced("largest", (ONE,), call.op.axes, inputs, outputs, gpu)


def reduced(
    way: str, trees: Sequence[Expression], summed: Sequence[int], inputs: Arrays, outputs: Arrays, gpu: Gpu
) -> Plan | None:
    """The trees over inputs, over the summed axes. way: the struct in reduce.cuh. None where no kernel serves it."""
    whole = np.broadcast_shapes(*(a.shape for a in inputs))
    axes = coalesced(inputs, whole, summed)
    classes = letters(inputs, [bool(s[-1]) for s in axes.strides])
    if classes is None or not all_of("float32", *outputs) or (way != "sums" and not all_of("float32", *inputs)):
        return None
    if not outputs[0].size:
        return Plan(())
    steps = prod(whole[a] for a in summed)
    if steps <= 1:
        return _plain(way, trees, steps, inputs, outputs, gpu)
    formula = formula_of(trees, classes, "float32", sums=True)
    along = [inputs[i] for i in formula.operands if axes.strides[i][-1]]
    wide = axes.shape[-1] % 4 == 0 and all(a.address % (4 * a.dtype.itemsize) == 0 for a in along)
    layout = _Layout(axes, 4 if wide else 1)
    largest = max(n for s in (axes.shape, *axes.strides) for n in s)
    if len(layout.kept) >= AXES or len(layout.summed) > 4 or largest >= 2**31:
        return None
    return _plan(way, layout, formula, inputs, outputs, gpu)


def _plain(way: str, trees: Sequence[Expression], steps: int, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """Over nothing, or over one number each."""
    if steps == 0:
        filled = {"sums": 0.0, "moments": nan}.get(way)
        return None if filled is None else computed((Literal(filled),) * len(outputs), (), outputs, gpu)
    off = ONE - ONE
    return computed((ONE, off * off) if way == "moments" else trees, inputs, outputs, gpu)


@dataclass(frozen=True)
class _Layout:
    """Which axes are kept and which are summed; n: how many neighbours along the last one a thread takes at once."""

    axes: Axes
    n: int

    @property
    def by_row(self) -> bool:
        """Whether the last axis is summed."""
        return self.axes.summed[-1]

    @property
    def kept(self) -> list[int]:
        """Axes but the columns."""
        last = len(self.axes.shape) - 1
        return [a for a, summed in enumerate(self.axes.summed) if not summed and a != last]

    @property
    def summed(self) -> list[int]:
        return [a for a, summed in enumerate(self.axes.summed) if summed]

    @property
    def outer(self) -> int:
        """Places on the kept axes."""
        return prod(self.axes.shape[a] for a in self.kept)

    @property
    def columns(self) -> int:
        return 1 if self.by_row else self.axes.shape[-1]

    def sizes(self, axes: Sequence[int]) -> list[int]:
        """In steps, where n numbers are summed at once."""
        last = len(self.axes.shape) - 1
        return [self.axes.shape[a] // (self.n if self.by_row and a == last else 1) for a in axes]

    @property
    def steps(self) -> int:
        return prod(self.sizes(self.summed))


@dataclass(frozen=True)
class _Shape:
    """Of a launch. threads: GROUP or LANES; blocks along x; parts along y."""

    threads: int
    blocks: int
    parts: int


def _shape(layout: _Layout, processors: int) -> _Shape:
    if layout.by_row:
        alone = ceil(layout.outer / (THREADS // 32)) < processors and layout.steps > THREADS
        group = THREADS if alone or layout.steps > MANY else 4 if layout.steps <= FEW else 32
        blocks, each = ceil(layout.outer / (THREADS // group)), group
        most = PARTS if group == THREADS else 1
    else:
        group = min(32, 1 << (ceil(layout.columns / layout.n) - 1).bit_length())
        blocks, each, most = layout.outer * ceil(layout.columns / (group * layout.n)), THREADS // group, PARTS
    parts = min(most, ceil(STEPS // 2 * processors / blocks), ceil(layout.steps / (each * STEPS)))
    part = ceil(layout.steps / max(parts, 1))
    return _Shape(group, blocks, ceil(layout.steps / part))


def _plan(way: str, layout: _Layout, formula: Formula, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan:
    shape = _shape(layout, gpu.device.processors)
    width = {"moments": 3}.get(way, len(outputs))
    keeps: tuple[DeviceArray, ...] = ()
    if shape.parts > 1:
        keeps = (gpu.room(shape.parts, outputs[0].size, width), gpu.room(shape.blocks, dtype="int32"))
    arguments = argument_struct(len(formula.operands), len(formula.literals))(
        *(outputs[0].size, layout.columns, layout.steps, ceil(layout.steps / shape.parts), len(layout.kept))
    )
    arguments.partials, arguments.came = (x.address for x in keeps) if keeps else (None, None)
    arguments.results[: len(outputs)] = [a.address for a in outputs]
    arguments.k[: len(formula.literals)] = formula.literals
    for sizes, axes in ((arguments.kept, layout.kept), (arguments.summed, layout.summed)):
        sizes[: len(axes)] = [divider_of(size) for size in layout.sizes(axes)]
    for number, index in enumerate(formula.operands):
        strides = layout.axes.strides[index]
        arguments.operands[number] = inputs[index].address
        for own, axes in ((arguments.kept_strides, layout.kept), (arguments.summed_strides, layout.summed)):
            own[number][: len(axes)] = [strides[a] for a in axes]
        arguments.kept_strides[number][AXES - 1] = 0 if layout.by_row else strides[-1]
    kernel = "reduce_rows" if layout.by_row else "reduce_columns"
    kind = index_type(prod(layout.axes.shape) + THREADS)
    expression = f"{kernel}<{way}, {shape.threads}, {layout.n}, {len(layout.summed)}, {kind}>"
    unit = Unit("reduce", expression, type(arguments), formula.text)
    return Plan((Launch(unit, (shape.blocks, shape.parts, 1), THREADS, arguments, keeps=keeps),))


@cache
def argument_struct(operands: int, literals: int) -> type[Arguments]:
    """The struct for a formula with so many of each."""

    class reduce_args(Arguments):
        _fields_ = (
            *((n, i64) for n in ("outputs", "columns", "steps", "part", "kept_axes")),
            *(("partials", address), ("came", address), ("results", address * RESULTS)),
            ("operands", address * max(operands, 1)),
            *(("kept", divider * AXES), ("summed", divider * AXES)),
            *((n, i32 * AXES * max(operands, 1)) for n in ("kept_strides", "summed_strides")),
            ("k", f32 * max(literals, 1)),
        )

    return reduce_args
