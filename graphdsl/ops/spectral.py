"""Sound as a network likes to hear it: frames, spectrograms, mel bands, decibels, cepstra.

All are products with fixed matrices and formulas, so they have gradients and run on every backend. A spectrogram is one
convolution: the kernel holds window times cosine and window times sine of every frequency.
"""

from __future__ import annotations

from math import log
from typing import Annotated

import numpy as np

from graphdsl.ir import (
    Array,
    Builder,
    Choice,
    Constant,
    Count,
    NonNegative,
    Positive,
    TensorType,
    TypeRuleError,
    Value,
    layer,
)
from graphdsl.ops.concat import pieces
from graphdsl.ops.conv import Conv
from graphdsl.ops.elementwise import elementwise, formula
from graphdsl.ops.expression import Expression, Scalar, maximum
from graphdsl.ops.expression import log as natural_log
from graphdsl.ops.linear import project
from graphdsl.ops.mel import Scale, cosines, filters
from graphdsl.ops.shape import reshape
from graphdsl.ops.window import demand_float

Window = Annotated[str, Choice(("hann", "hamming", "blackman", "none"))]
SHAPES = {"hann": (0.5, 0.5, 0.0), "hamming": (0.54, 0.46, 0.0), "blackman": (0.42, 0.5, 0.08), "none": (1.0, 0.0, 0.0)}
"""a - b cos(t) + c cos(2 t)"""
LOG_10 = log(10)


@layer()
def frames(b: Builder, x: Value, size: Count, step: Count | None = None) -> Value:
    """A sequence cut into pieces that may overlap: `frames(256, 128)`.

    x        [time] or [time, 1]
    size     numbers in each piece
    step     from the start of one piece to that of the next; none: size, so that nothing overlaps
    returns  [(time - size) // step + 1, size]; what is left at the end is not used

    E0301  x is no sequence of numbers, or shorter than a piece
    """
    return _slid(b, "frames", x, np.eye(size)[:, None, :], step or size)


@layer()
def window(b: Builder, x: Value, shape: Window = "hann") -> Value:
    """Pieces that fade in and out: each times a bell over its numbers.

    x        [..., size]
    shape    with t from 0 to 2 pi over the piece: `hann` 0.5 - 0.5 cos t, `hamming` 0.54 - 0.46 cos t,
             `blackman` 0.42 - 0.5 cos t + 0.08 cos 2t, `none` 1. The number after the last would be the first again,
             as a Fourier transform takes it
    returns  the same shape

    E0401  the size of a piece is known only at run time
    """
    demand_float("window", x.type)
    bell = b.emit(_fixed(_bell(shape, _known("window", x.type)), x), name="bell")
    return formula(b, lambda v, w: v * w, x, bell, title="window")


@layer()
def spectrogram(
    b: Builder, x: Value, size: Count = 256, step: Count | None = None, *, window: Window = "hann"
) -> Value:
    """How strong each frequency is in each piece of a sequence: |Fourier transform|² of windowed frames.

    x        [time] or [time, 1]
    size     numbers in each piece; step: from one to the next; none: half of size
    window   see `window`
    returns  [(time - size) // step + 1, size // 2 + 1]; frequency k is k * rate / size

    Nothing is put around the sequence, as librosa and PyTorch do it with center=False. `-> sqrt` makes magnitudes.

    E0301  x is no sequence of numbers, or shorter than a piece
    """
    bins = size // 2 + 1
    turns = 2 * np.pi * (np.outer(np.arange(size), np.arange(bins)) % size) / size
    waves = np.concatenate([np.cos(turns), np.sin(turns)], axis=1) * _bell(window, size)[:, None]
    y = _slid(b, "spectrogram", x, waves[:, None, :], step or max(1, size // 2))
    real, imaginary = pieces(b, y, 2, (bins, bins))
    return formula(b, lambda r, i: r * r + i * i, real, imaginary, title="power")


@layer()
def mel(
    b: Builder,
    x: Value,
    bands: Count = 40,
    *,
    rate: Count,
    low: NonNegative = 0.0,
    high: Positive | None = None,
    scale: Scale = "slaney",
) -> Value:
    """Frequencies summed into bands that are as wide as the ear has them: triangles that overlap by half.

    x          [frames, frequencies], of `spectrogram`
    bands      how many
    rate       samples a second of the sound
    low, high  in Hz, where the first band begins and the last ends; high none: rate / 2
    scale      `slaney`: linear below 1000 Hz, logarithmic above, every triangle of the same area (librosa's default).
               `htk`: 2595 log10(1 + f / 700), every triangle of height 1 (torchaudio's default)
    returns    [frames, bands]

    E0305  a band is so narrow that it meets no frequency, or the range is none
    E0401  the number of frequencies is known only at run time

    Source: Davis and Mermelstein 1980; Slaney 1998; Young et al., The HTK Book.
    """
    demand_float("mel", x.type)
    bins = _known("mel", x.type)
    top = rate / 2 if high is None else high
    if not low < top <= rate / 2:
        raise TypeRuleError(
            f"bands from {low:g} to {top:g} Hz of a sound that has 0 to {rate / 2:g}", code="E0305", attribute="high"
        )
    found = filters(bands, bins, rate, low, top, scale)
    deaf = np.flatnonzero(~found.any(axis=0))
    if deaf.size:
        raise TypeRuleError(
            f"band {deaf[0] + 1} of {bands} meets none of {bins} frequencies",
            code="E0305",
            attribute="bands",
            help="ask for fewer bands, or make the pieces of the spectrogram larger",
        )
    return project(b, x, b.emit(_fixed(found, x), name="bands"))


@elementwise(
    low=0.01,
    torch=lambda torch, x, floor=1e-10: 10 * torch.log10(torch.clamp(x, min=floor)),
    examples=({}, {"floor": 0.1}),
)
def decibels(x: Expression, *, floor: Positive = 1e-10) -> Scalar:
    """10 log10(x): power as it is heard. What is below floor counts as floor, and its gradient is 0."""
    return natural_log(maximum(x, floor)) * (10 / LOG_10)


@layer()
def mel_spectrogram(
    b: Builder,
    x: Value,
    bands: Count = 40,
    size: Count = 256,
    step: Count | None = None,
    *,
    rate: Count,
    low: NonNegative = 0.0,
    high: Positive | None = None,
    window: Window = "hann",
    scale: Scale = "slaney",
) -> Value:
    """`spectrogram(size, step)`, then `mel(bands, rate)`: what most networks for speech begin with, before `decibels`.

    x        [time] or [time, 1]
    returns  [(time - size) // step + 1, bands]

    The settings are those of `spectrogram` and `mel`; so are the errors.
    """
    return mel(b, spectrogram(b, x, size, step, window=window), bands, rate=rate, low=low, high=high, scale=scale)


@layer()
def cepstrum(b: Builder, x: Value, count: Count = 13) -> Value:
    """The first cosine coefficients of every step: of a mel spectrogram in decibels these are the MFCC.

    x        [..., bands]
    count    how many, at most as many as there are bands
    returns  [..., count]; the orthonormal DCT-II, as librosa.feature.mfcc and scipy.fft.dct(norm="ortho") have it

    E0305  count is too large
    E0401  the number of bands is known only at run time
    """
    demand_float("cepstrum", x.type)
    bands = _known("cepstrum", x.type)
    if count > bands:
        raise TypeRuleError(f"{count} coefficients of {bands} bands", code="E0305", attribute="count")
    return project(b, x, b.emit(_fixed(cosines(bands, count), x), name="cosines"))


def _slid(b: Builder, title: str, x: Value, kernel: Array, step: int) -> Value:
    """A sequence of numbers, convolved with a fixed kernel."""
    demand_float(title, x.type)
    if x.type.rank == 2:
        x = reshape(b, x, (*x.type.shape, 1))
    if x.type.rank != 3 or x.type.channels != 1:
        raise TypeRuleError(
            f"{title} needs one number a step, float[time] or float[time, 1], got {x.type.describe()}",
            operand=0,
            help="of several channels take one, or their mean: `-> reduce_mean(-1)`",
        )
    return b.emit(Conv((step,), ((0, 0),), (1,), 1), x, b.emit(_fixed(kernel, x), name="waves"), name=title)


def _fixed(array: Array, like: Value) -> Constant:
    return Constant.array(array.astype(like.type.dtype.numpy))


def _bell(shape: str, size: int) -> Array:
    a, c, d = SHAPES[shape]
    turn = 2 * np.pi * np.arange(size) / size
    return np.asarray(a - c * np.cos(turn) + d * np.cos(2 * turn))


def _known(title: str, x: TensorType) -> int:
    """The size of the last axis."""
    if x.rank > 1 and isinstance(x.channels, int):
        return x.channels
    raise TypeRuleError(
        f"{title} needs a last axis of known size, got {x.describe()}",
        code="E0401",
        operand=0,
        help="`frames` and `spectrogram` make one",
    )
