"""Update rules for tests: the simplest, and one with every kind of state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphdsl.ir import Builder, Initializer, TensorType, Value, Zeros
from graphdsl.ops import formula

Stepped = tuple[Value, tuple[Value, ...]]


@dataclass(frozen=True)
class State:
    name: str
    type: TensorType
    init: Initializer = Zeros()  # noqa: RUF009 - frozen


class Plain:
    """w - rate * gradient"""

    def states(self, weight: TensorType) -> Sequence[State]:
        return ()

    def clip(self, b: Builder, gradients: Sequence[Value]) -> Sequence[Value]:
        return gradients

    def step(self, b: Builder, weight: Value, gradient: Value, states: tuple[Value, ...], rate: Value) -> Stepped:
        return formula(b, lambda w, g, lr: w - lr * g, weight, gradient, rate, title="step"), ()


class Momentum:
    """A running sum of gradients beside every weight, and one count of steps for all."""

    def states(self, weight: TensorType) -> Sequence[State]:
        return State("sum", weight), State("steps", TensorType(()))

    def clip(self, b: Builder, gradients: Sequence[Value]) -> Sequence[Value]:
        return gradients

    def step(self, b: Builder, weight: Value, gradient: Value, states: tuple[Value, ...], rate: Value) -> Stepped:
        total = formula(b, lambda s, g: 0.9 * s + g, states[0], gradient, title="sum")
        steps = formula(b, lambda n: n + 1, states[1], title="steps")
        return formula(b, lambda w, s, lr: w - lr * s, weight, total, rate, title="step"), (total, steps)
