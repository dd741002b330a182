"""A producer and what is done with its result: a formula rides on its kernel if that takes one; else part by part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphdsl.backends.cuda.array import DeviceArray, all_of
from graphdsl.backends.cuda.elementwise import computed
from graphdsl.backends.cuda.epilogue import FINISHING, epilogue_of
from graphdsl.backends.cuda.launch import Plan
from graphdsl.backends.cuda.launcher import Arrays, Gpu, in_turn, launches, plan_of
from graphdsl.ir import Call, TensorType
from graphdsl.ops import Fused, FusedMoments, FusedPool, FusedSums, Moments


@launches(Fused)
def fused(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """In one kernel, if the producer's takes this formula; else over stored results."""
    (y,), op = outputs, call.op
    assert isinstance(op, Fused)
    first, others = _split(op, inputs)
    finishing = FINISHING.get(type(op.producer))
    end = epilogue_of(op.formula, op.placed(y, tuple(others)), y, op.place)
    whole = finishing(op.producer, first, y, gpu, end) if finishing and end else None
    return whole or _apart(op, first, others, y, gpu)


@launches(FusedMoments)
def fused_moments(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """The results are read once more."""
    op, (y, *moments) = call.op, outputs
    assert isinstance(op, FusedMoments)
    after = plan_of(Moments(tuple(range(y.ndim - 1))), [y], moments, gpu)
    return in_turn(plan_of(op.producer, inputs, [y], gpu), after)


@launches(FusedSums)
def fused_sums(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """The results are read once more."""
    op, (y, *sums) = call.op, outputs
    assert isinstance(op, FusedSums)
    first, others = _split(op, inputs)
    return in_turn(plan_of(op.producer, first, [y], gpu), plan_of(op.sums(y.ndim), [y, *others], sums, gpu))


@launches(FusedPool)
def fused_pool(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """The results lie in memory of their own until they are pooled."""
    op = call.op
    assert isinstance(op, FusedPool)
    shape = op.made([TensorType(a.shape) for a in inputs]).bind({})
    made = gpu.room(*shape)
    return _keeping(in_turn(plan_of(op.producer, inputs, [made], gpu), plan_of(op.pool, [made], outputs, gpu)), made)


def _apart(op: Fused, first: Arrays, others: Arrays, y: DeviceArray, gpu: Gpu) -> Plan | None:
    """The formula over stored results, which lie in memory of their own where the formula gives truth."""
    made = y if all_of("float32", y) else gpu.room(*y.shape)
    formula = computed((op.formula.tree,), op.placed(made, tuple(others)), [y], gpu)
    return _keeping(in_turn(plan_of(op.producer, first, [made], gpu), formula), made)


def _split(op: Fused | FusedSums, inputs: Arrays) -> tuple[Sequence[DeviceArray], Sequence[DeviceArray]]:
    """The operands of the producer, and the others."""
    middle = len(inputs) - op.others
    return inputs[:middle], inputs[middle:]


def _keeping(plan: Plan | None, array: DeviceArray) -> Plan | None:
    return plan and replace(plan, launches=tuple(replace(x, keeps=(*x.keeps, array)) for x in plan.launches))
