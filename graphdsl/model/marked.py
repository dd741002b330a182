"""Pictures with what was found in them drawn on: boxes, names and scores, and points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graphdsl.data import decode
from graphdsl.ir import Array
from graphdsl.learn import PALETTE, enlarged, png
from graphdsl.model.boxes import Found

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST = 256
"""Pixels of the longer side that a picture is drawn with at least."""
FINE = 8
"""How many times finer than pixels the edges of points are."""
SMALL, RIM = 2.0, 0.7
"""The radius in pixels of the smallest points, and how wide their rim is."""

Place = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def marked(path: Path, found: Sequence[Found], points: Sequence[Array] = ()) -> bytes:
    """The picture as PNG, with every box, its name and its score, the best on top, and with every point.

    Small pictures are drawn larger, each pixel as a square, so that names can be read and points be told apart.

    points  of each output that tells such, [points, 2] in pixels
    Raises E0507 where the picture cannot be read.
    """
    from PIL import Image, ImageDraw, ImageFont

    pixels = decode(path, (None, None, 3))
    picture = Image.fromarray(enlarged(pixels, LEAST))
    scale = picture.width / pixels.shape[1]
    found = [replace(thing, box=_scaled(thing.box, scale)) for thing in found]
    line = max(1, round(min(picture.size) / 240))
    font = ImageFont.load_default(size=max(9, round(min(picture.size) / 32)))
    draw = ImageDraw.Draw(picture)
    for thing in reversed(found):
        left, top, width, height = thing.box
        draw.rectangle((left, top, left + width, top + height), outline=_colour(thing), width=line)
    taken: list[Place] = []
    for thing in found:
        text = f"{thing.label} {thing.score:.2f}"
        taken.append(_free(thing, draw.textbbox((line, line), text, font=font)[2:], line, picture.size, taken))
        draw.rectangle(taken[-1], fill=_colour(thing))
        draw.text((taken[-1][0] + line, taken[-1][1]), text, fill="white", font=font)
    size = max(SMALL, min(picture.size) / 120)
    for number, head in enumerate(points):
        seen = _seen(head, pixels.shape[1::-1], (size + RIM) / scale)
        _draw_points(picture, (seen + 0.5) * scale, size, PALETTE[(number + 1) % len(PALETTE)])
    return png(np.asarray(picture))


def _seen(points: Array, size: Sequence[int], reach: float) -> Array:
    """The points, [points, 2] in pixels, that can be seen in a picture of this width and height; NaN is nowhere.

    reach  how far from its middle a disc goes, in pixels
    """
    return points[((points > -0.5 - reach) & (points < np.array(size) - 0.5 + reach)).all(axis=1)]


def _draw_points(picture: Image, places: Array, size: float, colour: str) -> None:
    """Discs of this radius, with a light rim around. Edges are soft: drawn FINE times as large, then taken together."""
    from PIL import Image, ImageDraw

    for x, y in places:
        left, top, side = math.floor(x - size) - 1, math.floor(y - size) - 1, 2 * math.ceil(size) + 4
        for radius, fill in ((size + RIM, "white"), (size, colour)):
            mask = Image.new("L", (side * FINE, side * FINE))
            place = [round(FINE * (x - left - radius)), round(FINE * (y - top - radius))]
            ImageDraw.Draw(mask).ellipse((*place, *(p + round(2 * FINE * radius) - 1 for p in place)), fill=255)
            picture.paste(fill, (left, top), mask.resize((side, side), Image.Resampling.BOX))


def _scaled(box: Place, by: float) -> Place:
    left, top, width, height = (by * number for number in box)
    return left, top, width, height


def _colour(thing: Found) -> str:
    return PALETTE[thing.number % len(PALETTE)]


def _free(thing: Found, size: Sequence[float], line: int, picture: Sequence[int], taken: Sequence[Place]) -> Place:
    """Where a label goes: above its box, else inside, else below it, whole in the picture and on no other if it can be.

    size  of the label with its margin
    """
    left, top, _, height = thing.box
    (wide, high), (whole, deep) = size, picture
    wide += line
    x = max(0.0, min(left, whole - wide))
    rows = [y for y in (top - high, max(0.0, top), top + height) if 0 <= y <= deep - high]
    places = [(x, y, x + wide, y + high) for y in rows or [max(0.0, deep - high)]]
    return next((p for p in places if not any(_meet(p, other) for other in taken)), places[0])


def _meet(a: Place, b: Place) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
