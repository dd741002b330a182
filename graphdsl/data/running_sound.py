"""Sound as one long signal, cut into windows."""

from __future__ import annotations

import numpy as np

from graphdsl.data.column import Column
from graphdsl.data.dataset import INPUT, TARGET, Dataset
from graphdsl.data.files import Places
from graphdsl.data.pattern import matches
from graphdsl.data.registry import READERS, Reader
from graphdsl.data.running import Windows
from graphdsl.data.sounds import read_sounds
from graphdsl.ir import Count, Words
from graphdsl.report import dataclass, fail


@READERS.register("sound")
@dataclass(frozen=True)
class RunningSound(Reader):
    """Recordings one after another, cut into windows: columns `sound`, a window, and `next`, each of its samples' next.

    path     a pattern of .wav files, or a list of them, as in `files`; in the order of their names
    length   samples of a window: `input sound: float[T]`, or `int(256)[T]` after `preprocess = [sound, next] -> mu_law`
    stride   samples from the start of one window to that of the next; unless given a window
    A lone input takes `sound` and a lone target `next` whatever they are called; who needs no `next` declares none.
    `valid` is the end of the sound. All recordings have one channel and as many samples a second.
    Raises E0501, E0502, E0504, E0508 (less sound than a window) and E0518.
    """

    path: tuple[Words, ...]
    length: Count
    stride: Count | None = None

    def read(self, places: Places) -> Dataset:
        recordings = read_sounds([match.path for match in matches(self.path, places)]).sequences()
        if len(recordings.shape) > 1:
            raise fail("E0518", "the recordings have several channels", help="make them mono")
        values, stride = recordings.values, self.stride or self.length
        count = (len(values) - self.length - 1) // stride + 1
        if count < 1:
            message = f"the sound has {len(values):,} samples, and one window takes {self.length + 1:,}"
            raise fail("E0508", message, help="give more sound, or a smaller `length`")
        columns: dict[str, Column] = {
            name: Windows(values.astype(np.float32, copy=False), self.length, stride, shift, count)
            for shift, name in enumerate(("sound", "next"))
        }
        roles = {"sound": INPUT, "next": TARGET}
        return Dataset(columns, roles, frozenset({"next"}), ", ".join(self.path), overlap=-(-self.length // stride) - 1)
