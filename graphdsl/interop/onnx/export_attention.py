"""How attention is said in ONNX: products, a softmax between them, and which query reads which key.

q [N, T, h n] ── Reshape, Transpose ── [N, h, T, n] ──┐
k [N, S, h n] ── Reshape, Transpose ── [N, h, n, S] ──┴─ MatMul ── Mul ── Where ── Softmax ── MatMul with v ── y
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from graphdsl.interop.onnx.export_rules import says
from graphdsl.interop.onnx.export_sheet import Sheet
from graphdsl.interop.onnx.export_sizes import size_tensor
from graphdsl.ir import Dim, DType, Value
from graphdsl.ops import Attention

UNREAD = -1e30
"""The score of a key that a query does not read."""


@says(Attention)
def write_attention(sheet: Sheet, value: Value) -> None:
    """Weights of 0 where nothing is read, so that a sample without keys gives 0 as ours does."""
    (q, k, v, *lengths), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, Attention)
    if op.gives[:1] != (0,):
        raise sheet.refusal("its sums are for training alone")
    queries, keys, values = (_heads(sheet, x, op.heads, turned=x is k) for x in (q, k, v))
    scale = sheet.store(np.array(1 / sqrt(_features(q) // op.heads), np.float32), "scale")
    scores = sheet.write("Mul", [sheet.write("MatMul", [queries, keys], "scores"), scale], "scaled")
    read = _read(sheet, op, q.type.shape[1], k.type.shape[1], lengths)
    if read:
        scores = sheet.write("Where", [read, scores, sheet.store(np.array(UNREAD, np.float32), "unread")], "scores")
    weights = sheet.write("Softmax", [scores], "weights", {"axis": -1})
    if read and lengths:
        weights = sheet.write("Where", [read, weights, sheet.store(np.array(0, np.float32), "none")], "weights")
    taken = sheet.write("MatMul", [weights, values], "taken")
    turned = sheet.write("Transpose", [taken], "turned", {"perm": (0, 2, 1, 3)})
    sheet.bind(value, sheet.write("Reshape", [turned, sheet.whole([0, 0, _features(v)], "joined")]))


def _features(x: Value) -> int:
    size = x.type.channels
    assert isinstance(size, int), "attention demands it"
    return size


def _heads(sheet: Sheet, x: Value, heads: int, *, turned: bool) -> str:
    """[N, heads, time, features of a head]; turned: [N, heads, features of a head, time]."""
    apart = sheet.write(
        "Reshape", [sheet.tensor(x), sheet.whole([0, 0, heads, _features(x) // heads], "heads")], "apart"
    )
    return sheet.write("Transpose", [apart], "turned", {"perm": (0, 2, 3, 1) if turned else (0, 2, 1, 3)})


def _read(sheet: Sheet, op: Attention, queries: Dim, keys: Dim, lengths: list[Value]) -> str:
    """Whether a query reads a key, stretching to [N, heads, queries, keys]; empty: every query reads every key."""
    parts: list[str] = []
    if op.causal and isinstance(queries, int):
        parts.append(sheet.store(np.tri(queries, dtype=np.bool_)[None, None], "before"))
    elif op.causal:
        steps = _steps(sheet, queries)
        column = sheet.write("Unsqueeze", [steps, sheet.whole([1], "column")], "asking")
        parts.append(sheet.write("LessOrEqual", [steps, column], "before"))
    if op.padded_queries:
        parts.append(_real(sheet, queries, lengths[0], [1, 3]))
    if op.padded_keys:
        parts.append(_real(sheet, keys, lengths[-1], [1, 2]))
    return _all(sheet, parts)


def _all(sheet: Sheet, parts: list[str]) -> str:
    made = parts[0] if parts else ""
    for part in parts[1:]:
        made = sheet.write("And", [made, part], "read")
    return made


def _steps(sheet: Sheet, size: Dim) -> str:
    """0, 1, 2 … [size]"""
    zero, one = (sheet.store(np.array(n, np.int64), word) for n, word in ((0, "zero"), (1, "one")))
    count = sheet.write("Squeeze", [size_tensor(sheet, size)], "count")
    return sheet.write("Range", [zero, count, one], "steps")


def _real(sheet: Sheet, size: Dim, lengths: Value, axes: list[int]) -> str:
    """Which steps of each sample are real, with axes of 1 at these places."""
    own = sheet.write("Cast", [sheet.tensor(lengths)], "lengths", {"to": DType.INT64})
    column = sheet.write("Unsqueeze", [own, sheet.whole([1], "column")], "lengths")
    real = sheet.write("Less", [_steps(sheet, size), column], "real")
    return sheet.write("Unsqueeze", [real, sheet.whole(axes, "axes")], "real")
