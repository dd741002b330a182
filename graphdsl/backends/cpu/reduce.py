"""Sums over axes: of tensors, of formulas of several tensors."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from graphdsl.backends.axes import Axes, Lying, coalesced
from graphdsl.backends.cpu.elementwise import elementwise
from graphdsl.backends.cpu.formula import KINDS, bound, formula_operand, formula_task, letters, operand_of
from graphdsl.backends.cpu.task import (
    Arrays,
    Machine,
    Plan,
    Step,
    Task,
    address,
    all_float32,
    binds,
    i64,
    pointer,
    room,
)
from graphdsl.backends.formula_text import SUMS, canonical
from graphdsl.ir import Array, Call
from graphdsl.ops import Broadcast, Elementwise, Moments, Reduced, Sum
from graphdsl.ops.expression import Apply, Expression, Operand
from graphdsl.report import dataclass

SERIAL_ELEMENTS = 8192
CHUNK, TILE, WIDE, MOST_SUMS = 2048, 8192, 256, 4
"""As in reduce.c."""
KEPT, COLUMNS, SUMMED = range(3)
"""What threads share, as in reduce.c."""
FEW_COLUMNS = 128
"""A thread's share of the columns, at least."""


class reduce_task(Task):  # the struct's name in C
    _fields_ = (
        *((name, address) for name in ("formula", "sums", "formulas", "reads", "outputs")),
        *((name, address) for name in ("kept_sizes", "kept_strides", "summed_sizes", "summed_strides")),
        *((name, i64) for name in ("count", "operands", "kept_axes", "summed_axes", "kept", "summed")),
        *((name, i64) for name in ("rows", "columns", "outputs_size", "sharing", "centred")),
    )


@binds(Sum)
def sums(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    assert isinstance(call.op, Sum)
    return _plan((Operand(0),), call.op.axes, inputs, outputs, machine)


@binds(Reduced)
def reduced(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    assert isinstance(call.op, Reduced)
    return _plan(call.op.formulas, call.op.axes, inputs, outputs, machine)


@binds(Moments)
def moments(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    assert isinstance(call.op, Moments)
    return _moments(call.op.axes, inputs, outputs, machine)


@binds(Broadcast)
def broadcast(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    if inputs[0].dtype.itemsize != 4:
        return None
    x, y = inputs[0].view(np.float32), outputs[0].view(np.float32)
    return elementwise(replace(call, op=Elementwise(Operand(0), 1)), [x], [y], machine)


@dataclass(frozen=True)
class _Layout:
    """The axes as reduce.c wants them: which are the rows and the columns, which lie outside.

    by_column  whether there is one sum a column, not one a row
    """

    axes: Axes
    row: int | None
    kept: tuple[int, ...]
    summed: tuple[int, ...]

    @property
    def by_column(self) -> bool:
        return not self.axes.summed[-1]

    @property
    def rows(self) -> int:
        return 1 if self.row is None else self.axes.shape[self.row]

    @property
    def columns(self) -> int:
        return self.axes.shape[-1]

    def lying(self, index: int) -> Lying:
        strides = self.axes.strides[index]
        return Lying(0 if self.row is None else strides[self.row], strides[-1])

    def sizes(self, outer: Sequence[int]) -> list[int]:
        return [self.axes.shape[a] for a in outer]


def layout_of(arrays: Sequence[Array], whole: tuple[int, ...], summed: Sequence[int]) -> _Layout:
    axes = coalesced(arrays, whole, summed)
    last = len(axes.shape) - 1
    row = next((a for a in range(last - 1, -1, -1) if axes.summed[a] != axes.summed[last]), None)
    outer = [a for a in range(last) if a != row]
    return _Layout(axes, row, tuple(a for a in outer if not axes.summed[a]), tuple(a for a in outer if axes.summed[a]))


def _plan(
    trees: Sequence[Expression], summed: Sequence[int], inputs: Arrays, outputs: Arrays, machine: Machine
) -> Plan | None:
    arrays = [*inputs, *outputs]
    known = all_float32(*outputs) and all(a.dtype.name in KINDS for a in inputs)
    if not inputs or not known or any(not a.flags.c_contiguous for a in arrays):
        return None
    layout = layout_of(inputs, np.broadcast_shapes(*(a.shape for a in inputs)), summed)
    steps: list[Step] = []
    for first in range(0, len(trees), MOST_SUMS):
        some = slice(first, first + MOST_SUMS)
        steps += _steps(tuple(trees[some]), layout, inputs, outputs[some], machine)
    return Plan(tuple(steps))


def _moments(summed: Sequence[int], inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    if not all_float32(*inputs, *outputs) or any(not a.flags.c_contiguous for a in (*inputs, *outputs)):
        return None
    layout = layout_of(inputs, inputs[0].shape, summed)
    count = prod(inputs[0].shape[a] for a in summed)
    if not count:
        return None
    return Plan(tuple(_steps((Operand(0), Operand(0)), layout, inputs, outputs, machine, count)))


def _steps(
    trees: tuple[Expression, ...],
    layout: _Layout,
    inputs: Arrays,
    outputs: Arrays,
    machine: Machine,
    centred: int = 0,
) -> list[Step]:
    """centred: 0, or of how many numbers means and variances are wanted in place of sums."""
    lying = [layout.lying(i) for i in range(len(inputs))]
    kind = "c" if layout.by_column else "r"
    known = canonical(Apply(SUMS, trees), letters(inputs, lying, layout.columns, spread=False) + kind)
    made = machine.library.loop(known.name)
    order = known.operands if made else tuple(range(len(inputs)))
    formula = _operands([inputs[i] for i in order], [lying[i] for i in order], known.literals)
    singly = not made and not centred
    formulas, reads, keeps = _singly(trees, inputs, lying, layout.columns, machine) if singly else (None, None, ())
    pointers = _longs([pointer(a) for a in outputs])
    tables = [
        _longs(layout.sizes(layout.kept)),
        _longs([layout.axes.strides[i][a] * inputs[i].itemsize for i in order for a in layout.kept]),
        _longs(layout.sizes(layout.summed)),
        _longs([layout.axes.strides[i][a] * inputs[i].itemsize for i in order for a in layout.summed]),
    ]
    kept, summed = prod(layout.sizes(layout.kept)), prod(layout.sizes(layout.summed))
    task = reduce_task(
        *(ctypes.addressof(formula), made),
        *(ctypes.addressof(a) if a else 0 for a in (formulas, reads)),
        *(ctypes.addressof(a) for a in (pointers, *tables)),
        *(len(trees), len(order), len(layout.kept), len(layout.summed), kept, summed),
        *(layout.rows, layout.columns, outputs[0].size, _sharing(layout, kept, summed, machine.threads), centred),
    )
    task.keeps = (formula, formulas, reads, keeps, pointers, tables)
    return _run(task, layout, machine)


def _operands(arrays: Arrays, lying: Sequence[Lying], literals: Sequence[float]) -> formula_task:
    """The operands of all formulas, and their literals, for loops that sum."""
    operands = (formula_operand * len(arrays))(*map(operand_of, arrays, lying))
    numbers = (ctypes.c_float * max(len(literals), 1))(*literals)
    task = formula_task(operands=ctypes.addressof(operands), literals=ctypes.addressof(numbers), count=len(arrays))
    task.keeps = (operands, numbers)
    return task


def _run(task: reduce_task, layout: _Layout, machine: Machine) -> list[Step]:
    size = task.kept * task.summed * task.rows * task.columns * task.operands
    own = (task.count * 8 + MOST_SUMS * 4) * CHUNK + TILE * 4 + task.operands * (2 * WIDE * 4 + 32)
    name = "reduce_columns" if layout.by_column else "reduce_rows"
    combined = task.sharing == SUMMED or (task.sharing == COLUMNS and not layout.by_column)
    if size <= SERIAL_ELEMENTS or machine.threads == 1:
        task.sharing = KEPT
        return [machine.step(name, task, serial=True, own=own)]
    shared = machine.threads * task.count * task.outputs_size * 8 if combined else 0
    step = machine.step(name, task, own=own, shared=shared)
    return [step, machine.step("reduce_combine", task, shared=shared)] if combined else [step]


def _sharing(layout: _Layout, kept: int, summed: int, threads: int) -> int:
    """What threads share: what is kept, where there is enough of it; else columns, or what is summed over."""
    if layout.by_column:
        if kept >= 4 * threads:
            return KEPT
        return COLUMNS if layout.columns >= FEW_COLUMNS * threads else SUMMED
    if kept * layout.rows >= 8 * threads:
        return KEPT
    return SUMMED if summed >= 4 * threads else COLUMNS


def _singly(
    trees: Sequence[Expression], inputs: Arrays, lying: Sequence[Lying], columns: int, machine: Machine
) -> tuple[ctypes.Array[address], ctypes.Array[address], object]:
    """Each formula as a task of its own, whose result is a tile; which operands it reads; what these keep."""
    tile = room(1)
    made = [
        bound(machine.library, Elementwise(t, len(inputs)), [*inputs, tile], [*lying, Lying(columns, 1)], columns)
        for t in trees
    ]
    found = [m for m in made if m is not None]
    assert len(found) == len(trees), "all are of known kinds"
    reads = [_longs(m.order[:-1]) for m in found]
    tasks = (address * len(found))(*(ctypes.addressof(m.task) for m in found))
    return tasks, (address * len(found))(*(ctypes.addressof(r) for r in reads)), (found, reads, tile)


def _longs(numbers: Sequence[int]) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * max(len(numbers), 1))(*numbers)
