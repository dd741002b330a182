"""Which candidate of a detector is to show which true box: assign.c."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from graphdsl.backends.cpu.task import (
    Arrays,
    Machine,
    Plan,
    Task,
    address,
    all_float32,
    binds,
    f64,
    i64,
    pointer,
)
from graphdsl.ir import Array, Call
from graphdsl.ops import AssignBoxes, AssignCells

CORNERS = 5
"""Numbers that are kept of a true box."""
WORK = 4096
"""Pairs of candidates and boxes from which on threads share them."""


class assignment(ctypes.Structure):
    _fields_ = (
        *((name, address) for name in ("found", "boxes", "goal", "asked")),
        *((name, i64) for name in ("batch", "n", "m", "width")),
        ("ignore", f64),
    )


class assign_boxes_task(Task):
    _fields_ = (("of", assignment), ("grids", address), ("shapes", address), ("heads", i64), ("alike", f64))


class assign_cells_task(Task):
    _fields_ = (("of", assignment), ("grids", address), ("heads", i64), ("near", f64), ("span", f64))


@binds(AssignBoxes)
def assign_boxes(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """By cells and anchors."""
    op = call.op
    assert isinstance(op, AssignBoxes)
    if not all_float32(*inputs, *outputs):
        return None
    grids = _grids([(g.rows, g.columns, len(g.anchors)) for g in op.grids])
    shapes = np.array([anchor for grid in op.grids for anchor in grid.anchors], np.float64)
    of = _assignment(inputs, outputs, op.ignore)
    task = assign_boxes_task(of, pointer(grids), pointer(shapes), len(grids), op.alike)
    return _plan("assign_boxes", task, machine, (grids, shapes))


@binds(AssignCells)
def assign_cells(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """By cells alone."""
    op = call.op
    assert isinstance(op, AssignCells)
    if not all_float32(*inputs, *outputs):
        return None
    grids = _grids([(rows, columns, 1) for rows, columns in zip(op.rows, op.columns, strict=True)])
    finest_first = np.ascontiguousarray(grids[op.finest_first])
    of = _assignment(inputs, outputs, op.ignore)
    task = assign_cells_task(of, pointer(finest_first), len(grids), op.near, op.span)
    return _plan("assign_cells", task, machine, (finest_first,))


def _grids(sizes: Sequence[tuple[int, int, int]]) -> Array:
    """int64 [heads, 4]: rows, columns, candidates of a cell, the head's first candidate."""
    counts = [rows * columns * each for rows, columns, each in sizes]
    firsts = np.cumsum([0, *counts[:-1]])
    return np.array([(*size, first) for size, first in zip(sizes, firsts, strict=True)], np.int64)


def _assignment(inputs: Arrays, outputs: Arrays, ignore: float) -> assignment:
    found, true = inputs
    batch, n, width = found.shape
    return assignment(*(pointer(a) for a in (*inputs, *outputs)), batch, n, true.shape[1], width, ignore)


def _plan(name: str, task: assign_boxes_task | assign_cells_task, machine: Machine, keeps: Arrays) -> Plan:
    of = task.of
    serial = of.batch == 1 or of.batch * of.n * of.m < WORK
    return Plan((machine.step(name, task, serial=serial, own=8 * CORNERS * of.m, keeps=keeps),))
