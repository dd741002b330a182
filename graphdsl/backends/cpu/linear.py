"""Products of matrices: how each is cut into parts for threads, and what rides on it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from itertools import product
from math import prod

from graphdsl.backends.cpu.epilogue import Finish
from graphdsl.backends.cpu.formula import epilogue
from graphdsl.backends.cpu.task import (
    BINDERS,
    Arrays,
    Machine,
    Plan,
    Step,
    Task,
    address,
    all_float32,
    binds,
    f64,
    i64,
    pointer,
)
from graphdsl.ir import Array, Call
from graphdsl.ops import Elementwise, MatMul
from graphdsl.report import dataclass

SERIAL = 12_000
"""Cycles of work below which waking other threads costs more than it saves."""

BARRIER = 4_000
"""Cycles that one more step for all threads costs."""


WHOLE = (1, 1, 1, 1)


class matmul_task(Task):
    _fields_ = (
        ("a", address),
        ("b", address),
        ("c", address),
        ("batch", i64),
        ("rows", i64),
        ("columns", i64),
        ("depth", i64),
        ("a_row", i64),
        ("a_step", i64),
        ("b_stride", i64),
        ("turned", i64),
        ("batch_parts", i64),
        ("row_parts", i64),
        ("column_parts", i64),
        ("depth_parts", i64),
        ("bias", address),
        ("add", address),
        ("mask", address),
        ("low", f64),
        ("bias_step", i64),
        ("after", address),
    )


PLAIN = Finish()


@dataclass(frozen=True)
class Sizes:
    """Of a product: matrices [rows, depth] times [depth, columns]; turned: the right one is transposed."""

    batch: int
    rows: int
    columns: int
    depth: int
    turned: bool

    def cycles(self, lanes: int, parts: tuple[int, int, int, int]) -> float:
        """About how long a part takes where each size is cut into so many: multiplying, packing and reading."""
        sizes = (self.batch, self.rows, self.columns, self.depth)
        batch, rows, columns, depth = (-(-n // p) for n, p in zip(sizes, parts, strict=True))
        vectors = -(-columns // lanes)
        multiplying = rows * vectors * depth / 2
        packing = depth * vectors * (lanes / 3 if self.turned else 2)
        bytes = 4 * (rows * depth + depth * columns + 2 * rows * columns)
        reading = bytes / (32 if batch * bytes < 1 << 20 else 8)
        adding = BARRIER + 2 * self.batch * self.rows * self.columns / lanes if parts[3] > 1 else 0
        return batch * (multiplying + packing + reading) + adding

    def parts(self, lanes: int, threads: int) -> tuple[int, int, int, int]:
        """Into how many parts batch, rows, columns and depth are best cut."""
        if threads == 1 or self.cycles(lanes, WHOLE) < SERIAL:
            return WHOLE
        return min(_cuts(threads), key=lambda p: self.cycles(lanes, p))


def _cuts(threads: int) -> Iterator[tuple[int, int, int, int]]:
    """Every way to cut four sizes into as many parts as there are threads, or fewer."""
    numbers = range(1, threads + 1)
    for batch, rows, columns in product(numbers, numbers, numbers):
        if batch * rows * columns <= threads:
            yield batch, rows, columns, 1
            yield batch, rows, columns, threads // (batch * rows * columns)


def multiplied(op: MatMul, a: Array, b: Array, c: Array, machine: Machine, finish: Finish = PLAIN) -> Plan | None:
    """The product a · b into c, and what is done to it there; None where C does not know the numbers."""
    if not all_float32(a, b, c):
        return None
    formula, rest = _formula(c, machine, finish)
    if rest is None:
        return None
    if c.shape[-1] == 1 < c.shape[-2] and formula is None:
        turned = MatMul(not op.transpose_b, not op.transpose_a)
        return Plan((*_product(turned, b, a, c.swapaxes(-1, -2), machine, finish, None), *rest))
    return Plan((*_product(op, a, b, c, machine, finish, formula), *rest))


def _formula(c: Array, machine: Machine, finish: Finish) -> tuple[Task | None, tuple[Step, ...] | None]:
    """What tiles cannot do, as a task for rows of c or as steps of its own; None where C knows neither."""
    if finish.formula is None:
        return None, ()
    operands = [*finish.operands]
    operands[finish.place] = c
    task = epilogue(machine.library, finish.formula, operands, c, finish.place) if c.shape[-1] > 1 else None
    if task is not None:
        return task, ()
    plan = BINDERS[Elementwise](Call("", finish.formula, (), ()), operands, [c], machine)
    return None, plan.steps if plan else None


def _product(
    op: MatMul, a: Array, b: Array, c: Array, machine: Machine, finish: Finish, formula: Task | None
) -> tuple[Step, ...]:
    rows, columns = c.shape[-2:]
    depth = a.shape[-2 if op.transpose_a else -1]
    sizes = Sizes(prod(c.shape[:-2]), rows, columns, depth, op.transpose_b)
    parts = sizes.parts(machine.lanes, machine.threads)
    task = matmul_task(
        *(pointer(a), pointer(b), pointer(c)),
        *(sizes.batch, rows, columns, depth),
        *((1, rows) if op.transpose_a else (depth, 1)),
        *(depth if op.transpose_b else columns, op.transpose_b),
        *parts,
        *(None if array is None else pointer(array) for array in (finish.bias, finish.add, finish.mask)),
        *(finish.low, finish.bias is not None and finish.bias.size > 1),
        ctypes.addressof(formula) if formula else None,
    )
    task.keeps = formula
    own = ctypes.c_int64.in_dll(machine.library.c, "matmul_scratch").value
    shared = 4 * c.size * parts[3] if parts[3] > 1 else 0
    step = machine.step("matmul", task, serial=parts == WHOLE, own=own, shared=shared)
    if parts[3] == 1:
        return (step,)
    return step, machine.step("matmul_sum", task, shared=shared, serial=2 * c.size < SERIAL)


@binds(MatMul)
def matmul(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    assert isinstance(call.op, MatMul)
    return multiplied(call.op, inputs[0], inputs[1], outputs[0], machine)
