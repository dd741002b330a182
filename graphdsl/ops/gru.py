"""Gated recurrent unit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Choice,
    Cotangents,
    Count,
    Dim,
    DType,
    Flag,
    Init,
    Moving,
    NonNegative,
    Operator,
    Sample,
    Stepper,
    Streamed,
    TensorType,
    Value,
    Zeros,
    layer,
    operator,
)
from graphdsl.ops import cells
from graphdsl.ops.recurrence import (
    KERNEL,
    RECURRENT,
    across,
    before,
    demand_recurrence,
    demand_sequence,
    is_real,
    logistic,
    order,
    read,
    work,
)
from graphdsl.ops.rnn import Rnn, Squash, emit_rnn
from graphdsl.report import dataclass

GATES = 3
Reset = Annotated[str, Choice(("after", "before"))]
ZEROS = Zeros()


@operator("gru")
@dataclass(frozen=True)
class Gru(Operator):
    """A sequence read by a cell that updates and resets its only state.

    x          [batch, time, features]
    kernel     [features, 3 units], the gates in the order update, reset, candidate
    recurrent  [units, 3 units]
    bias       [3 units], of the input's part
    heard bias [3 units], of the recurrent part
    lengths    int32 [batch], left out where all steps are real
    returns    hidden [batch, time, units], last hidden [batch, units], and for the backward pass
               gates [batch, time, 3 units] and inner [batch, time, units]; of these, those that it gives

    read = x · kernel + bias; heard = hidden before · recurrent + heard bias; z = sigmoid(read_z + heard_z);
    r = sigmoid(read_r + heard_r); inner = heard_h; candidate = tanh(read_h + r * inner);
    hidden = z * hidden before + (1 - z) * candidate. Padded steps: see recurrence.py.

    gives  which of the four results there are, by number
    """

    reverse: bool = False
    gives: tuple[int, ...] = (0, 1, 2, 3)

    def type(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        demand_recurrence("gru", GATES, inputs, 2)
        x, _, recurrent = inputs[:3]
        units, width = recurrent.shape
        every = x.with_shape((*x.shape[:2], units))
        results = every, x.with_shape((x.shape[0], units)), x.with_shape((*x.shape[:2], width)), every
        return tuple(results[i] for i in self.gives)

    def narrowed(self, read: Collection[int]) -> Operator:
        return replace(self, gives=tuple(self.gives[i] for i in sorted(read)))

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        arrived = tuple(g for g in d[:2] if g is not None)
        if not arrived:
            return (None,) * len(inputs)
        hidden, _, gates, inner = outputs
        op = GruGradient(self.reverse, d[0] is not None, d[1] is not None)
        found = b.emit_all(op, *inputs[:3], hidden, gates, inner, *arrived, *inputs[5:])
        return *found, *[None] * len(inputs[5:])

    def reference(self, x: Array, kernel: Array, recurrent: Array, *rest: Array) -> tuple[Array, ...]:  # type: ignore[override]
        bias, heard_bias, *lengths = rest
        units = len(recurrent)
        projected = read(x, tuple(lengths)) @ kernel + bias
        gates = np.zeros_like(projected)
        hidden, inner = (np.zeros((*x.shape[:2], units), x.dtype) for _ in range(2))
        h = np.zeros((len(x), units), x.dtype)
        for t in order(x.shape[1], self.reverse):
            real = is_real(t, tuple(lengths))
            heard = h @ recurrent + heard_bias
            z, r = np.split(logistic(projected[:, t, : 2 * units] + heard[:, : 2 * units]), 2, axis=1)
            candidate = np.tanh(projected[:, t, 2 * units :] + r * heard[:, 2 * units :])
            gates[:, t] = np.where(real, np.concatenate([z, r, candidate], axis=1), 0)
            inner[:, t] = np.where(real, heard[:, 2 * units :], 0)
            h = np.where(real, z * h + (1 - z) * candidate, h)
            hidden[:, t] = np.where(real, h, 0)
        return tuple((hidden, h, gates, inner)[i] for i in self.gives)

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        step = cells.begun(s, operands, 2, self.reverse)
        hidden, gates, inner = cells.gru(step, False, cells.CURVES["sigmoid"], cells.CURVES["tanh"])
        s.carry(step.hidden, hidden)
        results = (step.back(hidden), 1), (hidden, None), (step.back(gates), 1), (step.back(inner), 1)
        return tuple(results[i] for i in self.gives)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return work(inputs, 30)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        *given, lengths = _arrays()
        return [
            *(Sample(cls(r), (*given,), results=(0, 1), torch=_torch(r)) for r in (False, True)),
            *(Sample(cls(r), (*given, lengths), results=(0, 1)) for r in (False, True)),
            Sample(cls(), (*given, lengths), results=(1,)),
            *(Sample(cls(gives=g), (*given, lengths), smooth=()) for g in ((1,), (0,), (0, 2, 3))),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        x, kernel, recurrent, bias = TensorType((3, 5, 3)), TensorType((3, 6)), TensorType((2, 6)), TensorType((6,))
        return [
            BadSample(cls(), (x, kernel, TensorType((3, 6)), bias, bias)),
            BadSample(cls(), (x, kernel, recurrent, TensorType((2,)), bias)),
            BadSample(cls(), (x, kernel, recurrent, bias, bias, TensorType((2,), DType.INT32))),
        ]


def _arrays() -> tuple[Array, ...]:
    """x, kernel, recurrent, both biases, lengths: 3 samples, 5 steps, 3 features, 2 units."""
    x, kernel = np.sin(np.arange(45.0) * 0.7).reshape(3, 5, 3), np.sin(np.arange(18.0) * 1.9).reshape(3, 6)
    biases = np.linspace(0.3, -0.2, 6), np.linspace(-0.5, 0.5, 6)
    return x, kernel, np.cos(np.arange(12.0)).reshape(2, 6), *biases, np.array([5, 2, 0], np.int32)


def _torch(reverse: bool) -> Callable[..., Any]:
    """PyTorch's gates stand in the order reset, update, candidate."""

    def run(torch: Any, x: Any, kernel: Any, recurrent: Any, bias: Any, heard_bias: Any) -> tuple[Any, ...]:
        units, width = recurrent.shape
        turned = torch.cat([torch.arange(units, 2 * units), torch.arange(units), torch.arange(2 * units, width)])
        parts = (kernel.T[turned], recurrent.T[turned], bias[turned], heard_bias[turned])
        start = torch.zeros(1, len(x), units, dtype=x.dtype)
        read = x.flip(1) if reverse else x
        made, last = torch.gru(read, start, parts, True, 1, 0.0, False, False, True)
        return made.flip(1) if reverse else made, last[0]

    return run


@operator("gru_gradient")
@dataclass(frozen=True)
class GruGradient(Operator):
    """The gradient of gru, from the last step read back to the first.

    x, kernel, recurrent  as gru got them
    hidden, gates, inner  as gru gave them
    d hidden       [batch, time, units], if steps
    d last         [batch, units], if last
    lengths        int32 [batch], left out where all steps are real
    returns        d x [batch, time, features], 0 at padded steps, d kernel, d recurrent, d bias and d heard bias; of
                   these, those that it gives

    gives  which of the five results there are, by number
    """

    reverse: bool
    steps: bool
    last: bool
    gives: tuple[int, ...] = (0, 1, 2, 3, 4)

    def type(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        x, kernel, recurrent = inputs[:3]
        bias = recurrent.with_shape(recurrent.shape[1:])
        return tuple(TensorType((x, kernel, recurrent, bias, bias)[i].shape, x.dtype) for i in self.gives)

    def narrowed(self, read: Collection[int]) -> Operator:
        return replace(self, gives=tuple(self.gives[i] for i in sorted(read)))

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        x, kernel, recurrent, hidden, gates, inner, *rest = arrays
        dhidden = rest.pop(0) if self.steps else np.zeros_like(hidden)
        dh = rest.pop(0) if self.last else np.zeros_like(hidden[:, 0])
        dread, dheard = np.zeros_like(gates), np.zeros_like(gates)
        hidden_before = before(hidden, self.reverse)
        for t in order(gates.shape[1], not self.reverse):
            real = is_real(t, tuple(rest))
            z, r, candidate = np.split(gates[:, t], GATES, axis=1)
            arrived = dh + dhidden[:, t]
            dcandidate = arrived * (1 - z) * (1 - candidate**2)
            dz = arrived * (hidden_before[:, t] - candidate) * z * (1 - z)
            dr = dcandidate * inner[:, t] * r * (1 - r)
            dread[:, t] = np.where(real, np.concatenate([dz, dr, dcandidate], axis=1), 0)
            dheard[:, t] = np.where(real, np.concatenate([dz, dr, dcandidate * r], axis=1), 0)
            dh = np.where(real, arrived * z + dheard[:, t] @ recurrent.T, dh)
        dkernel, drecurrent = across(read(x, tuple(rest)), dread), across(hidden_before, dheard)
        results = dread @ kernel.T, dkernel, drecurrent, dread.sum(axis=(0, 1)), dheard.sum(axis=(0, 1))
        return tuple(results[i] for i in self.gives)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return work(inputs, 30) * 2

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        *given, lengths = _arrays()
        hidden, last, gates, inner = Gru().reference(*given, lengths)
        kept = (*given[:3], hidden, gates, inner)
        return [
            Sample(cls(False, True, True), (*kept, hidden + 1, last - 1, lengths), smooth=()),
            Sample(cls(False, False, True), (*kept, last - 1, lengths), smooth=()),
            Sample(cls(True, True, False), (*kept, hidden + 1), smooth=()),
            Sample(cls(False, True, False, (1, 2, 3, 4)), (*kept, hidden + 1), smooth=()),
            Sample(cls(False, True, False, (0, 2)), (*kept, hidden + 1), smooth=()),
        ]


@layer()
def gru(
    b: Builder,
    x: Value,
    units: Count,
    *,
    sequence: Flag = False,
    reverse: Flag = False,
    reset: Reset = "after",
    gate: Squash = "sigmoid",
    activation: Squash = "tanh",
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
    reset           where the reset gate acts: `after` the recurrent product, as in Keras (reset_after=True), PyTorch
                    and cuDNN, so that there are two biases; `before` it, as in the paper and in Keras 1, with one
    gate            what the gates go through; activation: the candidate. As for `lstm`; what is not usual is slower
    init            how the kernel begins; glorot_uniform unless given
    recurrent_init  how the recurrent weights begin; orthogonal unless given
    l2              the loss grows by l2 * (sum kernel² + sum recurrent²)

    Weights: kernel [features, 3 units], recurrent [units, 3 units], bias [3 units], recurrent_bias [3 units],
    the gates in the order update, reset, candidate (Keras'); 3 * units * (features + units + 2) parameters.

    Source: Cho et al. 2014.
    """
    demand_sequence("gru", x.type)
    width, dtype = GATES * units, x.type.dtype
    kernel = b.weight("kernel", (x.type.channels, width), init, dtype=dtype, l2=l2)
    bias = b.weight("bias", (width,), ZEROS, dtype=dtype)
    recurrent = b.weight("recurrent", (units, width), recurrent_init, dtype=dtype, l2=l2)
    early = reset == "before"
    heard_bias = () if early else (b.weight("recurrent_bias", (width,), ZEROS, dtype=dtype),)
    if early or (gate, activation) != ("sigmoid", "tanh"):
        op = Rnn("gru_before" if early else "gru", gate, activation, 1 + len(heard_bias), reverse)
        return emit_rnn(b, op, sequence, x, kernel, recurrent, bias, *heard_bias)
    lengths = b.lengths(x.type.shape[1])
    given = (x, kernel, recurrent, bias, *heard_bias, *([lengths] if lengths else []))
    hidden, last, _, _ = b.emit_all(Gru(reverse), *given)
    return hidden if sequence else last
