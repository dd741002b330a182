"""How a gradient changes a weight: update rules that build graph, so that every backend fuses, draws and runs them.

A rule says which states it keeps beside a weight and emits one step of the formula. eps stands beside the root, never
under it, as in the papers and in PyTorch; the defaults are Keras'.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import inf, log

import numpy as np

from graphdsl.ir import (
    Array,
    Builder,
    Flag,
    Initializer,
    NonNegative,
    Positive,
    Rate,
    Registry,
    TensorType,
    Value,
    Zeros,
)
from graphdsl.learn.schedules import Moment, schedule_of
from graphdsl.learn.schedules import Rate as LearningRate
from graphdsl.ops import expression, formula, sum_over
from graphdsl.report import dataclass

OPTIMIZERS = Registry("optimizer")

Stepped = tuple[Value, tuple[Value, ...]]


@dataclass(frozen=True)
class State:
    """What an optimizer keeps beside a weight, under the name `WEIGHT/NAME`."""

    name: str
    type: TensorType
    init: Initializer = Zeros()


@dataclass(frozen=True)
class Filled(Initializer):
    """All the same number."""

    number: float

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        return np.full(shape, self.number)


@dataclass(frozen=True, kw_only=True)
class Optimizer(ABC):
    """An update rule. Concrete ones are frozen dataclasses whose fields are settings.

    lr_decay    the rate is divided by 1 + lr_decay * steps done
    clip_value  every number of a gradient is first cut to [-clip_value, clip_value]
    clip_norm   then all gradients together are shrunk until their joint length is at most this
    """

    lr_decay: NonNegative = 0.0
    clip_value: Positive | None = None
    clip_norm: Positive | None = None

    @property
    @abstractmethod
    def schedule(self) -> LearningRate:
        """What the spec says of the rate: a number or a schedule."""

    @abstractmethod
    def states(self, weight: TensorType) -> tuple[State, ...]:
        """What is kept from step to step."""

    @abstractmethod
    def step(self, b: Builder, weight: Value, gradient: Value, states: tuple[Value, ...], rate: Value) -> Stepped:
        """The weight and the states after a step. rate is a scalar that is fed."""

    def rate(self, now: Moment) -> float:
        """The learning rate of the step about to be made."""
        return schedule_of(self.schedule).rate(now) / (1 + self.lr_decay * now.step)

    def clip(self, b: Builder, gradients: Sequence[Value]) -> tuple[Value, ...]:
        """The gradients after clipping: of each number, then of the joint length."""
        if self.clip_value is not None:
            gradients = [_cut(b, g, self.clip_value) for g in gradients]
        if self.clip_norm is not None and gradients:
            gradients = _shrunk(b, gradients, self.clip_norm)
        return tuple(gradients)


@OPTIMIZERS.register("sgd")
@dataclass(frozen=True)
class Sgd(Optimizer):
    """Step against the gradient, with momentum: v = momentum * v + g; w = w - lr * v.

    momentum   0: none
    nesterov   step with g + momentum * v: the gradient as seen from where the momentum leads
    decay      L2: decay * w is added to the gradient, before momentum
    Source: Polyak 1964, Sutskever et al. 2013 in PyTorch's form, where lr stands outside the momentum.
    """

    lr: LearningRate = 0.01
    momentum: Rate = 0.0
    nesterov: Flag = False
    decay: NonNegative = 0.0

    @property
    def schedule(self) -> LearningRate:
        return self.lr

    def states(self, weight: TensorType) -> tuple[State, ...]:
        return (State("momentum", weight),) if self.momentum else ()

    def step(self, b: Builder, weight: Value, gradient: Value, states: tuple[Value, ...], rate: Value) -> Stepped:
        g = _decayed(b, gradient, weight, self.decay)
        if not states:
            return formula(b, lambda w, g, lr: w - lr * g, weight, g, rate, title="sgd"), ()
        v = formula(b, lambda v, g: self.momentum * v + g, states[0], g, title="momentum")
        ahead = formula(b, lambda v, g: g + self.momentum * v, v, g, title="nesterov") if self.nesterov else v
        return formula(b, lambda w, v, lr: w - lr * v, weight, ahead, rate, title="sgd"), (v,)


@OPTIMIZERS.register("rmsprop")
@dataclass(frozen=True)
class RmsProp(Optimizer):
    """Divide the gradient by its running root mean square:
    s = rho * s + (1 - rho) * g²; w = w - lr * g / (sqrt(s) + eps).

    rho        how slowly the mean square forgets
    momentum   of the divided gradients, 0: none
    decay      L2: decay * w is added to the gradient
    Source: Hinton 2012 (lecture 6e of his course).
    """

    lr: LearningRate = 0.001
    rho: Rate = 0.9
    momentum: Rate = 0.0
    eps: Positive = 1e-7
    decay: NonNegative = 0.0

    @property
    def schedule(self) -> LearningRate:
        return self.lr

    def states(self, weight: TensorType) -> tuple[State, ...]:
        return (State("square", weight), *((State("momentum", weight),) if self.momentum else ()))

    def step(self, b: Builder, weight: Value, gradient: Value, states: tuple[Value, ...], rate: Value) -> Stepped:
        g = _decayed(b, gradient, weight, self.decay)
        square = _running(b, states[0], g, self.rho, 2)
        scaled = formula(b, lambda g, s: g / (expression.sqrt(s) + self.eps), g, square, title="rmsprop")
        if not self.momentum:
            return formula(b, lambda w, x, lr: w - lr * x, weight, scaled, rate, title="rmsprop"), (square,)
        v = formula(b, lambda v, x: self.momentum * v + x, states[1], scaled, title="momentum")
        return formula(b, lambda w, v, lr: w - lr * v, weight, v, rate, title="rmsprop"), (square, v)


@OPTIMIZERS.register("adam")
@dataclass(frozen=True)
class Adam(Optimizer):
    """Running mean and mean square of the gradient, both corrected for their start at 0:
    m = beta1 * m + (1 - beta1) * g; s = beta2 * s + (1 - beta2) * g²;
    w = w - lr * m / (1 - beta1^t) / (sqrt(s / (1 - beta2^t)) + eps).

    decay      L2: decay * w is added to the gradient (for decay apart from it see adamw)
    Source: Kingma and Ba 2015, algorithm 1.
    """

    lr: LearningRate = 0.001
    beta1: Rate = 0.9
    beta2: Rate = 0.999
    eps: Positive = 1e-7
    decay: NonNegative = 0.0

    @property
    def schedule(self) -> LearningRate:
        return self.lr

    def states(self, weight: TensorType) -> tuple[State, ...]:
        return _moments(weight)

    def step(self, b: Builder, weight: Value, gradient: Value, states: tuple[Value, ...], rate: Value) -> Stepped:
        g = _decayed(b, gradient, weight, self.decay)
        change, after = _adam(b, g, states, self.beta1, self.beta2, self.eps)
        return formula(b, lambda w, x, lr: w - lr * x, weight, change, rate, title="adam"), after


@OPTIMIZERS.register("adamw")
@dataclass(frozen=True)
class AdamW(Optimizer):
    """Adam, with the weights' decay apart from the gradient: w = w - lr * decay * w before adam's step.

    Source: Loshchilov and Hutter 2019.
    """

    lr: LearningRate = 0.001
    decay: NonNegative = 0.004
    beta1: Rate = 0.9
    beta2: Rate = 0.999
    eps: Positive = 1e-7

    @property
    def schedule(self) -> LearningRate:
        return self.lr

    def states(self, weight: TensorType) -> tuple[State, ...]:
        return _moments(weight)

    def step(self, b: Builder, weight: Value, gradient: Value, states: tuple[Value, ...], rate: Value) -> Stepped:
        change, after = _adam(b, gradient, states, self.beta1, self.beta2, self.eps)
        new = formula(b, lambda w, x, lr: w - lr * (x + self.decay * w), weight, change, rate, title="adamw")
        return new, after


@OPTIMIZERS.register("adagrad")
@dataclass(frozen=True)
class AdaGrad(Optimizer):
    """Divide by the root of the sum of all squared gradients: s = s + g²; w = w - lr * g / (sqrt(s) + eps).

    start      of the sum
    decay      L2: decay * w is added to the gradient
    Source: Duchi et al. 2011.
    """

    lr: LearningRate = 0.001
    start: NonNegative = 0.1
    eps: Positive = 1e-7
    decay: NonNegative = 0.0

    @property
    def schedule(self) -> LearningRate:
        return self.lr

    def states(self, weight: TensorType) -> tuple[State, ...]:
        return (State("square", weight, Filled(self.start)),)

    def step(self, b: Builder, weight: Value, gradient: Value, states: tuple[Value, ...], rate: Value) -> Stepped:
        g = _decayed(b, gradient, weight, self.decay)
        total = formula(b, lambda s, g: s + g * g, states[0], g, title="square")
        root = expression.sqrt
        change = formula(b, lambda g, s: g / (root(s) + self.eps), g, total, title="adagrad")
        return formula(b, lambda w, x, lr: w - lr * x, weight, change, rate, title="adagrad"), (total,)


# --- parts of formulas -----------------------------------------------------------------------------------------------


def _moments(weight: TensorType) -> tuple[State, ...]:
    return State("mean", weight), State("square", weight), State("steps", weight.with_shape(()))


def _adam(
    b: Builder, gradient: Value, states: tuple[Value, ...], beta1: float, beta2: float, eps: float
) -> tuple[Value, tuple[Value, ...]]:
    """What lr multiplies, and the states after the step.

    The corrections are scalars of their own, so that no power is taken once for every weight.
    """
    mean = _running(b, states[0], gradient, beta1, 1)
    square = _running(b, states[1], gradient, beta2, 2)
    steps = formula(b, lambda t: t + 1, states[2], title="steps")
    first, second = _correction(b, steps, beta1), _correction(b, steps, beta2)
    root = expression.sqrt
    change = formula(b, lambda m, s, c1, c2: m / c1 / (root(s / c2) + eps), mean, square, first, second, title="adam")
    return change, (mean, square, steps)


def _correction(b: Builder, steps: Value, beta: float) -> Value:
    """1 - beta^steps, to the last digit also where beta is close to 1."""
    exponent = log(beta) if beta else -inf
    return formula(b, lambda t: -expression.expm1(exponent * t), steps, title="correction")


def _running(b: Builder, state: Value, gradient: Value, keep: float, power: int) -> Value:
    """keep * state + (1 - keep) * gradient^power"""
    if power == 1:
        return formula(b, lambda s, g: keep * s + (1 - keep) * g, state, gradient, title="mean")
    return formula(b, lambda s, g: keep * s + (1 - keep) * (g * g), state, gradient, title="square")


def _decayed(b: Builder, gradient: Value, weight: Value, decay: float) -> Value:
    return formula(b, lambda g, w: g + decay * w, gradient, weight, title="decay") if decay else gradient


def _cut(b: Builder, gradient: Value, bound: float) -> Value:
    return formula(b, lambda g: expression.maximum(expression.minimum(g, bound), -bound), gradient, title="clip_value")


def _shrunk(b: Builder, gradients: Sequence[Value], bound: float) -> list[Value]:
    """All gradients, scaled alike so that the root of the sum of all squares is at most bound."""
    total = _squares(b, gradients[0])
    for gradient in gradients[1:]:
        total = formula(b, lambda x, y: x + y, total, _squares(b, gradient), title="add")
    scale = formula(b, lambda x: bound / expression.maximum(expression.sqrt(x), bound), total, title="clip_scale")
    return [formula(b, lambda g, s: g * s, g, scale, title="clip_norm") for g in gradients]


def _squares(b: Builder, gradient: Value) -> Value:
    square = formula(b, lambda g: g * g, gradient, title="square")
    return sum_over(b, square, tuple(range(gradient.type.rank)))
