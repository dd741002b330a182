"""How a picture is dreamt: uphill from one size to the next, what a smaller size has lost put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from graphdsl.ir import BATCH, Array, Graph, TypeRuleError
from graphdsl.learn.dream import Dream
from graphdsl.ops import Taps, resampled
from graphdsl.passes import apply, slope
from graphdsl.report import dataclass, fail
from graphdsl.runtime import Compiled, Executor

Size = tuple[int, int]
SMALLEST = 1e-8
"""What the mean slope is at least before something is divided by it."""


@dataclass(frozen=True)
class Octave:
    """One size is over. number: from 1; pictures [count, height, width, channels]; rows: what each step has seen."""

    number: int
    pictures: Array
    rows: tuple[Mapping[str, float], ...]


def sizes_of(size: Size, octaves: int, scale: float) -> list[Size]:
    """Of the octaves, the smallest first: the last is size, each before it 1 / scale as large, rounded."""
    height, width = size
    powers = [scale**n for n in range(octaves - 1, -1, -1)]
    return [(max(round(height / p), 1), max(round(width / p), 1)) for p in powers]


def resized(pictures: Array, size: Size) -> Array:
    """pictures [count, height, width, channels] in another size, by straight lines over all that a pixel stands for."""
    for axis, after in enumerate(size, 1):
        before = pictures.shape[axis]
        if before != after:
            pictures = Taps(axis, before, resampled(before, after)).reference(pictures)
    return pictures


def enlarged(pictures: Array, start: Array, size: Size) -> Array:
    """The pictures in a larger size, with what start, the photograph, has lost by being as small as they are."""
    small = resized(start, (pictures.shape[1], pictures.shape[2]))
    lost = resized(start, size) - resized(small, size)
    return np.asarray(resized(pictures, size) + lost)


@dataclass(frozen=True)
class Ascent:
    """A dream on a machine. The graph is compiled for each size."""

    dream: Dream
    whole: Graph
    executor: Executor

    def octaves(self, photograph: Array | None, noise: Callable[[Size], Array], size: Size) -> Iterator[Octave]:
        """The pictures after each size. photograph [height, width, channels]: None where noise of a size is the start.

        Raises E0621 where they are too small for the layers.
        """
        sizes = sizes_of(size, self.dream.octaves, self.dream.scale)
        start = None if photograph is None else np.repeat(photograph[None], self.dream.count, 0)
        pictures = noise(sizes[0]) if start is None else resized(start, sizes[0])
        for number, size in enumerate(sizes, 1):
            if number > 1:
                pictures = resized(pictures, size) if start is None else enlarged(pictures, start, size)
            pictures, rows = self._climbed(pictures, number)
            yield Octave(number, pictures, tuple(rows))

    def _climbed(self, pictures: Array, octave: int) -> tuple[Array, list[dict[str, float]]]:
        """After the steps of one size."""
        uphill = self._compiled(pictures)
        random = np.random.default_rng([self.dream.seed, octave])
        rows = []
        for _ in range(self.dream.steps):
            far = self.dream.jitter
            shift = tuple(int(n) for n in random.integers(-far, far + 1, 2))
            got = uphill.run({self.dream.image.name: np.roll(pictures, shift, (1, 2)), **self._filters})
            rows.append({name: float(got[f"loss/{name}"]) for name in self.dream.terms})
            down = np.roll(got[f"gradient/{self.dream.image.name}"], tuple(-n for n in shift), (1, 2))
            pictures = stepped(pictures, down, self.dream.rate)
        return pictures, rows

    def _compiled(self, pictures: Array) -> Compiled:
        height, width = pictures.shape[1:3]
        sizes = {str(BATCH): len(pictures)}
        for dim, number in zip(self.dream.image.type.spatial, (height, width), strict=True):
            if sizes.setdefault(str(dim), number) != number:
                message = f"`{self.dream.image.name}` is square, and the picture is {height} high and {width} wide"
                help = 'declare `float[H, W, 3]`, or give a square: `photo("cat.jpg", size=400)`'
                raise fail("E0621", message, self.dream.image.span, help=help)
        stages = slope([self.dream.image.name], self.dream.factors, sizes)
        try:
            return Compiled(apply(self.dream.judged(self.whole), stages), self.executor)
        except TypeRuleError as error:
            message = f"a picture of {height}x{width} is too small for the layers: {error.message}"
            help = "begin with a larger one, or have fewer octaves"
            raise fail("E0621", message, self.dream.start_span, help=help) from error

    @property
    def _filters(self) -> dict[str, Array]:
        target = self.dream.target
        return {} if target is None else {target.name: np.array(self.dream.filters, np.int32)}


def stepped(pictures: Array, down: Array, rate: float) -> Array:
    """A step against the slope of each picture, which counts as 1 in the mean of its absolute numbers; from 0 to 1."""
    size = np.abs(down).mean(axis=(1, 2, 3), keepdims=True)
    return np.asarray(np.clip(pictures - rate * down / np.maximum(size, SMALLEST), 0, 1), pictures.dtype)


def summed(rows: Sequence[Mapping[str, float]], dream: Dream) -> list[dict[str, float]]:
    """The same with `dream`, what is made large minus what is made small, in front."""
    return [{"dream": -sum(dream.factors[n] * v for n, v in row.items()), **row} for row in rows]
