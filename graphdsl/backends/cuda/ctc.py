"""Texts in rows of frames: ctc.cu. Beam search is left to the reference: its work is in sorting texts."""

from __future__ import annotations

from graphdsl.backends.cuda.array import all_of
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import Arrays, Gpu, blocks, launches
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i64
from graphdsl.ir import Call
from graphdsl.ops import CtcGreedy, SoftmaxCtc

THREADS, WARPS = 128, 4
ROWS = 3
"""Of states, that the way back keeps of each sample."""


class softmax_ctc_args(Arguments):
    _fields_ = (
        *((name, address) for name in ("x", "text", "frame_counts", "character_counts", "loss", "slope")),
        *((name, address) for name in ("totals", "forward", "back")),
        *((name, i64) for name in ("frames", "outputs", "characters", "blank", "skip")),
    )


class ctc_greedy_args(Arguments):
    _fields_ = (
        *((name, address) for name in ("p", "frame_counts", "text")),
        *((name, i64) for name in ("batch", "frames", "outputs", "blank")),
    )


@launches(SoftmaxCtc)
def softmax_ctc(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A block a sample."""
    op, (x, text, *lengths) = call.op, inputs
    assert isinstance(op, SoftmaxCtc)
    if not all_of("float32", x) or not all_of("int32", text, *lengths) or not x.shape[0]:
        return None
    batch, frames, _ = x.shape
    states = 2 * text.shape[1] + 1
    if max(x.size, batch * frames * states) >= 1 << 31:
        return None
    given = iter(lengths)
    counts = [next(given).address if known else None for known in (op.frames, op.characters)]
    made = {which: array.address for which, array in zip(op.gives, outputs, strict=True)}
    shapes = ((batch, frames), (batch, frames, states), (batch, ROWS, states))
    room = tuple(gpu.room(*shape, dtype="float64") for shape in shapes)
    arguments = softmax_ctc_args(
        *(x.address, text.address, *counts, made.get(0), made.get(1), *(r.address for r in room)),
        *(frames, x.shape[2], text.shape[1], op.blank, op.skip),
    )
    unit = Unit("ctc", "softmax_ctc", softmax_ctc_args)
    return Plan((Launch(unit, (batch, 1, 1), THREADS, arguments, keeps=room),))


@launches(CtcGreedy)
def ctc_greedy(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A warp a sample."""
    op, (p, *lengths), (text,) = call.op, inputs, outputs
    assert isinstance(op, CtcGreedy)
    if not all_of("float32", p) or not all_of("int32", *lengths) or not p.shape[0]:
        return None
    counts = lengths[0].address if lengths else None
    arguments = ctc_greedy_args(p.address, counts, text.address, *p.shape, op.blank)
    unit = Unit("ctc", "ctc_greedy", ctc_greedy_args)
    return Plan((Launch(unit, blocks(p.shape[0], WARPS), THREADS, arguments),))
