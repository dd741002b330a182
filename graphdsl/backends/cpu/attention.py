"""Attention, and the way back: attention.c."""

from __future__ import annotations

import ctypes
from math import sqrt

import numpy as np

from graphdsl.backends.cpu.small import small
from graphdsl.backends.cpu.task import Arrays, Machine, Plan, Task, address, all_float32, binds, f64, i64, pointer, room
from graphdsl.ir import Array, Call
from graphdsl.ops import Attention, AttentionGradient

SIZES = tuple((n, i64) for n in ("batch", "queries", "keys", "heads", "depth", "width", "causal"))
LENGTHS = (("query_lengths", address), ("key_lengths", address))


class attention_task(Task):
    _fields_ = (
        *((n, address) for n in ("q", "k", "v")),
        *LENGTHS,
        *((n, address) for n in ("y", "sums")),
        *SIZES,
        ("parts", i64),
        ("scale", f64),
    )


class attention_gradient_task(Task):
    _fields_ = (
        *((n, address) for n in ("q", "k", "v", "y", "sums", "dy")),
        *LENGTHS,
        *((n, address) for n in ("dq", "dk", "dv")),
        *SIZES,
        ("scale", f64),
    )


@binds(Attention)
def attention(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """Cut by samples and heads; where these are fewer than threads, by queries as well."""
    op, (q, k, v, *lengths) = call.op, inputs
    assert isinstance(op, Attention)
    if not all_float32(q, k, v) or any(n.dtype != np.int32 for n in lengths) or not (q.size and v.size):
        return None
    made = dict(zip(op.gives, outputs, strict=True))
    y = made.get(0)
    if y is None:
        return None
    parts = -(-machine.threads // (len(q) * op.heads))
    sizes = _sizes(op, q, k, v)
    task = attention_task(
        *map(pointer, (q, k, v)),
        *_lengths(op, lengths),
        *(pointer(y), _pointer(made.get(1))),
        *(*sizes, parts, 1 / sqrt(sizes[4])),
    )
    own = 4 * (_scores(machine) + _keys(machine) * sizes[4] + 2 * q.shape[1])
    return Plan((machine.step("attention", task, serial=small(_work(sizes)), own=own),))


@binds(AttentionGradient)
def attention_gradient(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """Cut by samples and heads. Results that nobody reads are made all the same, and kept here."""
    op, (q, k, v, y, sums, dy, *lengths) = call.op, inputs
    assert isinstance(op, AttentionGradient)
    if not all_float32(q, k, v, y, sums, dy) or any(n.dtype != np.int32 for n in lengths) or not (q.size and v.size):
        return None
    made = dict(zip(op.gives, outputs, strict=True))
    results = [made[i] if i in made else room(*x.shape) for i, x in enumerate((q, k, v))]
    sizes = _sizes(op, q, k, v)
    task = attention_gradient_task(
        *map(pointer, (q, k, v, y, sums, dy)),
        *_lengths(op, lengths),
        *map(pointer, results),
        *(*sizes, 1 / sqrt(sizes[4])),
    )
    own = 4 * (2 * _scores(machine) + _keys(machine) * (sizes[4] + sizes[5]) + q.shape[1])
    serial = small(3 * _work(sizes))
    return Plan((machine.step("attention_gradient", task, serial=serial, own=own, keeps=tuple(results)),))


def _sizes(op: Attention | AttentionGradient, q: Array, k: Array, v: Array) -> tuple[int, ...]:
    """Of a task: batch, queries, keys, heads, features of a head's keys and values, causal."""
    return (*q.shape[:2], k.shape[1], op.heads, q.shape[2] // op.heads, v.shape[2] // op.heads, int(op.causal))


def _lengths(op: Attention | AttentionGradient, lengths: Arrays) -> tuple[int | None, int | None]:
    queries = lengths[0] if op.padded_queries else None
    return _pointer(queries), _pointer(lengths[-1] if op.padded_keys else None)


def _pointer(array: Array | None) -> int | None:
    return None if array is None else pointer(array)


def _work(sizes: tuple[int, ...]) -> int:
    """Floats that are as much work as this: a product is a sixteenth of a move."""
    batch, queries, keys, heads, depth, width, _ = sizes
    return batch * heads * queries * keys * (16 + depth + width) // 16


def _keys(machine: Machine) -> int:
    return ctypes.c_int64.in_dll(machine.library.c, "attention_keys").value


def _scores(machine: Machine) -> int:
    return ctypes.c_int64.in_dll(machine.library.c, "attention_queries").value * _keys(machine)
