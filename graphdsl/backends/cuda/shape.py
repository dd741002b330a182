"""The same numbers elsewhere: shape.cu."""

from __future__ import annotations

from math import ceil, prod

from graphdsl.backends.axes import coalesced
from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import THREADS, Arrays, Gpu, element_type, launches
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i64
from graphdsl.backends.layout import joined_axes
from graphdsl.ir import Call
from graphdsl.ops import Broadcast, Reshape, Transpose

RANK, SIDE = 8, 32
MOST_BLOCKS = 65535
"""Along y and z of a grid."""


class copy_args(Arguments):
    _fields_ = (("x", address), ("y", address), ("count", i64))


class transpose_args(Arguments):
    _fields_ = (
        *(("x", address), ("y", address), ("sizes", i64 * RANK), ("strides", i64 * RANK)),
        *(("rank", i64), ("count", i64), ("turned", i64)),
    )


def copied(x: DeviceArray, y: DeviceArray, gpu: Gpu) -> Plan | None:
    """y is filled with the bytes of x."""
    if not y.size:
        return None
    unit = next(u for u in (16, 4, 1) if y.nbytes % u == x.address % u == y.address % u == 0)
    arguments = copy_args(x.address, y.address, y.nbytes // unit)
    kernel = Unit("shape", f"copy<{element_type(unit)}>", copy_args)
    return Plan((Launch(kernel, gpu.grid(y.nbytes // unit), THREADS, arguments),))


@launches(Reshape)
def reshape(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A copy, where memory has to move at all."""
    return copied(inputs[0], outputs[0], gpu)


@launches(Transpose)
def transpose(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """Axes that stay neighbours are one; where the last axis is another than in x, squares are turned over."""
    (x,), (y,), op = inputs, outputs, call.op
    assert isinstance(op, Transpose)
    groups = joined_axes(op.axes, x.shape)
    if len(groups) <= 1 or y.size == 0:
        return copied(x, y, gpu)
    if len(groups) > RANK:
        return None
    sizes = [prod(x.shape[a] for a in group) for group in groups]
    strides = [prod(x.shape[group[-1] + 1 :]) for group in groups]
    turned = next(i for i, group in enumerate(groups) if strides[i] == 1)
    columns = ((i64 * RANK)(*sizes), (i64 * RANK)(*strides))
    arguments = transpose_args(x.address, y.address, *columns, len(sizes), y.size, turned)
    kind = element_type(x.dtype.itemsize)
    squares = (ceil(sizes[-1] / SIDE), ceil(sizes[turned] / SIDE), y.size // (sizes[-1] * sizes[turned]))
    if turned == len(sizes) - 1 or max(squares[1:]) > MOST_BLOCKS:
        unit = Unit("shape", f"transpose<{kind}>", transpose_args)
        return Plan((Launch(unit, gpu.grid(y.size), THREADS, arguments),))
    return Plan((Launch(Unit("shape", f"transpose_square<{kind}>", transpose_args), squares, THREADS, arguments),))


@launches(Broadcast)
def broadcast(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """Axes along which x is stretched have a stride of 0."""
    (x,), (y,) = inputs, outputs
    axes = coalesced((x,), y.shape)
    if not y.size or len(axes.shape) > RANK:
        return None
    columns = ((i64 * RANK)(*axes.shape), (i64 * RANK)(*axes.strides[0]))
    arguments = transpose_args(x.address, y.address, *columns, len(axes.shape), y.size)
    unit = Unit("shape", f"transpose<{element_type(x.dtype.itemsize)}>", transpose_args)
    return Plan((Launch(unit, gpu.grid(y.size), THREADS, arguments),))
