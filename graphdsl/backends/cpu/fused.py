"""A product and the formula over its result in one call."""

from __future__ import annotations

from graphdsl.backends.cpu.conv import backward, forward
from graphdsl.backends.cpu.epilogue import finish_of
from graphdsl.backends.cpu.linear import multiplied
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, binds
from graphdsl.ir import Call
from graphdsl.ops import Conv, ConvInputGradient, Fused, MatMul


@binds(Fused)
def fused(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    op, (result,) = call.op, outputs
    assert isinstance(op, Fused)
    (left, right), others = op.split(inputs)
    finish = finish_of(op, others, result)
    match op.producer:
        case Conv():
            return forward(op.producer, left, right, result, machine, finish)
        case ConvInputGradient():
            return backward(op.producer, left, right, result, machine, finish)
        case MatMul():
            return multiplied(op.producer, left, right, result, machine, finish)
        case _:
            return None
