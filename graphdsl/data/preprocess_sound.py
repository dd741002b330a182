"""Steps of `preprocess` for recordings: another rate, one channel, silence cut off; amplitudes as whole numbers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from math import gcd
from typing import Annotated

import numpy as np

from graphdsl.data.column import Array, Column, Dense, Ragged
from graphdsl.data.preprocess import STEPS, ColumnStep, State, Use, cannot
from graphdsl.data.running import Windows
from graphdsl.data.sounds import MOST_SAMPLES, Sounds
from graphdsl.data.wanted import Wanted
from graphdsl.data.wav import FASTEST, Sound
from graphdsl.ir import Positive, Whole
from graphdsl.report import dataclass, fail

Rate = Annotated[int, Whole(1, FASTEST)]
Levels = Annotated[int, Whole(2, 65_536)]
ZEROS = 6
"""Of the interpolating wave, on each side of its centre."""
ROLLOFF = 0.99
"""The highest frequency that is kept, as a part of the highest there could be."""
BLOCK = 1 << 22
"""Numbers that are unfolded at a time."""


class SoundStep(ColumnStep):
    """A step that is done to each recording."""

    @abstractmethod
    def heard(self, sound: Sound) -> Sound:
        """The recording after the step."""

    def suit(self, wanted: Wanted) -> None:
        if not wanted.shape:
            message = f"{wanted.title} is {wanted.type.describe()}; recordings are sequences"
            raise cannot(message, f"declare `{wanted.role} {wanted.name}: float[T]`")

    def change(self, column: Column, state: State, use: Use) -> Column:
        if not isinstance(column, Sounds):
            message = f"`{use.column}` is {column.describe()}, and this step is for recordings (.wav)"
            raise cannot(message, 'read them by `files("*.wav")`, or leave the step out')
        return replace(column, sounds=tuple(map(self.heard, column.sounds)))


@STEPS.register("resample")
@dataclass(frozen=True)
class Resample(SoundStep):
    """Gives recordings another number of samples a second: `resample(8000)`. Those that have it stay as they are.

    Interpolated by sines that fade out (Hann) over six zeros, as torchaudio.functional.resample does it.
    """

    rate: Rate

    def change(self, column: Column, state: State, use: Use) -> Column:
        sounds = column.sounds if isinstance(column, Sounds) else ()
        samples = sum(-(-s.values.size * self.rate // s.rate) for s in sounds)
        if samples > MOST_SAMPLES:
            slowest = min(sound.rate for sound in sounds)
            message = f"`resample({self.rate})` would make {samples:,} samples; at most {MOST_SAMPLES:,} are accepted"
            help = f"take fewer recordings, or a lower rate: there are some with {slowest} samples a second"
            raise fail("E0504", message, use.wanted.span, help=help)
        return SoundStep.change(self, column, state, use)

    def heard(self, sound: Sound) -> Sound:
        if sound.rate == self.rate:
            return sound
        return Sound(resampled(sound.values, sound.rate, self.rate), self.rate)


@STEPS.register("mono")
@dataclass(frozen=True)
class Mono(SoundStep):
    """The mean of all channels."""

    def heard(self, sound: Sound) -> Sound:
        return replace(sound, values=sound.values.mean(axis=1, keepdims=True, dtype=np.float32))


@STEPS.register("trim")
@dataclass(frozen=True)
class Trim(SoundStep):
    """Cuts silence off both ends: what is more than `below` decibels below the loudest sample of the recording."""

    below: Positive = 40.0

    def heard(self, sound: Sound) -> Sound:
        loud = np.abs(sound.values).max(axis=1)
        places = np.flatnonzero(loud >= loud.max() * 10 ** (-self.below / 20))
        return replace(sound, values=sound.values[places[0] : places[-1] + 1])


@STEPS.register("mu_law")
@dataclass(frozen=True)
class MuLaw(ColumnStep):
    """Amplitudes from -1 to 1 as whole numbers, which stand closer around silence: for `int(256)[T]`, as input and as
    target. See the layer `mu_law`; `from_mu_law` is the way back."""

    levels: Levels = 256

    def suit(self, wanted: Wanted) -> None:
        if wanted.classes < self.levels or not wanted.sequence:
            message = f"`mu_law` makes rows of numbers below {self.levels}, {wanted.title} is {wanted.type.describe()}"
            raise cannot(message, f"declare `{wanted.role} {wanted.name}: int({self.levels})[T]`")

    def change(self, column: Column, state: State, use: Use) -> Column:
        column = column.sequences() if isinstance(column, Sounds) else column
        if not isinstance(column, Ragged | Dense | Windows) or column.dtype.kind != "f":
            message = f"`{use.column}` is {column.describe()}, and `mu_law` is for amplitudes"
            raise cannot(message, "leave the step out")
        return replace(column, values=self.numbered(column.values))

    def numbered(self, values: Array) -> Array:
        """int64, of the same shape."""
        top = self.levels - 1
        inside = np.clip(values, -1, 1)
        bent = np.sign(inside) * np.log1p(top * np.abs(inside)) / np.log(self.levels)
        return np.asarray(((bent + 1) / 2 * top + 0.5).astype(np.int64))

    def amplitudes(self, numbers: Array) -> Array:
        """float32 from -1 to 1: what numbers stand for."""
        top = self.levels - 1
        bent = numbers * (2 / top) - 1
        return np.asarray(np.sign(bent) * np.expm1(np.abs(bent) * np.log(self.levels)) / top, np.float32)


def resampled(values: Array, old: int, new: int) -> Array:
    """float32 [time, channels] → [ceil(time * new / old), channels].

    Each result weighs the samples around it. There are `new / shared` different rows of weights at most, which together
    hold no more than some 14 times the higher of the two rates, whatever these have in common.
    """
    shared = gcd(old, new)
    step, phases = old // shared, new // shared
    cut = min(step, phases) * ROLLOFF
    reach = int(np.ceil(ZEROS * step / cut))
    near = np.arange(-reach, reach + 2)
    count = -(-len(values) * phases // step)
    between = np.arange(min(phases, count)) * step % phases / phases
    weights = (_wave((near - between[:, None]) * (cut / step)) * (cut / step)).astype(np.float32)
    out = np.zeros((count, values.shape[1]), np.float32)
    padded = np.pad(values, ((reach, reach + 2), (0, 0)))
    rows = max(1, BLOCK // (len(near) * values.shape[1]))
    for start in range(0, count, rows):
        which = np.arange(start, min(start + rows, count))
        around = padded[(which * step // phases)[:, None] + np.arange(len(near))]
        out[which] = np.einsum("kt,ktc->kc", weights[which % phases], around)
    return out


def _wave(t: Array) -> Array:
    """sin(pi t) / (pi t), faded out at ZEROS on both sides."""
    inside = np.clip(t, -ZEROS, ZEROS)
    return np.asarray(np.sinc(inside) * np.cos(inside * np.pi / ZEROS / 2) ** 2)
