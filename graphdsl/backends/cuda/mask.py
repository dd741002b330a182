"""Steps behind the end of a sequence: mask.cu."""

from __future__ import annotations

from math import prod

import numpy as np

from graphdsl.backends.cuda.array import all_of
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import THREADS, Arrays, Gpu, index_type, launches
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i64, u32
from graphdsl.ir import Call
from graphdsl.ops import StepMask


class step_mask_args(Arguments):
    _fields_ = (
        *(("x", address), ("lengths", address), ("y", address)),
        *(("batch", i64), ("between", i64), ("steps", i64), ("width", i64), ("fill", u32), ("unused", u32)),
    )


@launches(StepMask)
def step_mask(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """Words of four bytes, whatever they mean."""
    (x, lengths), (y,), op = inputs, outputs, call.op
    assert isinstance(op, StepMask)
    if x.dtype.itemsize != 4 or not all_of("int32", lengths) or not x.size:
        return None
    between, width = prod(x.shape[1 : op.axis]), prod(x.shape[op.axis + 1 :])
    fill = int(np.array(op.fill, x.dtype).view(np.uint32))
    arguments = step_mask_args(
        x.address, lengths.address, y.address, x.shape[0], between, x.shape[op.axis], width, fill
    )
    unit = Unit("mask", f"step_mask<{index_type(x.size)}>", step_mask_args)
    return Plan((Launch(unit, gpu.grid(x.size), THREADS, arguments),))
