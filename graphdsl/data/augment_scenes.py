"""Changes to pictures of several things: nearer and farther, several in one, other colours. Boxes come along."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from graphdsl.data.augment import AUGMENTS, Augment, Drawn, Picture
from graphdsl.data.boxes import KEPT, Part, cut, within
from graphdsl.data.column import Array
from graphdsl.ir import Fraction, Real
from graphdsl.report import dataclass

Reach = Annotated[float, Real(0.0, 0.9)]


@AUGMENTS.register("zoom")
@dataclass(frozen=True)
class Zoom(Augment):
    """Makes pictures larger or smaller around a place at random; they keep their size, and what comes in is 0.

    by   the factor lies between 1 - by and 1 + by
    """

    by: Reach = 0.3
    moves: ClassVar[bool] = True

    def draw(self, count: int, picture: Picture, generator: np.random.Generator) -> Drawn:
        seen = 1 / generator.uniform(1 - self.by, 1 + self.by, count)
        return seen, generator.random((count, 2)) * (1 - seen[:, None])

    def change(self, images: Array, drawn: Drawn) -> Array:
        return np.stack([_extent(image, part) for image, part in zip(images, _parts(drawn), strict=True)])

    def follow(self, rows: list[Array], picture: Picture, drawn: Drawn | None) -> list[Array]:
        if drawn is None:
            return rows
        return [cut(within(row, part), KEPT) for row, part in zip(rows, _parts(drawn), strict=True)]


def _parts(drawn: Drawn) -> list[Part]:
    """What is seen of each picture: a part, or more than the picture."""
    return [(float(left), float(top), float(seen), float(seen)) for seen, (left, top) in zip(*drawn, strict=True)]


def _extent(image: Array, part: Part) -> Array:
    from PIL import Image

    height, width = image.shape[:2]
    left, top = part[0] * width, part[1] * height
    box = left, top, left + part[2] * width, top + part[3] * height
    how = Image.Transform.EXTENT, box, Image.Resampling.BILINEAR
    channels = [
        Image.fromarray(np.ascontiguousarray(c)).transform((width, height), *how) for c in np.moveaxis(image, -1, 0)
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


@AUGMENTS.register("mosaic")
@dataclass(frozen=True)
class Mosaic(Augment):
    """Makes a picture of four of the batch that meet at a point: more things, cut in more ways.

    chance   of each picture to become one

    Source: Bochkovskiy et al. 2020.
    """

    chance: Fraction = 0.5
    moves: ClassVar[bool] = True

    def draw(self, count: int, picture: Picture, generator: np.random.Generator) -> Drawn:
        meets = generator.uniform(0.3, 0.7, (count, 2)) * picture[:2]
        others = generator.integers(0, count, (count, 3))
        return generator.random(count) < self.chance, np.round(meets).astype(np.int64), others

    def change(self, images: Array, drawn: Drawn) -> Array:
        made = images.copy()
        height, width = images.shape[1:3]
        for i, (y, x), members in self._made(drawn):
            a, b, c, d = (images[m] for m in members)
            made[i, :y, :x], made[i, :y, x:] = a[height - y :, width - x :], b[height - y :, : width - x]
            made[i, y:, :x], made[i, y:, x:] = c[: height - y, width - x :], d[: height - y, : width - x]
        return made

    def follow(self, rows: list[Array], picture: Picture, drawn: Drawn | None) -> list[Array]:
        made = list(rows)
        for i, (y, x), members in self._made(drawn) if drawn is not None else ():
            made[i] = np.concatenate(
                [
                    _quarter(rows[m], y / picture[0], x / picture[1], low, right)
                    for m, (low, right) in zip(members, ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True)
                ]
            )
        return made

    def _made(self, drawn: Drawn) -> list[tuple[int, tuple[int, int], tuple[int, ...]]]:
        """The pictures that change: which, where four meet, and of which they are made."""
        chosen, meets, others = drawn
        return [
            (i, (int(meets[i][0]), int(meets[i][1])), (i, *map(int, others[i])))
            for i in np.flatnonzero(chosen).tolist()
        ]


def _quarter(boxes: Array, y: float, x: float, low: int, right: int) -> Array:
    """The boxes of a picture of which one quarter of a mosaic shows the corner that touches the middle."""
    top, height = (0.0, 1 - y) if low else (1 - y, y)
    left, width = (0.0, 1 - x) if right else (1 - x, x)
    kept = cut(within(boxes, (left, top, width, height)), KEPT)
    kept[:, :4] = kept[:, :4] * (width, height, width, height) + (x * right, y * low, 0, 0)
    return kept


@AUGMENTS.register("colour")
@dataclass(frozen=True)
class Colour(Augment):
    """Makes each channel of a picture stronger or weaker by itself.

    by   each factor lies between 1 - by and 1 + by; values are kept between 0 and 1
    """

    by: Fraction = 0.2

    def draw(self, count: int, picture: Picture, generator: np.random.Generator) -> Drawn:
        return (generator.uniform(1 - self.by, 1 + self.by, (count, 1, 1, picture[2])).astype(np.float32),)

    def change(self, images: Array, drawn: Drawn) -> Array:
        return np.asarray(np.clip(images * drawn[0], 0, 1))
