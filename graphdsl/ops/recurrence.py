"""What recurrent layers share: how steps are walked, and what a padded step does, namely nothing.

A recurrence is a primitive over a whole sequence whose input is projected already: one large product for all steps is
many times faster than one a step, and the gradient of kernel and bias is then that of a dense layer.

Of a sequence shorter than others in its batch, the steps behind its end are padding. There the state is carried over
unchanged and the step's result is 0. So the state before a real step is always the result of the step before it, or 0,
in both directions: walking backward, the padding comes first and the state is still 0.

    x        x0  x1  x2  --  --          lengths 3
    forward  h1  h2  h3  0   0           last: h3
    reverse  h3  h2  h1  0   0           last: h3, after x0; result i belongs to step i
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from graphdsl.ir import Array, Builder, Init, NonNegative, TensorType, TypeRuleError, Value
from graphdsl.ops.elementwise import formula
from graphdsl.ops.initializers import GlorotUniform, Orthogonal
from graphdsl.ops.linear import project

KERNEL = GlorotUniform()
RECURRENT = Orthogonal()

Sequences = tuple[Array, ...]


def demand_sequence(title: str, x: TensorType) -> None:
    """Raises TypeRuleError unless x is a sequence of feature vectors."""
    if x.rank == 3 and x.dtype.is_float:
        return
    words = x.kind.name == "indices"
    raise TypeRuleError(
        f"{title} reads float[time, features], got {x.describe()}",
        operand=0,
        help="put `embedding(features)` before it" if words else "`reshape` can make that",
    )


def projected(b: Builder, x: Value, width: int, init: Init, l2: NonNegative, bias_init: Init | None) -> Value:
    """x · kernel + bias for all steps at once: [time, width]."""
    kernel = b.weight("kernel", (x.type.channels, width), init, dtype=x.type.dtype, l2=l2)
    y = project(b, x, kernel)
    if bias_init is None:
        return y
    bias = b.weight("bias", (width,), bias_init, dtype=x.type.dtype)
    return formula(b, lambda v, c: v + c, y, bias, title="add_bias")


def demand_recurrence(title: str, gates: int, operands: Sequence[TensorType]) -> None:
    """Raises TypeRuleError unless the operands are [batch, time, gates * units], [units, gates * units] and lengths."""
    x, recurrent, *rest = operands
    units = recurrent.shape[0] if recurrent.rank == 2 else 0
    if x.rank != 3 or recurrent.shape != (units, units * gates) or x.channels != units * gates:
        raise TypeRuleError(
            f"{title} needs [batch, time, {gates} units] and [units, {gates} units], got {x} and {recurrent}"
        )
    if any(t.shape != x.shape[:1] or t.dtype.is_float for t in rest):
        raise TypeRuleError(f"{title} needs whole lengths, one a sample, got {rest[0]}", operand=len(operands) - 1)


def order(steps: int, reverse: bool) -> Iterator[int]:
    """The steps in the order in which they are read."""
    return reversed(range(steps)) if reverse else iter(range(steps))


def is_real(step: int, lengths: Sequences) -> Array:
    """Whether this step of each sample is real: [batch, 1], or one truth for all where there are no lengths."""
    return (step < lengths[0])[:, None] if lengths else np.array(True)


def before(states: Array, reverse: bool) -> Array:
    """The state that each step starts from, given the state that each step ends with."""
    shifted = np.zeros_like(states)
    if reverse:
        shifted[:, :-1] = states[:, 1:]
    else:
        shifted[:, 1:] = states[:, :-1]
    return shifted


def logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)), by way of tanh: no overflow."""
    return np.asarray(np.tanh(x * 0.5) * 0.5 + 0.5)
