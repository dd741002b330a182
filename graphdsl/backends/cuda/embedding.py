"""Rows of a table, and the way back: embedding.cu."""

from __future__ import annotations

from graphdsl.backends.cuda.array import DeviceArray, all_of
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import THREADS, Arrays, Gpu, blocks, launches
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i64
from graphdsl.ir import Call
from graphdsl.ops import Gather, ScatterAdd

SUM_THREADS = 128


class gather_args(Arguments):
    _fields_ = (
        *(("table", address), ("places", address), ("y", address)),
        *(("rows", i64), ("features", i64), ("count", i64)),
    )


class scatter_args(Arguments):
    _fields_ = (
        *(("x", address), ("places", address), ("table", address), ("sorted", address)),
        *(("rows", i64), ("features", i64), ("count", i64)),
    )


@launches(Gather)
def gather(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A thread a number."""
    (table, places), (y,) = inputs, outputs
    if not all_of("float32", table) or not y.size:
        return None
    arguments = gather_args(table.address, places.address, y.address, *table.shape, places.size)
    unit = Unit("embedding", f"gather<{_place(places)}>", gather_args)
    return Plan((Launch(unit, gpu.grid(y.size), THREADS, arguments),))


@launches(ScatterAdd)
def scatter_add(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """The numbers of rows sorted by their places, then a block a row of the table."""
    (x, places), (table,) = inputs, outputs
    if not all_of("float32", x) or not x.size or places.size >= 1 << 31:
        return None
    ranks = gpu.room(places.size, dtype="int32")
    arguments = scatter_args(x.address, places.address, table.address, ranks.address, *table.shape, places.size)
    order = Unit("embedding", f"scatter_order<{_place(places)}>", scatter_args)
    total = Unit("embedding", f"scatter_sum<{_place(places)}>", scatter_args)
    return Plan(
        (
            Launch(order, blocks(places.size), THREADS, arguments, keeps=(ranks,)),
            Launch(total, gpu.grid(table.shape[0], 1), SUM_THREADS, arguments, keeps=(ranks,)),
        )
    )


def _place(places: DeviceArray) -> str:
    return "i32" if places.dtype.itemsize == 4 else "i64"
