"""Recurrent cells as they may be chosen: plain ones, other gates, and a gru that resets before its product.

Lstm and Gru are the cells that everybody uses, with kernels of their own. This one operator holds the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    demand_recurrence,
    demand_sequence,
    is_real,
    logistic,
    order,
    read,
    work,
)
from graphdsl.report import dataclass

ZEROS = Zeros()
GATES = {"rnn": 1, "lstm": 4, "gru": 3, "gru_before": 3}
Squash = Annotated[str, Choice(("tanh", "sigmoid", "hard_sigmoid", "hard_sigmoid_2", "relu", "softsign", "linear"))]
States = tuple[Array, ...]
Back = tuple[Array, Array, States, Array]
"""What flows back from a step: into what was read, into what was heard, into the states before, into recurrent."""


@dataclass(frozen=True)
class Curve:
    """A squashing function and its slope, both of the number that goes in."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]


def _hard(steep: float) -> Curve:
    return Curve(
        lambda a: np.clip(a * steep + 0.5, 0, 1),
        lambda a: np.where(np.abs(a * steep) < 0.5, steep, 0),
    )


CURVES: Mapping[str, Curve] = {
    "tanh": Curve(np.tanh, lambda a: 1 - np.tanh(a) ** 2),
    "sigmoid": Curve(logistic, lambda a: logistic(a) * (1 - logistic(a))),
    "hard_sigmoid": _hard(1 / 6),
    "hard_sigmoid_2": _hard(0.2),
    "relu": Curve(lambda a: np.maximum(a, 0), lambda a: np.where(a > 0, 1.0, 0.0)),
    "softsign": Curve(lambda a: a / (1 + np.abs(a)), lambda a: 1 / (1 + np.abs(a)) ** 2),
    "linear": Curve(lambda a: a, np.ones_like),
}


@dataclass(frozen=True)
class Cell:
    """How a cell goes one step: forward from what was read and the states before, and back from what flowed in."""

    gates: str
    squash: str
    curves: tuple[Curve, Curve]

    def rnn(self, a: Array, states: States, recurrent: Array, heard: Array) -> tuple[States, Callable[..., Back]]:
        (h,), (_, curve) = states, self.curves
        total = a + h @ recurrent

        def back(d: States) -> Back:
            da = d[0] * curve.slope(total)
            return da, da, (da @ recurrent.T,), h.T @ da

        return (curve.value(total),), back

    def lstm(self, a: Array, states: States, recurrent: Array, heard: Array) -> tuple[States, Callable[..., Back]]:
        (h, c), (gate, curve) = states, self.curves
        i, f, g, o = np.split(a + h @ recurrent, 4, axis=1)
        entering, kept, fresh = gate.value(i), gate.value(f), curve.value(g)
        cell = kept * c + entering * fresh
        shown, leaving = curve.value(cell), gate.value(o)

        def back(d: States) -> Back:
            dcell = d[1] + d[0] * leaving * curve.slope(cell)
            parts = (
                dcell * fresh * gate.slope(i),
                dcell * c * gate.slope(f),
                dcell * entering * curve.slope(g),
                d[0] * shown * gate.slope(o),
            )
            da = np.concatenate(parts, axis=1)
            return da, da, (da @ recurrent.T, dcell * kept), h.T @ da

        return (leaving * shown, cell), back

    def gru(self, a: Array, states: States, recurrent: Array, heard: Array) -> tuple[States, Callable[..., Back]]:
        (h,), (gate, curve) = states, self.curves
        units = h.shape[1]
        said = h @ recurrent + heard
        zr, inner = a[:, : 2 * units] + said[:, : 2 * units], said[:, 2 * units :]
        z, r = np.split(gate.value(zr), 2, axis=1)
        total = a[:, 2 * units :] + r * inner
        candidate = curve.value(total)

        def back(d: States) -> Back:
            dcandidate = d[0] * (1 - z) * curve.slope(total)
            gates = np.concatenate([d[0] * (h - candidate), dcandidate * inner], axis=1) * gate.slope(zr)
            dsaid = np.concatenate([gates, dcandidate * r], axis=1)
            da = np.concatenate([gates, dcandidate], axis=1)
            return da, dsaid, (d[0] * z + dsaid @ recurrent.T,), h.T @ dsaid

        return (z * h + (1 - z) * candidate,), back

    def gru_before(
        self, a: Array, states: States, recurrent: Array, heard: Array
    ) -> tuple[States, Callable[..., Back]]:
        (h,), (gate, curve) = states, self.curves
        units = h.shape[1]
        outer, inner = recurrent[:, : 2 * units], recurrent[:, 2 * units :]
        zr = a[:, : 2 * units] + h @ outer
        z, r = np.split(gate.value(zr), 2, axis=1)
        total = a[:, 2 * units :] + (r * h) @ inner
        candidate = curve.value(total)

        def back(d: States) -> Back:
            dcandidate = d[0] * (1 - z) * curve.slope(total)
            dreset = dcandidate @ inner.T
            gates = np.concatenate([d[0] * (h - candidate), dreset * h], axis=1) * gate.slope(zr)
            da = np.concatenate([gates, dcandidate], axis=1)
            drecurrent = np.concatenate([h.T @ gates, (r * h).T @ dcandidate], axis=1)
            return da, da, (d[0] * z + dreset * r + gates @ outer.T,), drecurrent

        return (z * h + (1 - z) * candidate,), back


@dataclass(frozen=True)
class Walked:
    """A sequence read: the state after every step, the last, and how to go back through each, in the order taken."""

    hidden: Array
    last: Array
    steps: tuple[tuple[int, Array, Callable[..., Back]], ...]


def walk(op: Rnn | RnnGradient, x: Array, kernel: Array, recurrent: Array, rest: tuple[Array, ...]) -> Walked:
    """x read by the cell of op. rest: as many biases as it has, then lengths or nothing."""
    biases, lengths = rest[: op.biases], rest[op.biases :]
    projected = read(x, lengths) @ kernel + (biases[0] if biases else 0)
    heard = biases[1] if op.biases > 1 else np.zeros(recurrent.shape[1], x.dtype)
    cell = Cell(op.gate, op.squash, (CURVES[op.gate], CURVES[op.squash]))
    forward = {"rnn": cell.rnn, "lstm": cell.lstm, "gru": cell.gru, "gru_before": cell.gru_before}[op.cell]
    hidden = np.zeros((*x.shape[:2], len(recurrent)), x.dtype)
    states: States = (np.zeros((len(x), len(recurrent)), x.dtype),) * (2 if op.cell == "lstm" else 1)
    steps = []
    for t in order(x.shape[1], op.reverse):
        real = is_real(t, lengths)
        after, back = forward(projected[:, t], states, recurrent, heard)
        states = tuple(np.where(real, new, old) for new, old in zip(after, states, strict=True))
        hidden[:, t] = np.where(real, states[0], 0)
        steps.append((t, real, back))
    return Walked(hidden, states[0], tuple(steps))


@operator("rnn")
@dataclass(frozen=True)
class Rnn(Operator):
    """A sequence read by a cell of this sort.

    x          [batch, time, features]
    kernel     [features, gates * units], recurrent [units, gates * units]
    biases     as many as it has: of the input's part, and for cell `gru` of the recurrent part, [gates * units] each
    lengths    int32 [batch], left out where all steps are real
    returns    hidden [batch, time, units] and last hidden [batch, units]

    cell  `rnn`: squash(x · kernel + bias + hidden before · recurrent). `lstm` and `gru`: as the operators of these
          names, with gate in place of sigmoid and squash in place of tanh. `gru_before`: the reset gate acts on the
          state before the product, candidate = squash(read + (r * hidden before) · recurrent)

    The backward pass reads the sequence once more, so that nothing has to be kept. Padded steps: see recurrence.py.
    """

    cell: str = "rnn"
    gate: str = "sigmoid"
    squash: str = "tanh"
    biases: int = 1
    reverse: bool = False

    def type(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        demand_recurrence("rnn", GATES[self.cell], inputs, self.biases)
        x, _, recurrent = inputs[:3]
        units = recurrent.shape[0]
        return x.with_shape((*x.shape[:2], units)), x.with_shape((x.shape[0], units))

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        arrived = tuple(g for g in d if g is not None)
        if not arrived:
            return (None,) * len(inputs)
        op = RnnGradient(
            self.cell, self.gate, self.squash, self.biases, self.reverse, d[0] is not None, d[1] is not None
        )
        found = b.emit_all(op, *inputs, *arrived)
        return *found, *[None] * len(inputs[3 + self.biases :])

    def reference(self, x: Array, kernel: Array, recurrent: Array, *rest: Array) -> tuple[Array, ...]:  # type: ignore[override]
        made = walk(self, x, kernel, recurrent, rest)
        return made.hidden, made.last

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        step = cells.begun(s, operands, self.biases, self.reverse)
        gate, squash = cells.CURVES[self.gate], cells.CURVES[self.squash]
        if self.cell == "lstm":
            cell = cells.remembered(s, "cell", operands)
            hidden, after, _ = cells.lstm(step, cell, gate, squash)
            s.carry(cell, after)
        elif self.cell == "rnn":
            hidden = cells.rnn(step, squash)
        else:
            hidden, _, _ = cells.gru(step, self.cell == "gru_before", gate, squash)
        s.carry(step.hidden, hidden)
        return (step.back(hidden), 1), (hidden, None)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return work(inputs, 30)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        found = []
        for cell, biases in _CELLS:
            *given, lengths = _arrays(cell, biases)
            found += [Sample(cls(cell, "sigmoid", "tanh", biases, r), (*given, lengths)) for r in (False, True)]
            found.append(Sample(cls(cell, "hard_sigmoid_2", "softsign", biases), (*given,)))
        x, kernel, recurrent, bias, _ = _arrays("rnn", 1)
        found.append(Sample(cls(), (x, kernel, recurrent, bias), torch=_torch))
        found += [Sample(cls("rnn", "sigmoid", c, 0), (x, kernel, recurrent), smooth=()) for c in CURVES]
        return found

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        x, kernel, recurrent, bias = TensorType((3, 5, 3)), TensorType((3, 2)), TensorType((2, 2)), TensorType((2,))
        return [
            BadSample(cls(), (x, kernel, TensorType((3, 2)), bias)),
            BadSample(cls(), (x, kernel, recurrent, TensorType((3,)))),
            BadSample(cls(), (x, kernel, recurrent, bias, TensorType((2,), DType.INT32))),
        ]


@operator("rnn_gradient")
@dataclass(frozen=True)
class RnnGradient(Operator):
    """What flows back through Rnn: from its results into x, kernel, recurrent and biases.

    operands  those of Rnn, then the gradient of hidden where steps is true, and that of last where last is true
    """

    cell: str
    gate: str
    squash: str
    biases: int
    reverse: bool
    steps: bool
    last: bool

    def type(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        x = inputs[0]
        return tuple(x.with_shape(t.shape) for t in inputs[: 3 + self.biases])

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        arrived = self.steps + self.last
        x, kernel, recurrent, *rest = arrays[: len(arrays) - arrived]
        made = walk(self, x, kernel, recurrent, tuple(rest))
        flowed = list(arrays[len(arrays) - arrived :])
        dhidden = flowed.pop(0) if self.steps else np.zeros_like(made.hidden)
        dh = flowed.pop(0) if self.last else np.zeros_like(made.last)
        d: States = (dh, np.zeros_like(dh)) if self.cell == "lstm" else (dh,)
        dread = np.zeros((*x.shape[:2], kernel.shape[1]), x.dtype)
        dheard, drecurrent = np.zeros_like(dread), np.zeros_like(recurrent)
        for t, real, back in reversed(made.steps):
            whole = tuple(np.where(real, part, 0) for part in (d[0] + dhidden[:, t], *d[1:]))
            dread[:, t], dheard[:, t], before, more = back(whole)
            d = tuple(np.where(real, new, old) for new, old in zip(before, d, strict=True))
            drecurrent += more
        seen = read(x, tuple(rest[self.biases :]))
        dkernel = seen.reshape(-1, x.shape[-1]).T @ dread.reshape(-1, kernel.shape[1])
        biases = [dread.sum(axis=(0, 1)), dheard.sum(axis=(0, 1))][: self.biases]
        return dread @ kernel.T, dkernel, drecurrent, *biases

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return work(inputs, 30) * 3

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        found = []
        for cell, biases in _CELLS:
            *given, lengths = _arrays(cell, biases)
            hidden, last = Rnn(cell, biases=biases).reference(*given, lengths)
            op = cls(cell, "sigmoid", "tanh", biases, False, True, True)
            found.append(Sample(op, (*given, lengths, hidden + 1, last - 1), smooth=()))
            only = cls(cell, "sigmoid", "tanh", biases, True, False, True)
            found.append(Sample(only, (*given, last + 1), smooth=()))
        return found


_CELLS = (("rnn", 1), ("lstm", 1), ("lstm", 0), ("gru", 2), ("gru_before", 1))


def _arrays(cell: str, biases: int) -> tuple[Array, ...]:
    """x, kernel, recurrent, biases, lengths: 3 samples, 5 steps, 3 features, 2 units."""
    width = 2 * GATES[cell]
    x, kernel = np.sin(np.arange(45.0) * 0.7).reshape(3, 5, 3), np.sin(np.arange(3.0 * width) * 1.9).reshape(3, width)
    shifts = (np.linspace(0.3, -0.2, width), np.linspace(-0.5, 0.5, width))[:biases]
    return x, kernel, np.cos(np.arange(2.0 * width)).reshape(2, width), *shifts, np.array([5, 2, 0], np.int32)


def _torch(torch: Any, x: Any, kernel: Any, recurrent: Any, bias: Any) -> tuple[Any, ...]:
    start = torch.zeros(1, len(x), len(recurrent), dtype=x.dtype)
    parts = (kernel.T, recurrent.T, bias, torch.zeros_like(bias))
    made, last = torch.rnn_tanh(x, start, parts, True, 1, 0.0, False, False, True)
    return made, last[0]


def emit_rnn(b: Builder, op: Rnn, sequence: bool, x: Value, *weights: Value) -> Value:
    """The operator on x and its weights; all steps or the last."""
    lengths = b.lengths(x.type.shape[1])
    hidden, last = b.emit_all(op, x, *weights, *([lengths] if lengths else []))
    return hidden if sequence else last


@layer()
def rnn(
    b: Builder,
    x: Value,
    units: Count,
    *,
    sequence: Flag = False,
    reverse: Flag = False,
    activation: Squash = "tanh",
    bias: Flag = True,
    init: Init = KERNEL,
    recurrent_init: Init = RECURRENT,
    l2: NonNegative = 0.0,
) -> Value:
    """The plain recurrent layer: reads a sequence step by step; what it knows is what it last said. (Keras: SimpleRNN.)

    x        [time, features]; time may be free (`float[T, 128]`): padded steps change nothing
    returns  [units], what it knows after the last step; with sequence=true [time, units], what it knows after each:
             activation(x · kernel + bias + before · recurrent)

    units           size of the memory
    sequence        give all steps, not only the last; 0 at padded ones
    reverse         read from the end (of each sequence); result i still belongs to step i
    activation      what squashes the sum
    bias            whether there is a bias
    init            how the kernel begins; glorot_uniform unless given
    recurrent_init  how the recurrent weights begin; orthogonal unless given
    l2              the loss grows by l2 * (sum kernel² + sum recurrent²)

    It forgets within a few dozen steps, for which lstm and gru were invented.

    Weights: kernel [features, units], recurrent [units, units], bias [units].

    Source: Elman 1990.
    """
    demand_sequence("rnn", x.type)
    dtype = x.type.dtype
    kernel = b.weight("kernel", (x.type.channels, units), init, dtype=dtype, l2=l2)
    biases = [b.weight("bias", (units,), ZEROS, dtype=dtype)] if bias else []
    recurrent = b.weight("recurrent", (units, units), recurrent_init, dtype=dtype, l2=l2)
    return emit_rnn(b, Rnn("rnn", "sigmoid", activation, int(bias), reverse), sequence, x, kernel, recurrent, *biases)
