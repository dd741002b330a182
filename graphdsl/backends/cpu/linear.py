"""Products of matrices: how each is cut into parts for threads, and what rides on it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from math import inf, prod

from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, all_float32, binds, f64, i64, pointer
from graphdsl.ir import Array, Call
from graphdsl.ops import MatMul
from graphdsl.report import dataclass

SERIAL = 12_000
"""Cycles of work below which waking other threads costs more than it saves."""

BARRIER = 4_000
"""Cycles that one more step for all threads costs."""


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
    )


@dataclass(frozen=True)
class Finish:
    """What is done to the products before they are stored, in this order. None: nothing.

    bias  [columns], added
    add   the result's shape, added
    low   what is less becomes this
    mask  the result's shape: where it is not > 0 the result is 0
    """

    bias: Array | None = None
    add: Array | None = None
    mask: Array | None = None
    low: float = -inf


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
        whole = (1, 1, 1, 1)
        if threads == 1 or self.cycles(lanes, whole) < SERIAL:
            return whole
        return min(_cuts(threads), key=lambda p: self.cycles(lanes, p))


def _cuts(threads: int) -> Iterator[tuple[int, int, int, int]]:
    """Every way to cut four sizes into as many parts as there are threads, or fewer."""
    numbers = range(1, threads + 1)
    for batch in numbers:
        for rows in range(1, threads // batch + 1):
            for columns in range(1, threads // (batch * rows) + 1):
                yield batch, rows, columns, 1
                yield batch, rows, columns, threads // (batch * rows * columns)


def multiplied(op: MatMul, a: Array, b: Array, c: Array, machine: Machine, finish: Finish = PLAIN) -> Plan | None:
    """The product a · b into c; None where the arrays are not float32."""
    if not all_float32(a, b, c):
        return None
    rows, columns = c.shape[-2:]
    depth = a.shape[-2 if op.transpose_a else -1]
    if columns == 1 and rows > 1 and finish.bias is None:
        return multiplied(MatMul(not op.transpose_b, not op.transpose_a), b, a, c.swapaxes(-1, -2), machine, finish)
    sizes = Sizes(prod(c.shape[:-2]), rows, columns, depth, op.transpose_b)
    batch_parts, row_parts, column_parts, depth_parts = parts = sizes.parts(machine.lanes, machine.threads)
    task = matmul_task(
        pointer(a),
        pointer(b),
        pointer(c),
        *(sizes.batch, rows, columns, depth),
        *((1, rows) if op.transpose_a else (depth, 1)),
        *(depth if op.transpose_b else columns, op.transpose_b),
        *(batch_parts, row_parts, column_parts, depth_parts),
        *(None if array is None else pointer(array) for array in (finish.bias, finish.add, finish.mask)),
        finish.low,
    )
    serial = parts == (1, 1, 1, 1)
    own = ctypes.c_int64.in_dll(machine.library.c, "matmul_scratch").value
    shared = 4 * c.size * depth_parts if depth_parts > 1 else 0
    steps = [machine.step("matmul", task, serial=serial, own=own, shared=shared)]
    if depth_parts > 1:
        steps.append(machine.step("matmul_sum", task, shared=shared, serial=2 * c.size < SERIAL))
    return Plan(tuple(steps))


@binds(MatMul)
def matmul(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    assert isinstance(call.op, MatMul)
    return multiplied(call.op, inputs[0], inputs[1], outputs[0], machine)
