"""Gated recurrent unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Cotangents,
    Count,
    Dim,
    DType,
    Flag,
    Init,
    NonNegative,
    Operator,
    Sample,
    TensorType,
    TypeRuleError,
    Types,
    Value,
    Zeros,
    layer,
    operator,
)
from graphdsl.ops.recurrence import (
    KERNEL,
    RECURRENT,
    before,
    demand_recurrence,
    demand_sequence,
    is_real,
    logistic,
    order,
    projected,
)
from graphdsl.report import dataclass

GATES = 3
ZEROS = Zeros()


@operator("gru")
@dataclass(frozen=True)
class Gru(Operator):
    """A sequence read by a cell that updates and resets its only state.

    x          [batch, time, 3 units]: input · kernel + bias; gates in the order update, reset, candidate
    recurrent  [units, 3 units]
    bias       [3 units], of the recurrent part
    lengths    int32 [batch], left out where all steps are real
    returns    hidden [batch, time, units], last hidden [batch, units], and for the backward pass
               gates [batch, time, 3 units] and inner [batch, time, units]

    heard = hidden before · recurrent + bias; z = sigmoid(x_z + heard_z); r = sigmoid(x_r + heard_r); inner = heard_h;
    candidate = tanh(x_h + r * inner); hidden = z * hidden before + (1 - z) * candidate.
    Padded steps: see recurrence.py.
    """

    reverse: bool = False

    def type(self, *inputs: TensorType) -> Types:
        x, recurrent, bias, *rest = inputs
        demand_recurrence("gru", GATES, (x, recurrent, *rest))
        if bias.shape != recurrent.shape[1:]:
            raise TypeRuleError(f"gru needs a bias for each of {recurrent.shape[1]} gates, got {bias}", operand=2)
        units = recurrent.shape[0]
        steps = TensorType((*x.shape[:2], units), x.dtype)
        return steps, TensorType((x.shape[0], units), x.dtype), TensorType(x.shape, x.dtype), steps

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        arrived = tuple(g for g in d[:2] if g is not None)
        if not arrived:
            return (None,) * len(inputs)
        hidden, _, gates, inner = outputs
        op = GruGradient(self.reverse, d[0] is not None, d[1] is not None)
        dx, drecurrent, dbias = b.emit_all(op, inputs[1], hidden, gates, inner, *arrived, *inputs[3:])
        return (dx, drecurrent, dbias, None)[: len(inputs)]

    def reference(self, x: Array, recurrent: Array, bias: Array, *lengths: Array) -> tuple[Array, ...]:  # type: ignore[override]
        units = len(recurrent)
        gates = np.zeros_like(x)
        hidden, inner = (np.zeros((*x.shape[:2], units), x.dtype) for _ in range(2))
        h = np.zeros((len(x), units), x.dtype)
        for t in order(x.shape[1], self.reverse):
            real = is_real(t, lengths)
            heard = h @ recurrent + bias
            z, r = np.split(logistic(x[:, t, : 2 * units] + heard[:, : 2 * units]), 2, axis=1)
            inner[:, t] = heard[:, 2 * units :]
            candidate = np.tanh(x[:, t, 2 * units :] + r * inner[:, t])
            gates[:, t] = np.concatenate([z, r, candidate], axis=1)
            h = np.where(real, z * h + (1 - z) * candidate, h)
            hidden[:, t] = np.where(real, h, 0)
        return hidden, h, gates, inner

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return outputs[0].count * (2 * inputs[1].shape[1] + 12)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x, recurrent, bias, lengths = _arrays()
        return [
            *(Sample(cls(r), (x, recurrent, bias), results=(0, 1), torch=_torch(r)) for r in (False, True)),
            *(Sample(cls(r), (x, recurrent, bias, lengths), results=(0, 1)) for r in (False, True)),
            Sample(cls(), (x, recurrent, bias, lengths), results=(1,)),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        x, recurrent, bias = TensorType((3, 5, 6)), TensorType((2, 6)), TensorType((6,))
        return [
            BadSample(cls(), (x, TensorType((3, 6)), bias)),
            BadSample(cls(), (x, recurrent, TensorType((2,)))),
            BadSample(cls(), (x, recurrent, bias, TensorType((2,), DType.INT32))),
        ]


def _arrays() -> tuple[Array, Array, Array, Array]:
    x = np.sin(np.arange(3 * 5 * 6.0) * 0.7).reshape(3, 5, 6)
    return x, np.cos(np.arange(12.0)).reshape(2, 6), np.linspace(-0.5, 0.5, 6), np.array([5, 2, 0], np.int32)


def _torch(reverse: bool) -> Callable[..., Any]:
    """PyTorch's gates stand in the order reset, update, candidate."""

    def run(torch: Any, x: Any, recurrent: Any, bias: Any) -> tuple[Any, ...]:
        units, width = recurrent.shape
        turned = torch.cat([torch.arange(units, 2 * units), torch.arange(units), torch.arange(2 * units, width)])
        kernel = torch.eye(width, dtype=x.dtype)[turned]
        parts = (kernel, recurrent.T[turned], torch.zeros(width, dtype=x.dtype), bias[turned])
        start = torch.zeros(1, len(x), units, dtype=x.dtype)
        read = x.flip(1) if reverse else x
        made, last = torch.gru(read, start, parts, True, 1, 0.0, False, False, True)
        return made.flip(1) if reverse else made, last[0]

    return run


@operator("gru_gradient")
@dataclass(frozen=True)
class GruGradient(Operator):
    """The gradient of gru, from the last step read back to the first.

    recurrent      [units, 3 units]
    hidden, gates, inner  as gru gave them
    d hidden       [batch, time, units], if steps
    d last         [batch, units], if last
    lengths        int32 [batch], left out where all steps are real
    returns        d x [batch, time, 3 units], d recurrent [units, 3 units], d bias [3 units]; a padded step gets 0
    """

    reverse: bool
    steps: bool
    last: bool

    def type(self, *inputs: TensorType) -> Types:
        recurrent, _, gates = inputs[:3]
        width = TensorType(recurrent.shape[1:], recurrent.dtype)
        return TensorType(gates.shape, gates.dtype), TensorType(recurrent.shape, recurrent.dtype), width

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        recurrent, hidden, gates, inner, *rest = arrays
        dhidden = rest.pop(0) if self.steps else np.zeros_like(hidden)
        dh = rest.pop(0) if self.last else np.zeros_like(hidden[:, 0])
        dx, dheard = np.zeros_like(gates), np.zeros_like(gates)
        hidden_before = before(hidden, self.reverse)
        for t in order(gates.shape[1], not self.reverse):
            real = is_real(t, tuple(rest))
            z, r, candidate = np.split(gates[:, t], GATES, axis=1)
            arrived = dh + dhidden[:, t]
            dcandidate = arrived * (1 - z) * (1 - candidate**2)
            dz = arrived * (hidden_before[:, t] - candidate) * z * (1 - z)
            dr = dcandidate * inner[:, t] * r * (1 - r)
            dx[:, t] = np.where(real, np.concatenate([dz, dr, dcandidate], axis=1), 0)
            dheard[:, t] = np.where(real, np.concatenate([dz, dr, dcandidate * r], axis=1), 0)
            dh = np.where(real, arrived * z + dheard[:, t] @ recurrent.T, dh)
        units, width = recurrent.shape
        rows = dheard.reshape(-1, width)
        return dx, hidden_before.reshape(-1, units).T @ rows, rows.sum(axis=0)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[1].count * (4 * inputs[0].shape[1] + 24)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x, recurrent, bias, lengths = _arrays()
        hidden, last, gates, inner = Gru().reference(x, recurrent, bias, lengths)
        kept = (recurrent, hidden, gates, inner)
        return [
            Sample(cls(False, True, True), (*kept, hidden + 1, last - 1, lengths), smooth=()),
            Sample(cls(False, False, True), (*kept, last - 1, lengths), smooth=()),
            Sample(cls(True, True, False), (*kept, hidden + 1), smooth=()),
        ]


@layer()
def gru(
    b: Builder,
    x: Value,
    units: Count,
    *,
    sequence: Flag = False,
    reverse: Flag = False,
    init: Init = KERNEL,
    recurrent_init: Init = RECURRENT,
    l2: NonNegative = 0.0,
) -> Value:
    """Gated recurrent unit: reads a sequence step by step and remembers, with fewer weights than an lstm.

    x        [time, features]; time may be free (`float[T, 128]`): padded steps change nothing
    returns  [units], what it knows after the last step; with sequence=true [time, units], what it knows after each

    units           size of the memory
    sequence        give all steps, not only the last; 0 at padded ones
    reverse         read from the end (of each sequence); result i still belongs to step i
    init            how the kernel begins; glorot_uniform unless given
    recurrent_init  how the recurrent weights begin; orthogonal unless given
    l2              the loss grows by l2 * (sum kernel² + sum recurrent²)

    The reset gate acts after the recurrent product, as in Keras (reset_after=True), PyTorch and cuDNN; so there are two
    biases. Weights: kernel [features, 3 units], recurrent [units, 3 units], bias [3 units], recurrent_bias [3 units],
    the gates in the order update, reset, candidate (Keras'); 3 * units * (features + units + 2) parameters.

    Source: Cho et al. 2014.
    """
    demand_sequence("gru", x.type)
    read = projected(b, x, GATES * units, init, l2, ZEROS)
    recurrent = b.weight("recurrent", (units, GATES * units), recurrent_init, dtype=x.type.dtype, l2=l2)
    bias = b.weight("recurrent_bias", (GATES * units,), ZEROS, dtype=x.type.dtype)
    lengths = b.lengths(x.type.shape[1])
    hidden, last, _, _ = b.emit_all(Gru(reverse), read, recurrent, bias, *([lengths] if lengths else []))
    return hidden if sequence else last
