"""Tensors drawn at random: noise that a network makes something of, and a sample from a distribution it has found.

What a noise says of keys and counters holds here: the same seed draws the same numbers at the same step, everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import pi
from typing import Annotated

import numpy as np

from graphdsl.ir import (
    BATCH,
    BadSample,
    Builder,
    Choice,
    Dim,
    DType,
    ModalOperator,
    NonNegative,
    Number,
    Sample,
    TensorType,
    TypeRuleError,
    Value,
    layer,
    operator,
)
from graphdsl.ops import expression as e
from graphdsl.ops.demand import demand_equal
from graphdsl.ops.elementwise import formula
from graphdsl.ops.noise import key_of, random_uniform
from graphdsl.ops.shape import Shape
from graphdsl.ops.window import demand_float
from graphdsl.report import dataclass


@operator("sample_normal")
@dataclass(frozen=True)
class SampleNormal(ModalOperator):
    """In training mean + exp(log_variance / 2) * noise, noise being normal. In use: mean."""

    key: int = 0

    def type(self, mean: TensorType, log_variance: TensorType) -> TensorType:  # type: ignore[override]
        demand_float("sample_normal", mean)
        if log_variance.shape != mean.shape or not log_variance.dtype.is_float:
            message = f"sample_normal needs a log variance for each mean, got {log_variance.describe()} "
            raise TypeRuleError(f"{message}for {mean.describe()}", operand=1)
        return TensorType(mean.shape, mean.dtype)

    def training(self, b: Builder, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        mean, log_variance = inputs
        return (drawn_normal(b, self.key, mean, log_variance),)

    def inference(self, b: Builder, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        return inputs[:1]

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [Sample(cls(), (np.linspace(-2, 2, 12).reshape(3, 4), np.linspace(1, -3, 12).reshape(3, 4)))]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        row = TensorType((2, 3))
        return [
            BadSample(cls(), (row, TensorType((2, 4)))),
            BadSample(cls(), (row.with_dtype(DType.INT32), row)),
        ]


def drawn_normal(b: Builder, key: int, mean: Value, log_variance: Value) -> Value:
    """mean + exp(log_variance / 2) * noise, with new noise at every step."""
    length, angle = _uniforms(b, key, mean.type.shape)

    def each(m: e.Expression, v: e.Expression, u: e.Expression, w: e.Expression) -> e.Expression:
        return m + e.exp(0.5 * v) * _normal(u, w)

    return formula(b, each, mean, log_variance, length, angle, title="sample_normal")


def _uniforms(b: Builder, key: int, shape: tuple[Dim, ...]) -> tuple[Value, Value]:
    return random_uniform(b, key, shape), random_uniform(b, key ^ 1, shape)


def _normal(u: e.Expression, w: e.Expression) -> e.Expression:
    """A standard normal number of two from [0, 1). Source: Box and Muller 1958."""
    return e.sqrt(-2 * e.log(1 - u)) * e.cos(2 * pi * w)


# --- layers ----------------------------------------------------------------------------------------------------------

InUse = Annotated[str, Choice(("mean", "sample"))]


@layer()
def sample_normal(b: Builder, mean: Value, log_variance: Value, *, in_use: InUse = "mean") -> Value:
    """A sample of a normal distribution, drawn so that mean and variance can learn: the middle of a VAE.

    mean           any shape
    log_variance   the same shape: the logarithm of each element's variance, so any number will do
    in_use         what it gives outside training (in validation, `evaluate` and `predict`): `mean`, which is the same
                   for the same sample whenever it is asked, or a `sample`, as in training
    returns        mean + exp(log_variance / 2) * noise, with normal noise that no gradient flows into

    With `in_use=mean` the losses of validation are those of the mean, and lie below the ELBO's of training.
    Source: Kingma and Welling 2014, the reparameterisation.
    """
    demand_float("sample_normal", mean.type)
    demand_float("sample_normal", log_variance.type, 1)
    demand_equal("sample_normal", (mean, log_variance))
    key = key_of(b.place.path)
    return (
        drawn_normal(b, key, mean, log_variance)
        if in_use == "sample"
        else b.emit(SampleNormal(key), mean, log_variance)
    )


@layer()
def random_normal(b: Builder, shape: Shape, mean: Number = 0.0, deviation: NonNegative = 1.0) -> Value:
    """Normally distributed numbers, new ones for every sample of every step: `noise = random_normal(64)`.

    shape      of a sample: `64`, `8x8x1`
    mean       what they lie around
    deviation  how far
    returns    float of this shape

    Nothing flows in. It draws in use as in training; the same seed draws the same numbers at the same step. `graphdsl
    predict --draw 64` asks a trained spec for that many samples of the outputs that need nothing but such noise.
    """
    length, angle, m, s = *_uniforms(b, key_of(b.place.path), _whole(shape)), b.constant(mean), b.constant(deviation)
    return formula(b, lambda u, w, m, s: m + s * _normal(u, w), length, angle, m, s, title="random_normal")


@layer("random_uniform")
def random_uniform_layer(b: Builder, shape: Shape, low: Number = 0.0, high: Number = 1.0) -> Value:
    """Evenly distributed numbers, new ones for every sample of every step: `noise = random_uniform(64, -1, 1)`.

    shape      of a sample: `64`, `8x8x1`
    low, high  they are at least low and less than high
    returns    float of this shape

    Nothing flows in; see `random_normal`.
    """
    drawn = random_uniform(b, key_of(b.place.path), _whole(shape))
    return formula(b, lambda u, a, c: a + (c - a) * u, drawn, b.constant(low), b.constant(high), title="random_uniform")


def _whole(shape: int | tuple[int, ...]) -> tuple[Dim, ...]:
    return (BATCH, *(shape if isinstance(shape, tuple) else (shape,)))
