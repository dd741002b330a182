"""How weights begin.

A weight's last axis is what comes out, the one before it what goes in, and all axes before those are positions of a
window: `[height, width, in, out]`. So fan_in = positions * in and fan_out = positions * out. A weight of one axis has
both equal to its size.
"""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from graphdsl.ir import INITIALIZERS, Array, Initializer, NonNegative, Number, Positive, Words, Zeros
from graphdsl.report import dataclass


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many numbers one result is made of, and how many results one number goes into; never below 1."""
    if len(shape) < 2:
        size = max(prod(shape), 1)
        return size, size
    positions = prod(shape[:-2])
    return max(positions * shape[-2], 1), max(positions * shape[-1], 1)


@INITIALIZERS.register("uniform")
@dataclass(frozen=True)
class Uniform(Initializer):
    """Every number between low and high is as likely."""

    low: Number = -0.05
    high: Number = 0.05

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        return self.low + (self.high - self.low) * generator.random(shape)


@INITIALIZERS.register("vectors")
@dataclass(frozen=True)
class Vectors(Initializer):
    """For the table of an embedding: vectors of words from a file, `embedding(64, init=vectors("glove.txt"))`.

    path    a text with a word and its numbers on each line, as GloVe and word2vec write it, plain or .gz; or a .npy or
            .safetensors file with a row for each word
    words   for .npy and .safetensors: the file with those words, one a line

    Which words the rows are is known when the data have been met; words that the file lacks begin uniform between -0.05
    and 0.05, and how many have a vector is told. The file of weights holds the table, so the vectors are needed once.
    `freeze` in a train section keeps them as they are.
    """

    path: Words
    words: Words | None = None

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        return Uniform().sample(shape, generator)


@INITIALIZERS.register("normal")
@dataclass(frozen=True)
class Normal(Initializer):
    """Normally distributed around mean, with this standard deviation."""

    mean: Number = 0.0
    deviation: NonNegative = 0.05

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        return self.mean + self.deviation * generator.standard_normal(shape)


@INITIALIZERS.register("truncated_normal")
@dataclass(frozen=True)
class TruncatedNormal(Initializer):
    """Normal, but numbers further than two deviations from the mean are drawn again.

    deviation is that of the normal distribution before the cut; what is left has 0.88 times as much.
    """

    mean: Number = 0.0
    deviation: NonNegative = 0.05

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        return self.mean + self.deviation * _cut_normal(shape, generator)


@INITIALIZERS.register("constant")
@dataclass(frozen=True)
class ConstantInit(Initializer):
    """The same number everywhere."""

    value: Number

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        return np.full(shape, self.value)


@INITIALIZERS.register("ones")
@dataclass(frozen=True)
class Ones(Initializer):
    """All 1."""

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        return np.ones(shape)


@INITIALIZERS.register("orthogonal")
@dataclass(frozen=True)
class Orthogonal(Initializer):
    """A random matrix whose columns (or rows, if there are fewer) are orthogonal and of length gain.

    Leading axes count as rows. Keeps the length of what is multiplied by it again and again: for recurrent weights.
    Source: Saxe et al. 2013; the sign rule that makes it uniform is Mezzadri 2007's.
    """

    gain: Positive = 1.0

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        rows, columns = (prod(shape[:-1]), shape[-1]) if shape else (1, 1)
        tall = generator.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


@INITIALIZERS.register("glorot_uniform")
@dataclass(frozen=True)
class GlorotUniform(Initializer):
    """Uniform, variance 2 / (fan_in + fan_out). Keras' default for kernels.

    Source: Glorot and Bengio 2010; called Xavier in PyTorch and Caffe.
    """

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        return _uniform(2 / sum(fans(shape)), shape, generator)


@INITIALIZERS.register("glorot_normal")
@dataclass(frozen=True)
class GlorotNormal(Initializer):
    """Truncated normal, variance 2 / (fan_in + fan_out).

    Source: Glorot and Bengio 2010.
    """

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        return _normal(2 / sum(fans(shape)), shape, generator)


@INITIALIZERS.register("he_uniform")
@dataclass(frozen=True)
class HeUniform(Initializer):
    """Uniform, variance 2 / fan_in: for layers that a relu follows.

    Source: He et al. 2015.
    """

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        return _uniform(2 / fans(shape)[0], shape, generator)


@INITIALIZERS.register("he_normal")
@dataclass(frozen=True)
class HeNormal(Initializer):
    """Truncated normal, variance 2 / fan_in: for layers that a relu follows.

    Source: He et al. 2015.
    """

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        return _normal(2 / fans(shape)[0], shape, generator)


@INITIALIZERS.register("lecun_uniform")
@dataclass(frozen=True)
class LecunUniform(Initializer):
    """Uniform, variance 1 / fan_in.

    Source: LeCun et al. 1998, Efficient BackProp.
    """

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        return _uniform(1 / fans(shape)[0], shape, generator)


@INITIALIZERS.register("lecun_normal")
@dataclass(frozen=True)
class LecunNormal(Initializer):
    """Truncated normal, variance 1 / fan_in: for layers that a selu follows.

    Source: LeCun et al. 1998, Efficient BackProp.
    """

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        return _normal(1 / fans(shape)[0], shape, generator)


INITIALIZERS.register("zeros")(Zeros)


@dataclass(frozen=True)
class PerGroup(Initializer):
    """Each group of a grouped convolution begins as the small convolution that it is.

    Otherwise a depthwise kernel, which adds up one channel, would begin as small as one that adds up all of them, and
    the signal would fade from layer to layer.
    """

    each: Initializer
    groups: int

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        part = (*shape[:-1], shape[-1] // self.groups)
        return np.concatenate([self.each.sample(part, generator) for _ in range(self.groups)], axis=-1)


_CUT_DEVIATION = 0.87962566103423978
"""Standard deviation of a standard normal cut at two deviations."""


def _uniform(variance: float, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    return sqrt(3 * variance) * (2 * generator.random(shape) - 1)


def _normal(variance: float, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    return sqrt(variance) / _CUT_DEVIATION * _cut_normal(shape, generator)


def _cut_normal(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """Standard normal numbers between -2 and 2: those outside are drawn again until none is left."""
    drawn = generator.standard_normal(shape)
    outside = np.abs(drawn) > 2
    while outside.any():
        drawn[outside] = generator.standard_normal(int(outside.sum()))
        outside = np.abs(drawn) > 2
    return drawn
