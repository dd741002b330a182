"""Texts in rows of frames: ctc.c. Beam search is left to the reference: its work is in sorting texts."""

from __future__ import annotations

import numpy as np

from graphdsl.backends.cpu.small import small
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, all_float32, binds, i64, pointer
from graphdsl.ir import Array, Call
from graphdsl.ops import CtcGreedy, SoftmaxCtc

DOUBLE = 8


class softmax_ctc_task(Task):
    _fields_ = (
        *(("x", address), ("text", address), ("frame_counts", address), ("character_counts", address)),
        *(("loss", address), ("slope", address)),
        *((name, i64) for name in ("batch", "frames", "outputs", "characters", "blank", "skip")),
    )


class ctc_greedy_task(Task):
    _fields_ = (
        *(("p", address), ("frame_counts", address), ("text", address)),
        *((name, i64) for name in ("batch", "frames", "outputs", "blank")),
    )


@binds(SoftmaxCtc)
def softmax_ctc(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """Loss, slope, or both."""
    op, (x, text, *lengths) = call.op, inputs
    assert isinstance(op, SoftmaxCtc)
    if not all_float32(x) or not _whole(text, *lengths):
        return None
    given = iter(lengths)
    frames, characters = (pointer(next(given)) if known else None for known in (op.frames, op.characters))
    made = {which: pointer(array) for which, array in zip(op.gives, outputs, strict=True)}
    states = 2 * text.shape[1] + 1
    task = softmax_ctc_task(
        *(pointer(x), pointer(text), frames, characters, made.get(0), made.get(1)),
        *(*x.shape, text.shape[1], op.blank, op.skip),
    )
    own = DOUBLE * (2 * x.shape[1] * states + 3 * states + x.shape[2])
    return Plan((machine.step("softmax_ctc", task, serial=len(x) == 1, own=own),))


@binds(CtcGreedy)
def ctc_greedy(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """The most probable output of each frame."""
    op, (p, *lengths), (text,) = call.op, inputs, outputs
    assert isinstance(op, CtcGreedy)
    if not all_float32(p) or not _whole(*lengths):
        return None
    counts = pointer(lengths[0]) if lengths else None
    task = ctc_greedy_task(pointer(p), counts, pointer(text), *p.shape, op.blank)
    return Plan((machine.step("ctc_greedy", task, serial=small(p.size)),))


def _whole(*arrays: Array) -> bool:
    return all(a.dtype == np.int32 for a in arrays)
