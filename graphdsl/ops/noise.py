"""Randomness that every machine draws alike: dropout and noise.

A random number is a function of three whole numbers: which layer asks (key), at which step of training (counter), and
for which element. Nothing is remembered between steps and nothing depends on the order in which elements are computed,
so a run can be repeated and continued, and a GPU draws the very bits that NumPy draws.

Whoever trains feeds the input `random/counter`, a whole number, another one at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import pi, prod

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Dim,
    DType,
    ModalOperator,
    NonNegative,
    Operator,
    Rate,
    Sample,
    TensorType,
    TypeRuleError,
    Value,
    evaluate,
    layer,
    operator,
)
from graphdsl.ops import expression as e
from graphdsl.ops.elementwise import formula
from graphdsl.ops.window import demand_float
from graphdsl.report import dataclass

COUNTER = "random/counter"
COUNTER_TYPE = TensorType((), DType.INT64)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


@operator("random_uniform")
@dataclass(frozen=True)
class RandomUniform(Operator):
    """Numbers in [0, 1), every multiple of 2**-24 as likely.

    counter  int64, a single number
    returns  float32 of this shape

    Element i (in row order, from 0), in unsigned 64-bit arithmetic that wraps around:

        start  = mix(key + GOLDEN * (counter + 1))
        number = mix(start + GOLDEN * (i + 1)) >> 40, times 2**-24

        mix(z): z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9; z = (z ^ (z >> 27)) * 0x94D049BB133111EB; z ^ (z >> 31)
        GOLDEN: 0x9E3779B97F4A7C15

    key is below 2**63. Source: splitmix64, Steele et al. 2014; Vigna's constants.
    """

    key: int
    shape: tuple[Dim, ...]

    def type(self, counter: TensorType) -> TensorType:  # type: ignore[override]
        if counter.shape != () or counter.dtype != DType.INT64:
            raise TypeRuleError(f"the counter is a single int64, got {counter}", operand=0)
        return TensorType(self.shape)

    def reference(self, counter: Array) -> Array:  # type: ignore[override]
        shape = tuple(evaluate(size, {}) for size in self.shape)
        with np.errstate(over="ignore"):
            start = _mix(np.uint64(self.key) + _GOLDEN * (counter.astype(np.uint64) + np.uint64(1)))
            bits = _mix(start + _GOLDEN * np.arange(1, prod(shape) + 1, dtype=np.uint64)) >> np.uint64(40)
        return (bits.astype(np.float32) * np.float32(2**-24)).reshape(shape)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return outputs[0].count * 8

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            Sample(cls(12345, (3, 4)), (np.array(7, np.int64),)),
            Sample(cls(2**63 - 1, (5,)), (np.array(2**40, np.int64),)),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls(1, (3,)), (COUNTER_TYPE.with_dtype(DType.FLOAT32),))]


def _mix(z: Array | np.uint64) -> Array:
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return np.asarray(z ^ (z >> np.uint64(31)))


def key_of(text: str) -> int:
    """A number below 2**63 that belongs to a text, the same in every process."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def random_uniform(b: Builder, key: int, shape: tuple[Dim, ...]) -> Value:
    """New numbers in [0, 1) at every step of training."""
    return b.emit(RandomUniform(key, shape), b.input(COUNTER, COUNTER_TYPE))


class _Noise(ModalOperator):
    """Disturbs in training, does nothing in use. The type never changes."""

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        demand_float(self.name, x)
        return x

    def inference(self, b: Builder, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        return inputs

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls(), (TensorType((2, 3), DType.INT32),))]


@operator("dropout")
@dataclass(frozen=True)
class Dropout(_Noise):
    """In training every element is 0 with probability rate; the others grow by 1 / (1 - rate). In use: x."""

    rate: float = 0.5
    key: int = 0

    def training(self, b: Builder, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        (x,) = inputs
        if self.rate == 0:
            return inputs
        drawn = random_uniform(b, self.key, x.type.shape)
        kept = 1 / (1 - self.rate)
        return (formula(b, lambda v, u: e.where(u >= self.rate, v * kept, 0), x, drawn, title="dropout"),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [Sample(cls(rate), (np.linspace(-2, 2, 12).reshape(3, 4),)) for rate in (0.0, 0.4)]


@operator("gaussian_noise")
@dataclass(frozen=True)
class GaussianNoise(_Noise):
    """In training, normal noise of this deviation is added. In use: x. Source: Box and Muller 1958."""

    deviation: float = 0.1
    key: int = 0

    def training(self, b: Builder, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        (x,) = inputs
        if self.deviation == 0:
            return inputs
        length, angle = (random_uniform(b, self.key ^ part, x.type.shape) for part in (0, 1))
        return (
            formula(
                b,
                lambda v, u, w: v + self.deviation * e.sqrt(-2 * e.log(1 - u)) * e.cos(2 * pi * w),
                x,
                length,
                angle,
                title="gaussian_noise",
            ),
        )

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [Sample(cls(0.3), (np.linspace(-2, 2, 12).reshape(3, 4),))]


# --- layers ----------------------------------------------------------------------------------------------------------


@layer()
def dropout(b: Builder, x: Value, rate: Rate) -> Value:
    """In training, features are set to 0 at random, so that none is relied upon. In use it does nothing.

    x        any shape
    rate     the probability of 0; what stays grows by 1 / (1 - rate), so the mean is kept
    returns  the same shape

    Each dropout of a spec draws for itself; with the same seed a run draws the same numbers on every machine.
    Source: Srivastava et al. 2014, in the inverted form that all frameworks use.
    """
    return b.emit(Dropout(rate, key_of(b.place.path)), x)


@layer()
def gaussian_noise(b: Builder, x: Value, deviation: NonNegative) -> Value:
    """In training, normally distributed noise is added. In use it does nothing.

    x          any shape
    deviation  standard deviation of the noise
    returns    the same shape
    """
    return b.emit(GaussianNoise(deviation, key_of(b.place.path)), x)
