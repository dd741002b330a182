"""Changes to pictures on their way into the network: the same picture is never seen twice in quite the same way.

All work on whole batches, float32 [n, height, width, channels] with values from 0 to 1, and draw from the generator
they are given, which depends on the seed, the epoch and the batch alone. In validation and prediction `still` runs
instead: the part of the change that is no accident.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

import numpy as np

from graphdsl.data.column import Array
from graphdsl.ir import Fraction, Natural, Number, Positive, Real, Registry, Size
from graphdsl.report import Failed, dataclass, fail

AUGMENTS = Registry("augment")
Picture = tuple[int, int, int]


class Augment(ABC):
    """One kind of change. Concrete ones are frozen dataclasses whose fields are the settings."""

    @abstractmethod
    def apply(self, images: Array, generator: np.random.Generator) -> Array:
        """The batch, changed at random. The array given is not written to."""

    def still(self, images: Array) -> Array:
        """The batch as validation sees it."""
        return images

    def shape(self, picture: Picture) -> Picture:
        """The shape of a picture after the change. Raises E0518 when it cannot be done."""
        return picture


@AUGMENTS.register("flip")
@dataclass(frozen=True)
class Flip(Augment):
    """Mirrors pictures left to right.

    chance   of each picture to be mirrored
    """

    chance: Fraction = 0.5

    def apply(self, images: Array, generator: np.random.Generator) -> Array:
        mirrored = generator.random(len(images)) < self.chance
        return np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)


@AUGMENTS.register("random_crop")
@dataclass(frozen=True)
class RandomCrop(Augment):
    """Cuts a part out of each picture, from the centre in validation.

    size   of the part, `24` or `24x32`
    pad    rows and columns of zeros put around the picture first; not in validation
    """

    size: Size
    pad: Natural = 0

    def apply(self, images: Array, generator: np.random.Generator) -> Array:
        height, width = _pair(self.size)
        padded = _padded(images, self.pad)
        tops = generator.integers(0, padded.shape[1] - height + 1, len(images))
        lefts = generator.integers(0, padded.shape[2] - width + 1, len(images))
        return _windows(padded, tops, lefts, height, width)

    def still(self, images: Array) -> Array:
        height, width = _pair(self.size)
        top, left = max(0, images.shape[1] - height), max(0, images.shape[2] - width)
        padded = np.pad(images, ((0, 0), _missing(images.shape[1], height), _missing(images.shape[2], width), (0, 0)))
        return padded[:, top // 2 : top // 2 + height, left // 2 : left // 2 + width]

    def shape(self, picture: Picture) -> Picture:
        height, width = _pair(self.size)
        largest = picture[0] + 2 * self.pad, picture[1] + 2 * self.pad
        if height > largest[0] or width > largest[1]:
            raise _cannot(f"`random_crop` cannot cut {height} x {width} out of {largest[0]} x {largest[1]}")
        return height, width, picture[2]


@AUGMENTS.register("shift")
@dataclass(frozen=True)
class Shift(Augment):
    """Moves pictures up, down, left and right; what comes in at the border is 0.

    by   the greatest distance, as a fraction of the height and of the width; at most 0.5
    """

    by: Annotated[float, Real(0.0, 0.5, unit="a fraction of the height and width")] = 0.1

    def apply(self, images: Array, generator: np.random.Generator) -> Array:
        count, height, width, _ = images.shape
        down, right = round(self.by * height), round(self.by * width)
        padded = np.pad(images, ((0, 0), (down, down), (right, right), (0, 0)))
        tops = generator.integers(0, 2 * down + 1, count)
        lefts = generator.integers(0, 2 * right + 1, count)
        return _windows(padded, tops, lefts, height, width)


@AUGMENTS.register("brightness")
@dataclass(frozen=True)
class Brightness(Augment):
    """Makes each picture lighter or darker by an amount between -by and by; values are kept between 0 and 1."""

    by: Fraction = 0.2

    def apply(self, images: Array, generator: np.random.Generator) -> Array:
        amount = generator.uniform(-self.by, self.by, (len(images), 1, 1, 1)).astype(np.float32)
        return np.clip(images + amount, 0, 1)


@AUGMENTS.register("contrast")
@dataclass(frozen=True)
class Contrast(Augment):
    """Moves the values of each picture away from its mean or towards it.

    by   the factor lies between 1 - by and 1 + by; values are kept between 0 and 1
    """

    by: Fraction = 0.2

    def apply(self, images: Array, generator: np.random.Generator) -> Array:
        factor = generator.uniform(1 - self.by, 1 + self.by, (len(images), 1, 1, 1)).astype(np.float32)
        mean = images.mean(axis=(1, 2, 3), keepdims=True)
        return np.asarray(np.clip((images - mean) * factor + mean, 0, 1))


@AUGMENTS.register("cutout")
@dataclass(frozen=True)
class Cutout(Augment):
    """Sets a square of each picture to 0; its centre lies anywhere in the picture, so part of it may fall outside.

    size   of the square, or `8x12`
    Source: DeVries, Taylor 2017.
    """

    size: Size

    def apply(self, images: Array, generator: np.random.Generator) -> Array:
        count, height, width, _ = images.shape
        rows = _stripe(generator.integers(0, height, (count,)), _pair(self.size)[0], height)
        columns = _stripe(generator.integers(0, width, (count,)), _pair(self.size)[1], width)
        hole = rows[:, :, None, None] & columns[:, None, :, None]
        return np.where(hole, np.float32(0), images)


@AUGMENTS.register("normalize")
@dataclass(frozen=True)
class Normalize(Augment):
    """Subtracts the mean and divides by the standard deviation, in validation too. Put it last.

    mean, std   one number, or one for each channel
    """

    mean: tuple[Number, ...] = (0.5,)
    std: tuple[Positive, ...] = (0.5,)

    def apply(self, images: Array, generator: np.random.Generator) -> Array:
        return self.still(images)

    def still(self, images: Array) -> Array:
        return np.asarray((images - np.array(self.mean, np.float32)) / np.array(self.std, np.float32))

    def shape(self, picture: Picture) -> Picture:
        for name, given in (("mean", self.mean), ("std", self.std)):
            if len(given) not in (1, picture[2]):
                raise _cannot(f"`normalize` got {len(given)} numbers for `{name}`; pictures have {picture[2]} channels")
        return picture


@dataclass(frozen=True)
class EachSample(Augment):
    """A Python function for each picture by itself, for the Python API: function(picture, generator) -> picture."""

    function: Callable[[Array, np.random.Generator], Array]

    def apply(self, images: Array, generator: np.random.Generator) -> Array:
        return np.stack([self.function(image, generator) for image in images]).astype(np.float32)


def _pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if len(size) != 2:
        raise _cannot(f"a size of pictures needs two numbers, got {len(size)}")
    return size[0], size[1]


def _padded(images: Array, by: int) -> Array:
    return np.pad(images, ((0, 0), (by, by), (by, by), (0, 0))) if by else images


def _missing(have: int, want: int) -> tuple[int, int]:
    """Zeros to put before and after an axis that is too short."""
    lack = max(0, want - have)
    return lack // 2, lack - lack // 2


def _windows(images: Array, tops: Array, lefts: Array, height: int, width: int) -> Array:
    """From picture i the window whose corner is (tops[i], lefts[i])."""
    views = np.lib.stride_tricks.sliding_window_view(images, (height, width), axis=(1, 2))
    return np.moveaxis(views[np.arange(len(images)), tops, lefts], 1, -1)


def _stripe(centres: Array, size: int, length: int) -> Array:
    """bool [n, length]: the places within a stretch of this size around each centre."""
    first = (centres - size // 2)[:, None]
    places = np.arange(length)
    return (places >= first) & (places < first + size)


def _cannot(message: str) -> Failed:
    return fail("E0518", message, help="change the setting, or the size that the reader gives")
