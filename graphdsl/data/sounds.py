"""Recordings, which know how many samples a second they have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.data.column import Array, Column, Ragged, Rows, Shape
from graphdsl.data.wav import Sound, read_wav
from graphdsl.report import Failed, dataclass, fail

SOUNDS = frozenset({".wav", ".wave"})
MOST_SAMPLES = 1 << 28
"""Of all recordings of a dataset together, channels counted: 1 GiB, or nine hours of speech at 8000 Hz."""


@dataclass(frozen=True, eq=False)
class Sounds(Column):
    """float32 [rows, time] where every recording has one channel, else [rows, time, channels]; times differ.

    paths   where they were read from
    """

    sounds: tuple[Sound, ...]
    paths: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.sounds)

    @property
    def shape(self) -> Shape:
        channels = {sound.values.shape[1] for sound in self.sounds}
        if channels == {1}:
            return (None,)
        return (None, channels.pop() if len(channels) == 1 else None)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    @property
    def rates(self) -> list[int]:
        """Samples a second that there are, ascending."""
        return sorted({sound.rate for sound in self.sounds})

    def only(self, rows: Rows) -> Sounds:
        """These recordings."""
        return Sounds(tuple(self.sounds[r] for r in rows), tuple(self.paths[r] for r in rows))

    def describe(self) -> str:
        """`recordings[*] at 8000 Hz`"""
        sizes = ", ".join("*" if size is None else str(size) for size in self.shape)
        return f"recordings[{sizes}] at {', '.join(map(str, self.rates))} Hz"

    def take(self, rows: Rows, length: int = 0) -> Array:
        return self.sequences().take(rows, length)

    def lengths(self, rows: Rows) -> Array:
        return self.sequences().lengths(rows)

    def sequences(self) -> Ragged:
        """The numbers alone. Raises E0518 where recordings differ in channels or in samples a second."""
        if len(self.rates) > 1:
            message = f"recordings have {', '.join(map(str, self.rates))} samples a second"
            raise fail("E0518", message, help=f"write `preprocess = audio -> resample({self.rates[0]})`")
        if len(self.shape) == 2 and self.shape[1] is None:
            message = "some recordings have more channels than others"
            raise fail("E0518", message, help="write `preprocess = audio -> mono`")
        flat = len(self.shape) == 1
        return Ragged.of([sound.values[:, 0] if flat else sound.values for sound in self.sounds])


def read_sounds(paths: Sequence[Path]) -> Sounds:
    """All of them. Raises E0502 with every unreadable one, and E0504 where they are too much."""
    sounds: list[Sound] = []
    failures: list[Failed] = []
    samples = 0
    for path in paths:
        try:
            sounds.append(read_wav(path))
        except Failed as failed:
            failures.append(failed)
            continue
        samples += sounds[-1].values.size
        if samples > MOST_SAMPLES:
            message = f"recordings up to `{path}` have {samples:,} samples; at most {MOST_SAMPLES:,} are accepted"
            raise fail("E0504", message, help="take fewer recordings, or keep numbers made of them in .npy files")
    if failures:
        raise Failed([diagnostic for failed in failures for diagnostic in failed.diagnostics])
    return Sounds(tuple(sounds), tuple(paths))
