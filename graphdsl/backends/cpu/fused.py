"""A product and the formula over its result in one call."""

from __future__ import annotations

from graphdsl.backends.cpu.conv import backward, forward
from graphdsl.backends.cpu.epilogue import Finish, finish_of
from graphdsl.backends.cpu.gathering import Gathered, moments_of, sums_of
from graphdsl.backends.cpu.linear import multiplied
from graphdsl.backends.cpu.task import BINDERS, Arrays, Machine, Plan, binds
from graphdsl.ir import Array, Call, Operator
from graphdsl.ops import Conv, ConvInputGradient, Fused, FusedMoments, FusedSums, MatMul, Moments, Reduced


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


@binds(FusedMoments)
def fused_moments(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """Gathered where results are stored, if a kernel can; else the results are read once more."""
    op, (result, *moments) = call.op, outputs
    assert isinstance(op, FusedMoments)
    riding = _gathering(op.producer, inputs, result, machine, moments_of(moments))
    if riding is not None:
        return riding
    axes = tuple(range(result.ndim - 1))
    return _after(op.producer, inputs, result, Moments(axes), [result], moments, machine)


@binds(FusedSums)
def fused_sums(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """As fused_moments."""
    op, (result, *sums) = call.op, outputs
    assert isinstance(op, FusedSums)
    first, others = op.split(inputs)
    known = sums_of(op.formulas, result, others, sums)
    riding = _gathering(op.producer, first, result, machine, known) if known else None
    if riding is not None:
        return riding
    summing = Reduced(tuple(range(result.ndim - 1)), op.formulas, op.arity)
    return _after(op.producer, first, result, summing, [result, *others], sums, machine)


def _gathering(producer: Operator, inputs: Arrays, result: Array, machine: Machine, gathered: Gathered) -> Plan | None:
    """The producer with what is gathered of its result; None where no kernel does both."""
    finish = Finish()
    if isinstance(producer, Fused):
        inputs, others = producer.split(inputs)
        finish, producer = finish_of(producer, others, result), producer.producer
    match producer:
        case Conv():
            return forward(producer, inputs[0], inputs[1], result, machine, finish, gathered)
        case ConvInputGradient():
            return backward(producer, inputs[0], inputs[1], result, machine, finish, gathered)
        case _:
            return None


def _after(
    producer: Operator,
    inputs: Arrays,
    result: Array,
    summing: Operator,
    operands: Arrays,
    sums: Arrays,
    machine: Machine,
) -> Plan | None:
    """The producer, then the sums over what it has made."""
    first = BINDERS[type(producer)](Call("", producer, (), ()), inputs, [result], machine)
    second = BINDERS[type(summing)](Call("", summing, (), ()), operands, sums, machine)
    return Plan((*first.steps, *second.steps), first.once) if first and second else None
