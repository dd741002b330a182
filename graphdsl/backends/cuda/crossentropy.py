"""Cross-entropies of rows: crossentropy.cu. That of single probabilities is a formula."""

from __future__ import annotations

from graphdsl.backends.cuda.array import all_of
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import Arrays, Gpu, blocks, launches, plan_of
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i64
from graphdsl.ir import Call
from graphdsl.ops import BinaryCrossentropy, CategoricalCrossentropy, SoftmaxCrossentropy

WARPS = 8


class crossentropy_args(Arguments):
    _fields_ = (("x", address), ("t", address), ("y", address), ("rows", i64), ("classes", i64))


@launches(CategoricalCrossentropy, SoftmaxCrossentropy)
def crossentropy(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A warp a row."""
    (x, t), (y,) = inputs, outputs
    if not all_of("float32", x, t) or x.size == 0:
        return None
    rows = x.size // x.shape[-1]
    arguments = crossentropy_args(x.address, t.address, y.address, rows, x.shape[-1])
    unit = Unit("crossentropy", call.op.name, crossentropy_args)
    return Plan((Launch(unit, blocks(rows, WARPS), 32 * WARPS, arguments),))


@launches(BinaryCrossentropy)
def binary_crossentropy(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """As the formula that it is."""
    assert isinstance(call.op, BinaryCrossentropy)
    return plan_of(call.op.as_formula, inputs, outputs, gpu)
