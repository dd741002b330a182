"""Attention, and the way back: attention.cu."""

from __future__ import annotations

from math import sqrt

from graphdsl.backends.cuda.array import all_of
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import Arrays, Gpu, blocks, launches
from graphdsl.backends.cuda.unit import Arguments, Unit, address, f32, i64
from graphdsl.ir import Call
from graphdsl.ops import Attention, AttentionGradient

THREADS, WARPS = 128, 4
PARTS = (1, 2, 4, 8)
"""Features of a head that a lane may have: up to 256 for all lanes."""

LENGTHS = (("query_lengths", address), ("key_lengths", address))
SIZES = tuple((n, i64) for n in ("batch", "queries", "keys", "heads", "depth", "width", "causal"))


class attention_args(Arguments):
    _fields_ = (
        *((n, address) for n in ("q", "k", "v")),
        *LENGTHS,
        *((n, address) for n in ("y", "sums")),
        *SIZES,
        ("scale", f32),
    )


class attention_gradient_args(Arguments):
    _fields_ = (
        *((n, address) for n in ("q", "k", "v", "y", "sums", "dy")),
        *LENGTHS,
        *((n, address) for n in ("dq", "dk", "dv")),
        *SIZES,
        ("scale", f32),
    )


@launches(Attention)
def attention(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A warp a query of a head."""
    op, (q, k, v, *lengths) = call.op, inputs
    assert isinstance(op, Attention)
    made = {which: array.address for which, array in zip(op.gives, outputs, strict=True)}
    parts = _parts(op, inputs)
    if not parts or 0 not in made:
        return None
    sizes = _sizes(op, inputs)
    arguments = attention_args(
        *(q.address, k.address, v.address, *_lengths(op, lengths), made[0], made.get(1)),
        *(*sizes, 1 / sqrt(sizes[4])),
    )
    unit = Unit("attention", f"attention<{parts}>", attention_args)
    return Plan((Launch(unit, blocks(q.shape[0] * q.shape[1] * op.heads, WARPS), THREADS, arguments),))


@launches(AttentionGradient)
def attention_gradient(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """A warp a query for what flows to queries; a warp a key for what flows to keys and values."""
    op, (q, k, *_), lengths = call.op, inputs, inputs[6:]
    assert isinstance(op, AttentionGradient)
    parts = _parts(op, inputs)
    if not parts:
        return None
    made = {which: array.address for which, array in zip(op.gives, outputs, strict=True)}
    sizes = _sizes(op, inputs)
    arguments = attention_gradient_args(
        *(x.address for x in inputs[:6]),
        *_lengths(op, lengths),
        *(made.get(i) for i in range(3)),
        *(*sizes, 1 / sqrt(sizes[4])),
    )
    wanted = [("queries", q, {0} & made.keys()), ("keys", k, {1, 2} & made.keys())]
    return Plan(
        tuple(
            Launch(
                Unit("attention", f"attention_back_to_{name}<{parts}>", attention_gradient_args),
                blocks(x.shape[0] * x.shape[1] * op.heads, WARPS),
                THREADS,
                arguments,
            )
            for name, x, read in wanted
            if read
        )
    )


def _parts(op: Attention | AttentionGradient, inputs: Arrays) -> int:
    """How many features of a head a lane has; 0 where no kernel serves."""
    floats = 3 if isinstance(op, Attention) else 6
    fit = all_of("float32", *inputs[:floats]) and all_of("int32", *inputs[floats:]) and all(x.size for x in inputs)
    most = max(inputs[0].shape[2], inputs[2].shape[2]) // op.heads
    return next((p for p in PARTS if 32 * p >= most), 0) if fit else 0


def _sizes(op: Attention | AttentionGradient, inputs: Arrays) -> tuple[int, ...]:
    """Of a task: batch, queries, keys, heads, features of a head's keys and values, causal."""
    q, k, v = inputs[:3]
    return (*q.shape[:2], k.shape[1], op.heads, q.shape[2] // op.heads, v.shape[2] // op.heads, int(op.causal))


def _lengths(op: Attention | AttentionGradient, lengths: Arrays) -> tuple[int | None, int | None]:
    queries = lengths[0].address if op.padded_queries else None
    return queries, lengths[-1].address if op.padded_keys else None
