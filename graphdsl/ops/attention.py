"""Scaled dot-product attention: every query takes a weighted mean of values, the weights by how its key agrees.

One operator reads the features of all heads as they stand side by side, so nothing is transposed, and a machine may
walk over blocks of keys without ever having all weights: of each query it keeps only the logarithm of the sum of its
powers, from which the backward pass gets any weight again (Dao et al. 2022, FlashAttention).

    q  [batch, T, heads * n]        scores[h, i, j] = q[i, h] · k[j, h] / sqrt(n)        j <= i where causal
    k  [batch, S, heads * n]        y[i, h] = sum over j of softmax(scores[h, i])[j] * v[j, h]
    v  [batch, S, heads * m]

Of sequences with padding only the real steps count: a padded key has no weight, a padded query gives 0, and both get
the gradient 0, whatever stands there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Constant,
    Cotangents,
    Dim,
    DType,
    Moving,
    Operator,
    Sample,
    Stepper,
    Streamed,
    TensorType,
    TypeRuleError,
    Value,
    operator,
)
from graphdsl.ops import expression as e
from graphdsl.ops.elementwise import formula
from graphdsl.ops.recurrence import read
from graphdsl.ops.reduce import broadcast_to
from graphdsl.ops.shape import reshape
from graphdsl.report import dataclass


@operator("attention")
@dataclass(frozen=True)
class Attention(Operator):
    """softmax(q · k / sqrt(n)) · v, head by head.

    q         [batch, T, heads * n]
    k         [batch, S, heads * n]
    v         [batch, S, heads * m]
    lengths   int32 [batch], how many queries are real, if padded_queries; then the same of keys, if padded_keys
    returns   y [batch, T, heads * m], and for the backward pass sums [batch, heads, T], the logarithm of the sum of
              exp(scores); of these, those that it gives

    causal  query i reads the keys up to i; there must be as many keys as queries
    gives   which of the two results there are, by number

    A query without any key gives 0; its sum is 0.
    """

    heads: int
    causal: bool = False
    padded_queries: bool = False
    padded_keys: bool = False
    gives: tuple[int, ...] = (0, 1)

    def type(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        q, k, v, *lengths = inputs
        _demand_heads(self.heads, q, k, v)
        if self.causal and q.shape[1] != k.shape[1]:
            raise TypeRuleError(
                f"causal attention needs a key for every query, got {q.describe()} and {k.describe()}", operand=1
            )
        wanted = self.padded_queries + self.padded_keys
        if len(lengths) != wanted or any(n.shape != q.shape[:1] or n.dtype.is_float for n in lengths):
            raise TypeRuleError(f"attention needs {wanted} times whole lengths, one a sample", operand=3)
        batch, steps = q.shape[:2]
        results = TensorType((batch, steps, v.channels), q.dtype), TensorType((batch, self.heads, steps), q.dtype)
        return tuple(results[i] for i in self.gives)

    def narrowed(self, read: Collection[int]) -> Operator:
        return replace(self, gives=tuple(self.gives[i] for i in sorted(read)))

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        dy, (y, sums) = d[0], outputs
        if dy is None:
            return (None,) * len(inputs)
        op = AttentionGradient(self.heads, self.causal, self.padded_queries, self.padded_keys)
        found = b.emit_all(op, *inputs[:3], y, sums, dy, *inputs[3:])
        return *found, *[None] * (len(inputs) - 3)

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        """One query. Keys and values of the steps so far are remembered, those of another sequence stand still."""
        q, k, v, *lengths = operands
        if q.axis != 1 or (k.axis, v.axis) not in ((1, 1), (None, None)):
            raise TypeRuleError("queries, keys and values do not all come step by step", operand=0)
        if k.axis is None:
            real = lengths[-1:] if self.padded_keys else ()
            made = s.b.emit_all(replace(self, padded_queries=False), *(o.value for o in (q, k, v, *real)))
        elif self.causal:
            keys, values = (_remembered(s, name, x) for name, x in (("keys", k), ("values", v)))
            count = formula(s.b, lambda n, i: n + i, s.position(), s.b.constant(1, DType.INT32), title="so_far")
            count = broadcast_to(s.b, reshape(s.b, count, (1,)), q.value.type.shape[:1])
            op = replace(self, causal=False, padded_queries=False, padded_keys=True)
            made = s.b.emit_all(op, q.value, keys, values, count)
        else:
            raise TypeRuleError("it reads later steps", operand=0, help="write `causal=true`")
        return tuple((value, 1 if place == 0 else 2) for value, place in zip(made, self.gives, strict=True))

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        q, k, v, *lengths = arrays
        scores, allowed = _scores(self, q, k, lengths)
        top = np.max(scores, axis=-1, keepdims=True, where=allowed, initial=-np.inf)
        top = np.where(np.isfinite(top), top, 0)
        powers = np.where(allowed, np.exp(scores - top), 0)
        total = powers.sum(axis=-1, keepdims=True)
        weights = powers / np.where(total > 0, total, 1)
        y = _joined(weights @ _split(_real_keys(self, v, lengths), self.heads))
        sums = np.where(total > 0, top + np.log(np.where(total > 0, total, 1)), 0)[..., 0]
        return tuple((y.astype(q.dtype), sums.astype(q.dtype))[i] for i in self.gives)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return _work(self.heads, inputs) // (2 if self.causal else 1)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        q, k, v, lengths = _arrays()
        wide = np.sin(np.arange(1400.0) * 1.3).reshape(2, 35, 20)
        return [
            Sample(cls(2), (q, k, v), results=(0,), torch=_torch(2, False)),
            Sample(cls(1), (q, k[:, :3], v[:, :3]), results=(0,), torch=_torch(1, False)),
            Sample(cls(2, True), (q, k, v), results=(0,), torch=_torch(2, True)),
            Sample(cls(2, True), (wide, np.cos(wide), wide + 1), results=(0,), torch=_torch(2, True)),
            Sample(cls(2, True, True, True), (q, k, v, lengths, lengths), results=(0,)),
            Sample(cls(2, False, False, True), (q, k, v, lengths), results=(0,)),
            Sample(cls(2, False, True, False), (q, k[:, :2], v[:, :2], lengths), results=(0,)),
            Sample(cls(2, gives=(0,)), (q * 100, k, v), smooth=()),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        q, v, flat = TensorType((3, 5, 4)), TensorType((3, 5, 6)), TensorType((3, 4))
        return [
            BadSample(cls(2), (q, v, v)),
            BadSample(cls(3), (q, q, v), "E0305"),
            BadSample(cls(4), (q, q, v), "E0305"),
            BadSample(cls(2), (q, q, TensorType((3, 4, 6)))),
            BadSample(cls(2), (flat, flat, flat)),
            BadSample(cls(2, True), (TensorType((3, 4, 4)), q, v)),
            BadSample(cls(2, padded_keys=True), (q, q, v)),
            BadSample(cls(2, padded_keys=True), (q, q, v, TensorType((2,), DType.INT32))),
        ]


@operator("attention_gradient")
@dataclass(frozen=True)
class AttentionGradient(Operator):
    """The gradient of attention, the weights being worked out once more.

    q, k, v   as attention got them
    y, sums   as attention gave them
    dy        the shape of y
    lengths   as attention got them
    returns   dq, dk and dv; of these, those that it gives

    gives  which of the three results there are, by number
    """

    heads: int
    causal: bool = False
    padded_queries: bool = False
    padded_keys: bool = False
    gives: tuple[int, ...] = (0, 1, 2)

    def type(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        return tuple(TensorType(inputs[i].shape, inputs[i].dtype) for i in self.gives)

    def narrowed(self, read: Collection[int]) -> Operator:
        return replace(self, gives=tuple(self.gives[i] for i in sorted(read)))

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        q, k, v, y, sums, dy, *lengths = arrays
        real = lengths[:1] if self.padded_queries else []
        scores, allowed = _scores(self, q, k, lengths)
        weights = np.where(allowed, np.exp(scores - sums[..., None]), 0)
        values, flowed = (_split(a, self.heads) for a in (_real_keys(self, v, lengths), read(dy, tuple(real))))
        dvalues = weights.swapaxes(-1, -2) @ flowed
        shift = (flowed * _split(y, self.heads)).sum(axis=-1, keepdims=True)
        dscores = weights * (flowed @ values.swapaxes(-1, -2) - shift) / sqrt(q.shape[-1] // self.heads)
        keys, queries = _real_keys(self, k, lengths), read(q, tuple(real))
        dqueries = dscores @ _split(keys, self.heads)
        dkeys = dscores.swapaxes(-1, -2) @ _split(queries, self.heads)
        results = _joined(dqueries), _joined(dkeys), _joined(dvalues)
        return tuple(results[i].astype(q.dtype) for i in self.gives)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return _work(self.heads, inputs[:3]) * 5 // (4 if self.causal else 2)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        q, k, v, lengths = _arrays()
        whole, padded, causal = Attention(2), Attention(2, True, True, True), Attention(2, True)
        kept = (q, k, v, *whole.reference(q, k, v), np.cos(v))
        late = (q, k, v, *causal.reference(q, k, v), np.cos(v))
        short = (q, k, v, *padded.reference(q, k, v, lengths, lengths), np.cos(v), lengths, lengths)
        return [
            Sample(cls(2), kept, smooth=()),
            Sample(cls(2, True), late, smooth=()),
            Sample(cls(2, True, True, True), short, smooth=()),
            Sample(cls(2, gives=(1,)), kept, smooth=()),
            Sample(cls(2, gives=(0, 2)), kept, smooth=()),
        ]


def _demand_heads(heads: int, q: TensorType, k: TensorType, v: TensorType) -> None:
    """Raises TypeRuleError unless these are queries, keys and values of one batch, which the heads divide."""
    if any(x.rank != 3 or not x.dtype.is_float for x in (q, k, v)) or q.channels != k.channels:
        got = f"{q.describe()}, {k.describe()} and {v.describe()}"
        raise TypeRuleError(f"attention needs queries and keys of as many features, float[time, features], got {got}")
    if k.shape[:2] != v.shape[:2] or q.shape[0] != k.shape[0]:
        raise TypeRuleError(f"attention needs a value for every key, got {k.describe()} and {v.describe()}", operand=2)
    for place, x in ((0, q), (2, v)):
        if not isinstance(x.channels, int) or x.channels % heads:
            raise TypeRuleError(
                f"{heads} heads do not divide {x.channels} features", code="E0305", operand=place, attribute="heads"
            )


def _remembered(s: Stepper, name: str, x: Moving) -> Value:
    """[batch, context, features]: what x was at the steps before and is at this one; 0 behind it."""
    batch, _, features = x.value.type.shape
    before = s.state(name, (batch, s.context, features), x.value.type.dtype)
    places = s.b.emit(Constant.array(np.arange(s.context, dtype=np.int32)[:, None]), name="places")
    now = formula(
        s.b,
        lambda old, new, place, n: e.where(e.equal(place, n), new, old),
        *(before, x.value, places, s.position()),
        title="remember",
    )
    s.carry(before, now)
    return now


def _work(heads: int, inputs: Sequence[TensorType]) -> Dim:
    q, k, v = inputs[:3]
    return q.shape[0] * q.shape[1] * k.shape[1] * ((q.channels + v.channels) * 2 + 5 * heads)


def _split(x: Array, heads: int) -> Array:
    """[batch, heads, time, features of a head]"""
    return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


def _joined(x: Array) -> Array:
    """[batch, time, features of all heads]"""
    return x.swapaxes(1, 2).reshape(x.shape[0], x.shape[2], -1)


def _real_keys(op: Attention | AttentionGradient, x: Array, lengths: Sequence[Array]) -> Array:
    return read(x, tuple(lengths[-1:]) if op.padded_keys else ())


def _scores(op: Attention | AttentionGradient, q: Array, k: Array, lengths: Sequence[Array]) -> tuple[Array, Array]:
    """[batch, heads, T, S]: how queries agree with keys, and whether a query reads a key at all."""
    rows, columns = np.arange(q.shape[1])[:, None], np.arange(k.shape[1])
    allowed = (columns <= rows if op.causal else np.ones((len(rows), len(columns)), bool))[None, None]
    if op.padded_queries:
        allowed = allowed & (rows < lengths[0][:, None, None, None])
    if op.padded_keys:
        allowed = allowed & (columns < lengths[-1][:, None, None, None])
    queries = read(q, tuple(lengths[:1]) if op.padded_queries else ())
    keys = _real_keys(op, k, lengths)
    scores = _split(queries, op.heads) @ _split(keys, op.heads).swapaxes(-1, -2) / sqrt(q.shape[-1] // op.heads)
    return scores, np.broadcast_to(allowed, scores.shape)


def _arrays() -> tuple[Array, ...]:
    """q and k [3, 5, 4], v [3, 5, 6], lengths."""
    q, k, v = np.sin(np.arange(60.0) * 0.7), np.cos(np.arange(60.0) * 1.1), np.sin(np.arange(90.0) * 1.7)
    return 2 * q.reshape(3, 5, 4), k.reshape(3, 5, 4), v.reshape(3, 5, 6), np.array([5, 2, 0], np.int32)


def _torch(heads: int, causal: bool) -> Callable[..., Any]:
    def run(torch: Any, *given: Any) -> Any:
        q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in given)
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return y.transpose(1, 2).flatten(-2)

    return run
