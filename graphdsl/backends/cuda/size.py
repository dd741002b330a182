"""Sizes as numbers to calculate with: size.cu."""

from __future__ import annotations

import numpy as np

from graphdsl.backends.cuda.array import all_of
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import THREADS, Arrays, Gpu, launches
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i64, u64
from graphdsl.backends.postfix import MOST_CODE, postfix
from graphdsl.ir import Call, LengthOf
from graphdsl.ops import DimNumber


class put_number_args(Arguments):
    _fields_ = (("y", address), ("bits", u64), ("bytes", i64))


class length_of_args(Arguments):
    _fields_ = (("lengths", address), ("y", address), ("code", address), ("count", i64), ("batch", i64))


@launches(DimNumber)
def dim_number(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A number that is stored each time: its memory may have been used for something else."""
    (y,), op = outputs, call.op
    assert isinstance(op, DimNumber)
    bits = int.from_bytes(np.asarray(op.size, y.dtype).tobytes(), "little")
    arguments = put_number_args(y.address, bits, y.nbytes)
    return Plan((Launch(Unit("size", "put_number", put_number_args), (1, 1, 1), 32, arguments),))


@launches(LengthOf)
def length_of(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """Lengths through a formula."""
    (lengths,), (y,), op = inputs, outputs, call.op
    assert isinstance(op, LengthOf)
    code = np.array(postfix(op.dim), np.int64)
    if len(code) > MOST_CODE or not all_of("int32", lengths) or not lengths.size:
        return None
    table = gpu.constant(code)
    arguments = length_of_args(lengths.address, y.address, table.address, len(code), lengths.size)
    unit = Unit("size", "length_of", length_of_args)
    return Plan((Launch(unit, gpu.grid(lengths.size), THREADS, arguments, keeps=(table,)),))
