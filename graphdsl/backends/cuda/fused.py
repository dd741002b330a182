"""A producer and the formula over its result: in one kernel where the producer's can, else one after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.elementwise import computed
from graphdsl.backends.cuda.epilogue import FINISHING, epilogue_of
from graphdsl.backends.cuda.launch import Plan
from graphdsl.backends.cuda.launcher import Arrays, Gpu, in_turn, launches, plan_of
from graphdsl.ir import Call
from graphdsl.ops import Fused


@launches(Fused)
def fused(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """In one kernel, if the producer's takes this formula."""
    (y,), op = outputs, call.op
    assert isinstance(op, Fused)
    first, others = inputs[: len(inputs) - op.others], inputs[len(inputs) - op.others :]
    finishing = FINISHING.get(type(op.producer))
    end = epilogue_of(op.formula, op.placed(y, tuple(others)), y, op.place)
    whole = finishing(op.producer, first, y, gpu, end) if finishing and end else None
    return whole or _apart(op, first, others, y, gpu)


def _apart(op: Fused, first: Arrays, others: Arrays, y: DeviceArray, gpu: Gpu) -> Plan | None:
    """The formula over stored results. Where it gives truth values, these lie elsewhere first."""
    made = y if y.dtype == np.float32 else gpu.room(*y.shape)
    formula = computed((op.formula.tree,), op.placed(made, tuple(others)), [y], gpu)
    plan = in_turn(plan_of(op.producer, first, [made], gpu), formula)
    if plan is None or made is y:
        return plan
    return replace(plan, launches=tuple(replace(x, keeps=(*x.keeps, made)) for x in plan.launches))
