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


SHORT = 64
"""Sums of fewer numbers are not worth the way into tiles and out of them."""

WORTH = 0.8
"""What AMX tiles must take, in parts of what vectors take."""

MULTIPLYING, STORING, TAKING, PAIRING, TURNING = 200.0, 400.0, 500.0, 500.0, 700.0
"""Cycles for AMX tiles: two by two multiplied, stored; two made of rows, of pairs of rows, turned over besides."""

Parts = tuple[int, int, int, int]
WHOLE: Parts = (1, 1, 1, 1)


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
    """Of a product: matrices [rows, depth] times [depth, columns].

    turned, across  whether the right one is transposed; the left one
    """

    batch: int
    rows: int
    columns: int
    depth: int
    turned: bool
    across: bool

    def cut(self, parts: Parts) -> Parts:
        """The sizes of the largest part."""
        sizes = (self.batch, self.rows, self.columns, self.depth)
        return tuple(-(-n // p) for n, p in zip(sizes, parts, strict=True))  # type: ignore[return-value]

    def moving(self, parts: Parts) -> float:
        """Cycles that reading and writing a part's numbers takes, and adding sums up where the sum is cut."""
        batch, rows, columns, depth = self.cut(parts)
        bytes = 4 * (rows * depth + depth * columns + 2 * rows * columns)
        adding = BARRIER + 2 * self.batch * self.rows * self.columns / 16 if parts[3] > 1 else 0
        return batch * bytes / (32 if batch * bytes < 1 << 20 else 8) + adding

    def cycles(self, lanes: int, parts: Parts) -> float:
        """About how long a part takes: multiplying, packing and moving."""
        batch, rows, columns, depth = self.cut(parts)
        vectors = -(-columns // lanes)
        multiplying = rows * vectors * depth / 2
        packing = depth * vectors * (lanes / 3 if self.turned else 2)
        return batch * (multiplying + packing) + self.moving(parts)

    def parts(self, lanes: int, threads: int) -> Parts:
        """Into how many parts batch, rows, columns and depth are best cut."""
        if threads == 1 or self.cycles(lanes, WHOLE) < SERIAL:
            return WHOLE
        return min(_cuts(threads), key=lambda p: self.cycles(lanes, p))

    def cycles_in_tiles(self, parts: Parts) -> float:
        """The same in AMX tiles: multiplying, making tiles of both matrices, and moving."""
        batch, rows, columns, depth = self.cut(parts)
        high, wide, deep = -(-rows // 32), -(-columns // 32), -(-depth // 32)
        each = high * wide * (deep * MULTIPLYING + STORING) + (high * self.left + wide * self.right) * deep
        return batch * each + self.moving(parts)

    def parts_in_tiles(self, threads: int) -> Parts:
        """Into how many parts the sizes are best cut for tiles."""
        if threads == 1 or self.cycles_in_tiles(WHOLE) < SERIAL:
            return WHOLE
        return min(_cuts(threads), key=self.cycles_in_tiles)

    @property
    def left(self) -> float:
        """Cycles that making two tiles of the left matrix takes."""
        return TURNING if self.across else TAKING

    @property
    def right(self) -> float:
        """The same for the right one."""
        return TURNING if self.turned else PAIRING


def _cuts(threads: int) -> Iterator[Parts]:
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
    sizes = Sizes(prod(c.shape[:-2]), rows, columns, depth, op.transpose_b, op.transpose_a)
    parts = sizes.parts(machine.lanes, machine.threads)
    tiles = _in_tiles(sizes, parts, machine)
    if tiles:
        parts = sizes.parts_in_tiles(machine.threads)
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
    name = "matmul_tiles" if tiles else "matmul"
    own = ctypes.c_int64.in_dll(machine.library.c, f"{name}_scratch").value
    shared = 4 * c.size * parts[3] if parts[3] > 1 else 0
    step = machine.step(name, task, serial=parts == WHOLE, own=own, shared=shared)
    if parts[3] == 1:
        return (step,)
    return step, machine.step("matmul_sum", task, shared=shared, serial=2 * c.size < SERIAL)


def _in_tiles(sizes: Sizes, parts: Parts, machine: Machine) -> bool:
    """Whether AMX tiles are there, and faster than vectors in these parts."""
    if not (machine.library.tiles and machine.fast and sizes.depth >= SHORT):
        return False
    quick = sizes.cycles_in_tiles(sizes.parts_in_tiles(machine.threads))
    return quick < WORTH * sizes.cycles(machine.lanes, parts)


@binds(MatMul)
def matmul(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    assert isinstance(call.op, MatMul)
    return multiplied(call.op, inputs[0], inputs[1], outputs[0], machine)
