"""Recurrent cells at one step, made of simpler operators: what a model does that writes a text letter by letter.

Over a whole sequence a recurrence is one operator with kernels of its own. One step of it is two small products and a
few formulas, and its states go in and out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from graphdsl.ir import Builder, Moving, Stepper, TypeRuleError, Value
from graphdsl.ops import expression as e
from graphdsl.ops.concat import Concat, pieces
from graphdsl.ops.elementwise import formula
from graphdsl.ops.expression import Expression
from graphdsl.ops.linear import project
from graphdsl.ops.shape import reshape
from graphdsl.report import dataclass

Curve = Callable[[Expression], Expression]


def _cut(steep: float) -> Curve:
    return lambda x: e.minimum(e.maximum(x * steep + 0.5, 0.0), 1.0)


CURVES: Mapping[str, Curve] = {
    "tanh": e.tanh,
    "sigmoid": e.logistic,
    "hard_sigmoid": _cut(1 / 6),
    "hard_sigmoid_2": _cut(0.2),
    "relu": lambda x: e.maximum(x, 0.0),
    "softsign": lambda x: x / (1 + abs(x)),
    "linear": lambda x: x,
}


@dataclass(frozen=True)
class Step:
    """What a cell has at one step.

    read       [batch, gates * units]: the input times its kernel, and the bias
    hidden     [batch, units], before the step
    recurrent  [units, gates * units]
    heard      the bias of the recurrent part, or nothing
    """

    b: Builder
    read: Value
    hidden: Value
    recurrent: Value
    heard: tuple[Value, ...]

    def said(self, hidden: Value, recurrent: Value) -> Value:
        """The recurrent part of the gates."""
        return _sum(self.b, project(self.b, hidden, recurrent), *self.heard)

    def back(self, value: Value) -> Value:
        """[batch, n] as a sequence of one step."""
        return reshape(self.b, value, (value.type.shape[0], 1, value.type.channels))


def begun(s: Stepper, operands: tuple[Moving, ...], biases: int, reverse: bool) -> Step:
    """The step of a recurrence. Raises TypeRuleError where it reads from the end."""
    x, kernel, recurrent, *rest = operands
    if reverse:
        raise TypeRuleError("it reads from the end of the sequence, which is not there yet", operand=0)
    if x.axis != 1:
        raise TypeRuleError("its weights change from step to step")
    rows = reshape(s.b, x.value, (x.whole.shape[0], x.whole.channels))
    read = _sum(s.b, project(s.b, rows, kernel.value), *(r.value for r in rest[: min(biases, 1)]))
    heard = tuple(r.value for r in rest[1:biases])
    return Step(s.b, read, remembered(s, "hidden", operands), recurrent.value, heard)


def remembered(s: Stepper, part: str, operands: tuple[Moving, ...]) -> Value:
    """A state of a recurrence, [batch, units]."""
    x, _, recurrent = operands[:3]
    return s.state(part, (x.whole.shape[0], recurrent.whole.shape[0]), x.whole.dtype)


def rnn(step: Step, squash: Curve) -> Value:
    """hidden after the step."""
    said = step.said(step.hidden, step.recurrent)
    return formula(step.b, lambda a, r: squash(a + r), step.read, said, title="hidden")


def lstm(step: Step, cell: Value, gate: Curve, squash: Curve) -> tuple[Value, Value, Value]:
    """hidden and cell after the step, and the gates."""
    b = step.b
    curves = (gate, gate, squash, gate)
    parts = _pieces(b, _sum(b, step.read, step.said(step.hidden, step.recurrent)), 4)
    i, f, g, o = (formula(b, curve, part, title="gate") for curve, part in zip(curves, parts, strict=True))
    after = formula(b, lambda i, f, g, c: f * c + i * g, i, f, g, cell, title="cell")
    hidden = formula(b, lambda o, c: o * squash(c), o, after, title="hidden")
    return hidden, after, b.emit(Concat(1), i, f, g, o)


def gru(step: Step, before: bool, gate: Curve, squash: Curve) -> tuple[Value, Value, Value]:
    """hidden after the step, the gates, and the recurrent part of the candidate.

    before  the reset gate acts before the product
    """
    b = step.b
    recurrent = _pieces(b, step.recurrent, 3)
    z, r, heard = _pieces(b, step.said(step.hidden, step.recurrent), 3)
    read = _pieces(b, step.read, 3)
    z, r = (formula(b, lambda a, h: gate(a + h), a, h, title="gate") for a, h in zip(read, (z, r), strict=False))
    if before:
        kept = formula(b, lambda r, h: r * h, r, step.hidden, title="reset")
        inner = project(b, kept, recurrent[2])
    else:
        inner = formula(b, lambda r, h: r * h, r, heard, title="reset")
    candidate = formula(b, lambda a, h: squash(a + h), read[2], inner, title="candidate")
    hidden = formula(b, lambda z, h, c: z * h + (1 - z) * c, z, step.hidden, candidate, title="hidden")
    return hidden, b.emit(Concat(1), z, r, candidate), heard


def _pieces(b: Builder, x: Value, count: int) -> list[Value]:
    return pieces(b, x, 1, [x.type.channels // count] * count)


def _sum(b: Builder, first: Value, *others: Value) -> Value:
    return formula(b, lambda *xs: sum(xs[1:], xs[0]), first, *others, title="sum") if others else first
