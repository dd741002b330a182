"""Long short-term memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
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
    Initializer,
    Moving,
    NonNegative,
    Number,
    Operator,
    Sample,
    Stepper,
    Streamed,
    TensorType,
    Value,
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

GATES = 4


@operator("lstm")
@dataclass(frozen=True)
class Lstm(Operator):
    """A sequence read by a cell that forgets, takes in and gives out, each through a gate.

    x          [batch, time, features]
    kernel     [features, 4 units], the gates in the order in, forget, candidate, out
    recurrent  [units, 4 units]
    bias       [4 units], if biased
    lengths    int32 [batch], left out where all steps are real
    returns    hidden [batch, time, units], last hidden [batch, units], and for the backward pass
               gates [batch, time, 4 units] and cells [batch, time, units]; of these, those that it gives

    gates = x · kernel + hidden before · recurrent + bias; c = f * c before + i * candidate; hidden = o * tanh(c);
    i, f and o go through a sigmoid, the candidate through tanh. Padded steps: see recurrence.py.

    gives  which of the four results there are, by number
    """

    reverse: bool = False
    biased: bool = True
    gives: tuple[int, ...] = (0, 1, 2, 3)

    def type(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        demand_recurrence("lstm", GATES, inputs, int(self.biased))
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
        hidden, _, gates, cells = outputs
        op = LstmGradient(self.reverse, d[0] is not None, d[1] is not None)
        lengths = inputs[3 + self.biased :]
        *found, dbias = b.emit_all(op, *inputs[:3], hidden, gates, cells, *arrived, *lengths)
        return *found, *[dbias] * self.biased, *[None] * len(lengths)

    def reference(self, x: Array, kernel: Array, recurrent: Array, *rest: Array) -> tuple[Array, ...]:  # type: ignore[override]
        lengths, units = rest[self.biased :], len(recurrent)
        projected = read(x, lengths) @ kernel + (rest[0] if self.biased else 0)
        gates = np.zeros_like(projected)
        hidden, cells = (np.zeros((*x.shape[:2], units), x.dtype) for _ in range(2))
        h, c = (np.zeros((len(x), units), x.dtype) for _ in range(2))
        for t in order(x.shape[1], self.reverse):
            real = is_real(t, lengths)
            total = projected[:, t] + h @ recurrent
            i, f, o = (logistic(total[:, k * units : (k + 1) * units]) for k in (0, 1, 3))
            candidate = np.tanh(total[:, 2 * units : 3 * units])
            gates[:, t] = np.where(real, np.concatenate([i, f, candidate, o], axis=1), 0)
            c = np.where(real, f * c + i * candidate, c)
            h = np.where(real, o * np.tanh(c), h)
            cells[:, t] = np.where(real, c, 0)
            hidden[:, t] = np.where(real, h, 0)
        return tuple((hidden, h, gates, cells)[i] for i in self.gives)

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        step, cell = cells.begun(s, operands, int(self.biased), self.reverse), cells.remembered(s, "cell", operands)
        hidden, after, gates = cells.lstm(step, cell, cells.CURVES["sigmoid"], cells.CURVES["tanh"])
        s.carry(step.hidden, hidden)
        s.carry(cell, after)
        results = (step.back(hidden), 1), (hidden, None), (step.back(gates), 1), (step.back(after), 1)
        return tuple(results[i] for i in self.gives)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return work(inputs, 33)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x, kernel, recurrent, bias, lengths = _arrays()
        given = (x, kernel, recurrent, bias)
        return [
            *(Sample(cls(r), given, results=(0, 1), torch=_torch(r)) for r in (False, True)),
            *(Sample(cls(r), (*given, lengths), results=(0, 1)) for r in (False, True)),
            Sample(cls(biased=False), (x, kernel, recurrent, lengths), results=(1,)),
            *(Sample(cls(gives=g), (*given, lengths), smooth=()) for g in ((1,), (0,), (0, 2, 3))),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        x, kernel, recurrent, bias = TensorType((3, 5, 3)), TensorType((3, 8)), TensorType((2, 8)), TensorType((8,))
        return [
            BadSample(cls(), (x, kernel, TensorType((3, 8)), bias)),
            BadSample(cls(), (x, recurrent, recurrent, bias)),
            BadSample(cls(), (x, kernel, recurrent, TensorType((2,)))),
            BadSample(cls(), (x, kernel, recurrent, bias, TensorType((2,), DType.INT32))),
        ]


def _arrays() -> tuple[Array, ...]:
    """x, kernel, recurrent, bias, lengths: 3 samples, 5 steps, 3 features, 2 units."""
    x = np.sin(np.arange(45.0) * 0.7).reshape(3, 5, 3)
    kernel, recurrent = np.sin(np.arange(24.0) * 1.9).reshape(3, 8), np.cos(np.arange(16.0)).reshape(2, 8)
    return x, kernel, recurrent, np.linspace(-0.5, 0.5, 8), np.array([5, 2, 0], np.int32)


def _torch(reverse: bool) -> Callable[..., Any]:
    def run(torch: Any, x: Any, kernel: Any, recurrent: Any, bias: Any) -> tuple[Any, ...]:
        start = torch.zeros(1, len(x), len(recurrent), dtype=x.dtype)
        read = x.flip(1) if reverse else x
        weights = (kernel.T, recurrent.T, bias, torch.zeros_like(bias))
        made, last, _ = torch.lstm(read, (start, start), weights, True, 1, 0.0, False, False, True)
        return made.flip(1) if reverse else made, last[0]

    return run


@operator("lstm_gradient")
@dataclass(frozen=True)
class LstmGradient(Operator):
    """The gradient of lstm, from the last step read back to the first.

    x, kernel, recurrent  as lstm got them
    hidden, gates, cells  as lstm gave them
    d hidden       [batch, time, units], if steps
    d last         [batch, units], if last
    lengths        int32 [batch], left out where all steps are real
    returns        d x [batch, time, features], 0 at padded steps, d kernel, d recurrent and d bias; of these, those
                   that it gives

    gives  which of the four results there are, by number
    """

    reverse: bool
    steps: bool
    last: bool
    gives: tuple[int, ...] = (0, 1, 2, 3)

    def type(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        x, kernel, recurrent = inputs[:3]
        results = x, kernel, recurrent, recurrent.with_shape(recurrent.shape[1:])
        return tuple(TensorType(results[i].shape, x.dtype) for i in self.gives)

    def narrowed(self, read: Collection[int]) -> Operator:
        return replace(self, gives=tuple(self.gives[i] for i in sorted(read)))

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        x, kernel, recurrent, hidden, gates, cells, *rest = arrays
        dhidden = rest.pop(0) if self.steps else np.zeros_like(hidden)
        dh = rest.pop(0) if self.last else np.zeros_like(hidden[:, 0])
        dc = np.zeros_like(dh)
        flowed = np.zeros_like(gates)
        cells_before = before(cells, self.reverse)
        for t in order(gates.shape[1], not self.reverse):
            real = is_real(t, tuple(rest))
            i, f, candidate, o = np.split(gates[:, t], GATES, axis=1)
            arrived = dh + dhidden[:, t]
            squashed = np.tanh(cells[:, t])
            dcell = dc + arrived * o * (1 - squashed**2)
            parts = (
                dcell * candidate * i * (1 - i),
                dcell * cells_before[:, t] * f * (1 - f),
                dcell * i * (1 - candidate**2),
                arrived * squashed * o * (1 - o),
            )
            flowed[:, t] = np.where(real, np.concatenate(parts, axis=1), 0)
            dh = np.where(real, flowed[:, t] @ recurrent.T, dh)
            dc = np.where(real, dcell * f, dc)
        dkernel, drecurrent = across(read(x, tuple(rest)), flowed), across(before(hidden, self.reverse), flowed)
        results = flowed @ kernel.T, dkernel, drecurrent, flowed.sum(axis=(0, 1))
        return tuple(results[i] for i in self.gives)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return work(inputs, 33) * 2

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x, kernel, recurrent, bias, lengths = _arrays()
        hidden, last, gates, cells = Lstm().reference(x, kernel, recurrent, bias, lengths)
        kept = (x, kernel, recurrent, hidden, gates, cells)
        return [
            Sample(cls(False, True, True), (*kept, hidden + 1, last - 1, lengths), smooth=()),
            Sample(cls(False, False, True), (*kept, last - 1, lengths), smooth=()),
            Sample(cls(True, True, False), (*kept, hidden + 1), smooth=()),
            Sample(cls(False, True, False, (1, 2, 3)), (*kept, hidden + 1), smooth=()),
            Sample(cls(False, True, False, (0, 2)), (*kept, hidden + 1), smooth=()),
        ]


@dataclass(frozen=True)
class ForgetBias(Initializer):
    """0 everywhere but at the forget gate: a young cell forgets nothing. Source: Jozefowicz et al. 2015."""

    value: float

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        bias = np.zeros(shape)
        units = shape[0] // GATES
        bias[units : 2 * units] = self.value
        return bias


@layer()
def lstm(
    b: Builder,
    x: Value,
    units: Count,
    *,
    sequence: Flag = False,
    reverse: Flag = False,
    bias: Flag = True,
    gate: Squash = "sigmoid",
    activation: Squash = "tanh",
    forget_bias: Number = 1.0,
    init: Init = KERNEL,
    recurrent_init: Init = RECURRENT,
    l2: NonNegative = 0.0,
) -> Value:
    """Long short-term memory: reads a sequence step by step and remembers.

    x        [time, features]; time may be free (`float[T, 128]`): padded steps change nothing
    returns  [units], what it knows after the last step; with sequence=true [time, units], what it knows after each

    units           size of the memory
    sequence        give all steps, not only the last; 0 at padded ones
    reverse         read from the end (of each sequence); result i still belongs to step i. Both directions:
                    `[x -> lstm(32), x -> lstm(32, reverse=true)] -> concat`
    bias            whether the gates have a bias
    gate            what the gates go through; activation: what goes into the memory, and out of it. hard_sigmoid is
                    x / 6 + 1/2, hard_sigmoid_2 is 0.2 x + 1/2 (Keras 1 and 2), both cut to [0, 1]. Other than sigmoid
                    and tanh there are no kernels for, and NumPy is many times slower
    forget_bias     how the bias of the forget gate begins
    init            how the kernel begins; glorot_uniform unless given
    recurrent_init  how the recurrent weights begin; orthogonal unless given
    l2              the loss grows by l2 * (sum kernel² + sum recurrent²)

    Weights: kernel [features, 4 units], recurrent [units, 4 units], bias [4 units], the gates in the order in, forget,
    candidate, out (Keras', PyTorch's); 4 * units * (features + units + 1) parameters.

    Source: Hochreiter and Schmidhuber 1997; Gers et al. 2000 (forget gate).
    """
    demand_sequence("lstm", x.type)
    width, dtype = GATES * units, x.type.dtype
    kernel = b.weight("kernel", (x.type.channels, width), init, dtype=dtype, l2=l2)
    biases = [b.weight("bias", (width,), ForgetBias(forget_bias), dtype=dtype)] if bias else []
    recurrent = b.weight("recurrent", (units, width), recurrent_init, dtype=dtype, l2=l2)
    if (gate, activation) != ("sigmoid", "tanh"):
        op = Rnn("lstm", gate, activation, int(bias), reverse)
        return emit_rnn(b, op, sequence, x, kernel, recurrent, *biases)
    lengths = b.lengths(x.type.shape[1])
    given = (x, kernel, recurrent, *biases, *([lengths] if lengths else []))
    hidden, last, _, _ = b.emit_all(Lstm(reverse, bias), *given)
    return hidden if sequence else last
