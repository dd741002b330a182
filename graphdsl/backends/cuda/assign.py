"""Which candidate of a detector is to show which true box: assign.cu."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphdsl.backends.cuda.array import all_of
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import THREADS, Arrays, Gpu, launches
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i64
from graphdsl.ir import Call
from graphdsl.ops import AssignBoxes, AssignCells

MOST_BLOCKS = 1 << 16


class assign_args(Arguments):
    _fields_ = (
        *((name, address) for name in ("found", "boxes", "goal", "asked", "grids", "numbers")),
        *((name, i64) for name in ("batch", "n", "m", "width", "heads")),
    )


@launches(AssignBoxes)
def assign_boxes(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """By cells and anchors."""
    op = call.op
    assert isinstance(op, AssignBoxes)
    heads = list(zip(op.rows, op.columns, map(len, op.anchors), strict=True))
    shapes = [side for anchors in op.anchors for anchor in anchors for side in anchor]
    numbers = [op.ignore, op.alike, 0.0, *shapes]
    return _plan("assign_boxes", heads, range(len(heads)), numbers, (inputs, outputs), gpu)


@launches(AssignCells)
def assign_cells(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """By cells alone."""
    op = call.op
    assert isinstance(op, AssignCells)
    heads = [(rows, columns, 1) for rows, columns in zip(op.rows, op.columns, strict=True)]
    numbers = [op.ignore, op.near, op.span]
    return _plan("assign_cells", heads, op.finest_first, numbers, (inputs, outputs), gpu)


def _plan(
    name: str,
    heads: Sequence[tuple[int, int, int]],
    order: Sequence[int],
    numbers: Sequence[float],
    arrays: tuple[Arrays, Arrays],
    gpu: Gpu,
) -> Plan | None:
    """heads: rows, columns and candidates of a cell; order: in which the kernel goes through them."""
    inputs, outputs = arrays
    found, true = inputs
    batch, n, width = found.shape
    if not all_of("float32", *inputs, *outputs) or not batch:
        return None
    firsts = np.cumsum([0, *(rows * columns * each for rows, columns, each in heads[:-1])])
    grids = np.array([(*heads[head], firsts[head]) for head in order], np.int64)
    tables = gpu.constant(grids), gpu.constant(np.array(numbers, np.float64))
    pointers = (array.address for array in (*inputs, *outputs, *tables))
    arguments = assign_args(*pointers, batch, n, true.shape[1], width, len(heads))
    unit = Unit("assign", name, assign_args)
    return Plan((Launch(unit, (min(batch, MOST_BLOCKS), 1, 1), THREADS, arguments, keeps=tables),))
