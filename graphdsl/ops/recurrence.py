"""What recurrent layers share: how steps are walked, and what a padded step does, namely nothing.

A recurrence is a primitive over a whole sequence, its weights and biases included: a machine may then multiply the
inputs of all steps at once, or those of a step while it has the state at hand, and what flows back into the gates need
never be written.

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

from graphdsl.ir import Array, Dim, TensorType, TypeRuleError
from graphdsl.ops.initializers import GlorotUniform, Orthogonal

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


def demand_recurrence(title: str, gates: int, operands: Sequence[TensorType], biases: int) -> None:
    """Raises TypeRuleError unless the operands are [batch, time, features], [features, gates * units], [units,
    gates * units], so many biases [gates * units], and lengths or nothing."""
    x, kernel, recurrent = operands[:3]
    given, rest = operands[3 : 3 + biases], operands[3 + biases :]
    units = recurrent.shape[0] if recurrent.rank == 2 else 0
    if x.rank != 3 or recurrent.shape != (units, units * gates) or kernel.shape != (x.channels, units * gates):
        raise TypeRuleError(
            f"{title} needs [batch, time, features], [features, {gates} units] and [units, {gates} units], "
            f"got {x}, {kernel} and {recurrent}"
        )
    if any(t.shape != recurrent.shape[1:] for t in given) or len(given) < biases:
        raise TypeRuleError(f"{title} needs a bias for each of {recurrent.shape[1]} gates", operand=3)
    if any(t.shape != x.shape[:1] or t.dtype.is_float for t in rest):
        raise TypeRuleError(f"{title} needs whole lengths, one a sample, got {rest[0]}", operand=len(operands) - 1)


def work(inputs: Sequence[TensorType], extra: int) -> Dim:
    """Of x, kernel, recurrent and more: both products at every step, and so many operations a unit."""
    x, kernel, recurrent = inputs[:3]
    width = recurrent.shape[1]
    return x.shape[0] * x.shape[1] * ((kernel.shape[0] + recurrent.shape[0]) * width * 2 + recurrent.shape[0] * extra)


def order(steps: int, reverse: bool) -> Iterator[int]:
    """The steps in the order in which they are read."""
    return reversed(range(steps)) if reverse else iter(range(steps))


def is_real(step: int, lengths: Sequences) -> Array:
    """Whether this step of each sample is real: [batch, 1], or one truth for all where there are no lengths."""
    return (step < lengths[0])[:, None] if lengths else np.array(True)


def read(x: Array, lengths: Sequences) -> Array:
    """x, with zeros at padded steps, whatever stands there."""
    if not lengths:
        return x
    return np.where((np.arange(x.shape[1]) < lengths[0][:, None])[..., None], x, 0).astype(x.dtype)


def across(states: Array, flowed: Array) -> Array:
    """The sum over all samples and steps of states, turned over, times what flowed."""
    return np.asarray(states.reshape(-1, states.shape[-1]).T @ flowed.reshape(-1, flowed.shape[-1]))


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
