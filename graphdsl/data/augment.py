"""Changes to pictures on their way into the network: the same picture is never seen twice in quite the same way.

All work on whole batches, float32 [n, height, width, channels] with values from 0 to 1, and draw from the generator
they are given, which depends on the seed, the epoch and the batch alone. In validation and prediction `still` runs
instead: the part of the change that is no accident.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, ClassVar

import numpy as np

from graphdsl.data.boxes import KEPT, Part, cut, within
from graphdsl.data.column import Array
from graphdsl.data.points import Pairs, demand_pairs, mirrored, moved
from graphdsl.ir import Flag, Fraction, Natural, Number, Positive, Real, Registry, Size
from graphdsl.report import Failed, dataclass, fail

AUGMENTS = Registry("augment")
Picture = tuple[int, int, int]
Drawn = tuple[Array, ...]
"""What chance has said: an array for each thing that it says, a number a picture."""


class Augment(ABC):
    """One kind of change. Concrete ones are frozen dataclasses whose fields are the settings.

    moves   it moves what is in the picture, so boxes and points must be told
    """

    moves: ClassVar[bool] = False

    @abstractmethod
    def draw(self, count: int, picture: Picture, generator: np.random.Generator) -> Drawn:
        """What is left to chance, for so many pictures of this shape."""

    @abstractmethod
    def change(self, images: Array, drawn: Drawn) -> Array:
        """The batch, changed as was drawn. The array given is not written to."""

    def apply(self, images: Array, generator: np.random.Generator) -> Array:
        """The batch, changed at random."""
        return self.change(images, self.draw(len(images), _shape(images), generator))

    def still(self, images: Array) -> Array:
        """The batch as validation sees it."""
        return images

    def follow(self, rows: list[Array], picture: Picture, drawn: Drawn | None) -> list[Array]:
        """The boxes of each picture, [k, 5], after the change that was drawn for pictures of this shape; None: after
        `still`."""
        return rows

    def follow_points(self, points: Array, picture: Picture, drawn: Drawn | None) -> Array:
        """The points of the pictures, [pictures, n, 2], in the same way."""
        return points

    def demand_points(self, count: int) -> None:
        """Raises E0518 where so many points cannot follow."""
        return

    def shape(self, picture: Picture) -> Picture:
        """The shape of a picture after the change. Raises E0518 when it cannot be done."""
        return picture


class Cutting(Augment):
    """A change that shows a part of each picture, or more than the picture."""

    moves: ClassVar[bool] = True

    @abstractmethod
    def parts(self, count: int, picture: Picture, drawn: Drawn | None) -> list[Part]:
        """What is seen of each picture; drawn is None: after `still`. Empty: all of every picture."""

    def follow(self, rows: list[Array], picture: Picture, drawn: Drawn | None) -> list[Array]:
        parts = self.parts(len(rows), picture, drawn)
        return [cut(within(row, part), KEPT) for row, part in zip(rows, parts, strict=True)] if parts else rows

    def follow_points(self, points: Array, picture: Picture, drawn: Drawn | None) -> Array:
        parts = self.parts(len(points), picture, drawn)
        return np.stack([moved(row, part) for row, part in zip(points, parts, strict=True)]) if parts else points


@AUGMENTS.register("flip")
@dataclass(frozen=True)
class Flip(Augment):
    """Mirrors pictures left to right.

    chance    of each picture to be mirrored
    vertical  top to bottom instead
    pairs     of points that change places then, as the left eye becomes the right one: `[[36, 45], [37, 44]]`, counted
              from 0, or `ibug68` for the 68 points of a face as iBUG orders them. Points need it, `[]` where none do
    """

    chance: Fraction = 0.5
    vertical: Flag = False
    pairs: Pairs | None = None
    moves: ClassVar[bool] = True

    def draw(self, count: int, picture: Picture, generator: np.random.Generator) -> Drawn:
        return (generator.random(count) < self.chance,)

    def change(self, images: Array, drawn: Drawn) -> Array:
        mirrored = images[:, ::-1] if self.vertical else images[:, :, ::-1]
        return np.where(drawn[0][:, None, None, None], mirrored, images)

    def follow(self, rows: list[Array], picture: Picture, drawn: Drawn | None) -> list[Array]:
        if drawn is None:
            return rows
        axis = 1 if self.vertical else 0
        return [_mirrored(row, axis) if turned else row for row, turned in zip(rows, drawn[0], strict=True)]

    def follow_points(self, points: Array, picture: Picture, drawn: Drawn | None) -> Array:
        if drawn is None:
            return points
        axis, pairs = (1 if self.vertical else 0), self.pairs or ()
        turned = zip(points, drawn[0], strict=True)
        return np.stack([mirrored(row, axis, pairs) if turn else row for row, turn in turned])

    def demand_points(self, count: int) -> None:
        demand_pairs(self.pairs, count)


@AUGMENTS.register("random_crop")
@dataclass(frozen=True)
class RandomCrop(Cutting):
    """Cuts a part out of each picture, from the centre in validation.

    size   of the part, `24` or `24x32`
    pad    rows and columns of zeros put around the picture first; not in validation
    """

    size: Size
    pad: Natural = 0

    def draw(self, count: int, picture: Picture, generator: np.random.Generator) -> Drawn:
        height, width = _pair(self.size)
        tops = generator.integers(0, picture[0] + 2 * self.pad - height + 1, count)
        return tops, generator.integers(0, picture[1] + 2 * self.pad - width + 1, count)

    def change(self, images: Array, drawn: Drawn) -> Array:
        tops, lefts = drawn
        return _windows(_padded(images, self.pad), tops, lefts, *_pair(self.size))

    def parts(self, count: int, picture: Picture, drawn: Drawn | None) -> list[Part]:
        size = _pair(self.size)
        corners = [[(picture[a] - size[a]) // 2] * count for a in (0, 1)]
        if drawn is not None:
            corners = [(corner - self.pad).tolist() for corner in drawn]
        return [_window(top, left, size, picture) for top, left in zip(*corners, strict=True)]

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
class Shift(Cutting):
    """Moves pictures up, down, left and right; what comes in at the border is 0.

    by   the greatest distance, as a fraction of the height and of the width; at most 0.5
    """

    by: Annotated[float, Real(0.0, 0.5, unit="a fraction of the height and width")] = 0.1

    def draw(self, count: int, picture: Picture, generator: np.random.Generator) -> Drawn:
        down, right = self._most(picture)
        tops = generator.integers(0, 2 * down + 1, count)
        return tops, generator.integers(0, 2 * right + 1, count)

    def change(self, images: Array, drawn: Drawn) -> Array:
        down, right = self._most(_shape(images))
        padded = np.pad(images, ((0, 0), (down, down), (right, right), (0, 0)))
        tops, lefts = drawn
        return _windows(padded, tops, lefts, *images.shape[1:3])

    def parts(self, count: int, picture: Picture, drawn: Drawn | None) -> list[Part]:
        if drawn is None:
            return []
        corners = [(corner - most).tolist() for corner, most in zip(drawn, self._most(picture), strict=True)]
        return [_window(top, left, picture[:2], picture) for top, left in zip(*corners, strict=True)]

    def _most(self, picture: Picture) -> tuple[int, int]:
        return round(self.by * picture[0]), round(self.by * picture[1])


@AUGMENTS.register("brightness")
@dataclass(frozen=True)
class Brightness(Augment):
    """Makes each picture lighter or darker by an amount between -by and by; values are kept between 0 and 1."""

    by: Fraction = 0.2

    def draw(self, count: int, picture: Picture, generator: np.random.Generator) -> Drawn:
        return (generator.uniform(-self.by, self.by, (count, 1, 1, 1)).astype(np.float32),)

    def change(self, images: Array, drawn: Drawn) -> Array:
        return np.asarray(np.clip(images + drawn[0], 0, 1))


@AUGMENTS.register("contrast")
@dataclass(frozen=True)
class Contrast(Augment):
    """Moves the values of each picture away from its mean or towards it.

    by   the factor lies between 1 - by and 1 + by; values are kept between 0 and 1
    """

    by: Fraction = 0.2

    def draw(self, count: int, picture: Picture, generator: np.random.Generator) -> Drawn:
        return (generator.uniform(1 - self.by, 1 + self.by, (count, 1, 1, 1)).astype(np.float32),)

    def change(self, images: Array, drawn: Drawn) -> Array:
        mean = images.mean(axis=(1, 2, 3), keepdims=True)
        return np.asarray(np.clip((images - mean) * drawn[0] + mean, 0, 1))


@AUGMENTS.register("cutout")
@dataclass(frozen=True)
class Cutout(Augment):
    """Sets a square of each picture to 0; its centre lies anywhere in the picture, so part of it may fall outside.

    size   of the square, or `8x12`
    Source: DeVries, Taylor 2017.
    """

    size: Size

    def draw(self, count: int, picture: Picture, generator: np.random.Generator) -> Drawn:
        down = generator.integers(0, picture[0], (count,))
        return down, generator.integers(0, picture[1], (count,))

    def change(self, images: Array, drawn: Drawn) -> Array:
        height, width = images.shape[1:3]
        rows = _stripe(drawn[0], _pair(self.size)[0], height)
        columns = _stripe(drawn[1], _pair(self.size)[1], width)
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

    def draw(self, count: int, picture: Picture, generator: np.random.Generator) -> Drawn:
        return ()

    def change(self, images: Array, drawn: Drawn) -> Array:
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
    moves: ClassVar[bool] = True

    def draw(self, count: int, picture: Picture, generator: np.random.Generator) -> Drawn:
        return (np.array([generator], object),)

    def change(self, images: Array, drawn: Drawn) -> Array:
        (generator,) = drawn[0]
        return np.stack([self.function(image, generator) for image in images]).astype(np.float32)

    def follow(self, rows: list[Array], picture: Picture, drawn: Drawn | None) -> list[Array]:
        raise _cannot("a Python function does not say where boxes go")

    def demand_points(self, count: int) -> None:
        raise _cannot("a Python function does not say where points go")


def _shape(images: Array) -> Picture:
    return images.shape[1], images.shape[2], images.shape[3]


def _mirrored(boxes: Array, axis: int) -> Array:
    moved = boxes.copy()
    moved[:, axis] = 1 - moved[:, axis]
    return moved


def _window(top: int, left: int, size: tuple[int, int], picture: Picture) -> Part:
    """A window of a picture, in pixels, as a part of it."""
    height, width = picture[:2]
    return left / width, top / height, size[1] / width, size[0] / height


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
