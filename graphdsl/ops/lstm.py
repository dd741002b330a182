"""Long short-term memory."""

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
    Initializer,
    NonNegative,
    Number,
    Operator,
    Sample,
    TensorType,
    Types,
    Value,
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

GATES = 4


@operator("lstm")
@dataclass(frozen=True)
class Lstm(Operator):
    """A sequence read by a cell that forgets, takes in and gives out, each through a gate.

    x          [batch, time, 4 units]: input · kernel + bias; gates in the order in, forget, candidate, out
    recurrent  [units, 4 units]
    lengths    int32 [batch], left out where all steps are real
    returns    hidden [batch, time, units], last hidden [batch, units], and for the backward pass
               gates [batch, time, 4 units] and cells [batch, time, units]

    gates = x + hidden before · recurrent; c = f * c before + i * candidate; hidden = o * tanh(c); i, f and o go through
    a sigmoid, the candidate through tanh. Padded steps: see recurrence.py.
    """

    reverse: bool = False

    def type(self, *inputs: TensorType) -> Types:
        demand_recurrence("lstm", GATES, inputs)
        x, recurrent = inputs[:2]
        units = recurrent.shape[0]
        steps = TensorType((*x.shape[:2], units), x.dtype)
        return steps, TensorType((x.shape[0], units), x.dtype), TensorType(x.shape, x.dtype), steps

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        arrived = tuple(g for g in d[:2] if g is not None)
        if not arrived:
            return (None,) * len(inputs)
        hidden, _, gates, cells = outputs
        op = LstmGradient(self.reverse, d[0] is not None, d[1] is not None)
        dx, drecurrent = b.emit_all(op, inputs[1], hidden, gates, cells, *arrived, *inputs[2:])
        return (dx, drecurrent, None)[: len(inputs)]

    def reference(self, x: Array, recurrent: Array, *lengths: Array) -> tuple[Array, ...]:  # type: ignore[override]
        units = len(recurrent)
        gates = np.zeros_like(x)
        hidden, cells = (np.zeros((*x.shape[:2], units), x.dtype) for _ in range(2))
        h, c = (np.zeros((len(x), units), x.dtype) for _ in range(2))
        for t in order(x.shape[1], self.reverse):
            real = is_real(t, lengths)
            total = x[:, t] + h @ recurrent
            i, f, o = (logistic(total[:, k * units : (k + 1) * units]) for k in (0, 1, 3))
            candidate = np.tanh(total[:, 2 * units : 3 * units])
            gates[:, t] = np.where(real, np.concatenate([i, f, candidate, o], axis=1), 0)
            c = np.where(real, f * c + i * candidate, c)
            h = np.where(real, o * np.tanh(c), h)
            cells[:, t] = np.where(real, c, 0)
            hidden[:, t] = np.where(real, h, 0)
        return hidden, h, gates, cells

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return outputs[0].count * (2 * inputs[1].shape[1] + 9)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.sin(np.arange(3 * 5 * 8.0) * 0.7).reshape(3, 5, 8)
        recurrent = np.cos(np.arange(16.0)).reshape(2, 8)
        lengths = np.array([5, 2, 0], np.int32)
        return [
            *(Sample(cls(r), (x, recurrent), results=(0, 1), torch=_torch(r)) for r in (False, True)),
            *(Sample(cls(r), (x, recurrent, lengths), results=(0, 1)) for r in (False, True)),
            Sample(cls(), (x, recurrent, lengths), results=(1,)),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        x, recurrent = TensorType((3, 5, 8)), TensorType((2, 8))
        return [
            BadSample(cls(), (x, TensorType((3, 8)))),
            BadSample(cls(), (x, recurrent, TensorType((2,), DType.INT32))),
        ]


def _torch(reverse: bool) -> Callable[..., Any]:
    def run(torch: Any, x: Any, recurrent: Any) -> tuple[Any, ...]:
        units, width = recurrent.shape
        start = torch.zeros(1, len(x), units, dtype=x.dtype)
        kernel = torch.eye(width, dtype=x.dtype)
        read = x.flip(1) if reverse else x
        made, last, _ = torch.lstm(read, (start, start), (kernel, recurrent.T), False, 1, 0.0, False, False, True)
        return made.flip(1) if reverse else made, last[0]

    return run


@operator("lstm_gradient")
@dataclass(frozen=True)
class LstmGradient(Operator):
    """The gradient of lstm, from the last step read back to the first.

    recurrent      [units, 4 units]
    hidden, gates, cells  as lstm gave them
    d hidden       [batch, time, units], if steps
    d last         [batch, units], if last
    lengths        int32 [batch], left out where all steps are real
    returns        d x [batch, time, 4 units], d recurrent [units, 4 units]; a padded step gets 0
    """

    reverse: bool
    steps: bool
    last: bool

    def type(self, *inputs: TensorType) -> Types:
        recurrent, _, gates = inputs[:3]
        return TensorType(gates.shape, gates.dtype), TensorType(recurrent.shape, recurrent.dtype)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        recurrent, hidden, gates, cells, *rest = arrays
        dhidden = rest.pop(0) if self.steps else np.zeros_like(hidden)
        dh = rest.pop(0) if self.last else np.zeros_like(hidden[:, 0])
        dc = np.zeros_like(dh)
        dx = np.zeros_like(gates)
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
            dx[:, t] = np.where(real, np.concatenate(parts, axis=1), 0)
            dh = np.where(real, dx[:, t] @ recurrent.T, dh)
            dc = np.where(real, dcell * f, dc)
        units, width = recurrent.shape
        return dx, before(hidden, self.reverse).reshape(-1, units).T @ dx.reshape(-1, width)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[1].count * (4 * inputs[0].shape[1] + 24)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.sin(np.arange(3 * 5 * 8.0) * 0.7).reshape(3, 5, 8)
        recurrent = np.cos(np.arange(16.0)).reshape(2, 8)
        lengths = np.array([5, 2, 0], np.int32)
        hidden, last, gates, cells = Lstm().reference(x, recurrent, lengths)
        kept = (recurrent, hidden, gates, cells)
        return [
            Sample(cls(False, True, True), (*kept, hidden + 1, last - 1, lengths), smooth=()),
            Sample(cls(False, False, True), (*kept, last - 1, lengths), smooth=()),
            Sample(cls(True, True, False), (*kept, hidden + 1), smooth=()),
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
    forget_bias     how the bias of the forget gate begins
    init            how the kernel begins; glorot_uniform unless given
    recurrent_init  how the recurrent weights begin; orthogonal unless given
    l2              the loss grows by l2 * (sum kernel² + sum recurrent²)

    Weights: kernel [features, 4 units], recurrent [units, 4 units], bias [4 units], the gates in the order in, forget,
    candidate, out (Keras', PyTorch's); 4 * units * (features + units + 1) parameters.

    Source: Hochreiter and Schmidhuber 1997; Gers et al. 2000 (forget gate).
    """
    demand_sequence("lstm", x.type)
    read = projected(b, x, GATES * units, init, l2, ForgetBias(forget_bias) if bias else None)
    recurrent = b.weight("recurrent", (units, GATES * units), recurrent_init, dtype=x.type.dtype, l2=l2)
    lengths = b.lengths(x.type.shape[1])
    hidden, last, _, _ = b.emit_all(Lstm(reverse), read, recurrent, *([lengths] if lengths else []))
    return hidden if sequence else last
