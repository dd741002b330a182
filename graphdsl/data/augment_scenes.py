"""Changes to pictures of several things: nearer and farther, several in one, other colours. Boxes come along."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from graphdsl.data.augment import AUGMENTS, Augment, Cutting, Drawn, Picture
from graphdsl.data.boxes import KEPT, Part, cut, within
from graphdsl.data.column import Array
from graphdsl.ir import Fraction, Real
from graphdsl.report import dataclass, fail

Reach = Annotated[float, Real(0.0, 0.9)]


@AUGMENTS.register("zoom")
@dataclass(frozen=True)
class Zoom(Cutting):
    """Makes pictures larger or smaller around a place at random; they keep their size, and what comes in is 0.

    by   the factor lies between 1 - by and 1 + by
    """

    by: Reach = 0.3

    def draw(self, count: int, picture: Picture, generator: np.random.Generator) -> Drawn:
        seen = 1 / generator.uniform(1 - self.by, 1 + self.by, count)
        return seen, generator.random((count, 2)) * (1 - seen[:, None])

    def change(self, images: Array, drawn: Drawn) -> Array:
        return np.stack([_extent(image, part) for image, part in zip(images, _parts(drawn), strict=True)])

    def parts(self, count: int, picture: Picture, drawn: Drawn | None) -> list[Part]:
        return [] if drawn is None else _parts(drawn)


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


@AUGMENTS.register("rotate")
@dataclass(frozen=True)
class Rotate(Augment):
    """Turns pictures around their middle at random; what comes in at the corners is 0. A box becomes the one around it.

    by   the greatest angle in degrees, either way
    """

    by: Annotated[float, Real(0.0, 180.0, unit="an angle in degrees")] = 15.0
    moves: ClassVar[bool] = True

    def draw(self, count: int, picture: Picture, generator: np.random.Generator) -> Drawn:
        return (np.radians(generator.uniform(-self.by, self.by, count)),)

    def change(self, images: Array, drawn: Drawn) -> Array:
        return np.stack([_turned(image, float(angle)) for image, angle in zip(images, drawn[0], strict=True)])

    def follow(self, rows: list[Array], picture: Picture, drawn: Drawn | None) -> list[Array]:
        if drawn is None:
            return rows
        return [cut(_around(row, angle, picture), KEPT) for row, angle in zip(rows, drawn[0], strict=True)]

    def follow_points(self, points: Array, picture: Picture, drawn: Drawn | None) -> Array:
        if drawn is None:
            return points
        return np.stack([_swung(row, angle, picture) for row, angle in zip(points, drawn[0], strict=True)])


def _turned(image: Array, angle: float) -> Array:
    """A picture turned clockwise; each pixel looks back to where it comes from."""
    from PIL import Image

    height, width = image.shape[:2]
    c, s, x, y = np.cos(angle), np.sin(angle), width / 2, height / 2
    back = (c, s, x - c * x - s * y, -s, c, y + s * x - c * y)
    how = Image.Transform.AFFINE, back, Image.Resampling.BILINEAR
    channels = [
        Image.fromarray(np.ascontiguousarray(channel)).transform((width, height), *how)
        for channel in np.moveaxis(image, -1, 0)
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


def _swung(points: Array, angle: float, picture: Picture) -> Array:
    """[..., 2] as fractions of a picture that is turned clockwise."""
    sides = np.array([picture[1], picture[0]])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray(((points - 0.5) * sides) @ turn / sides + 0.5)


def _around(boxes: Array, angle: float, picture: Picture) -> Array:
    """[k, 5]: the upright boxes around those that are turned."""
    signs = np.array([[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]])
    corners = _swung(boxes[:, None, :2] + signs * boxes[:, None, 2:4], angle, picture)
    low, high = corners.min(axis=1), corners.max(axis=1)
    return np.concatenate([(low + high) / 2, high - low, boxes[:, 4:]], axis=1)


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

    def demand_points(self, count: int) -> None:
        help = "`flip`, `shift`, `zoom`, `rotate` and `random_crop` take points along"
        raise fail("E0518", "`mosaic` makes one picture of four, and there are points for one", help=help)

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
