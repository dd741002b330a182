"""Scores become probabilities: softmax.cu."""

from __future__ import annotations

from graphdsl.backends.cuda.array import all_of
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import Arrays, Gpu, blocks, launches
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i64
from graphdsl.ir import Call
from graphdsl.ops import Softmax

SHORT = 1024
"""Classes up to which a warp takes a row; above, a block does."""
WARPS = 8


class softmax_args(Arguments):
    _fields_ = (("x", address), ("y", address), ("rows", i64), ("classes", i64))


@launches(Softmax)
def softmax(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A warp or a block a row of scores."""
    (x,), (y,) = inputs, outputs
    if not all_of("float32", x) or x.size == 0:
        return None
    classes = x.shape[-1]
    rows = x.size // classes
    arguments = softmax_args(x.address, y.address, rows, classes)
    if classes <= SHORT:
        unit = Unit("softmax", f"softmax_by_warp<{WARPS}>", softmax_args)
        return Plan((Launch(unit, blocks(rows, WARPS), 32 * WARPS, arguments),))
    return Plan((Launch(Unit("softmax", "softmax_by_block<256>", softmax_args), blocks(rows, 1), 256, arguments),))
