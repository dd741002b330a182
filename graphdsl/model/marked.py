"""Pictures with what was found in them drawn on: boxes, names and scores, and points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from graphdsl.data import decode
from graphdsl.ir import Array
from graphdsl.learn import PALETTE, png
from graphdsl.model.boxes import Found

LARGE = 2.0
"""Half the width in pixels from which on a point has a rim."""

Place = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def marked(path: Path, found: Sequence[Found], points: Sequence[Array] = ()) -> bytes:
    """The picture as PNG, with every box, its name and its score, the best on top, and with every point.

    points  of each output that tells such, [points, 2] in pixels
    Raises E0507 where the picture cannot be read.
    """
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(decode(path, (None, None, 3)))
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
    size = max(0.75, min(picture.size) / 120)
    for number, head in enumerate(points):
        for x, y in head[np.isfinite(head).all(axis=1)] + 0.5:
            place = (x - size, y - size, x + size, y + size)
            draw.ellipse(place, fill=PALETTE[(number + 1) % len(PALETTE)], outline="white" if size > LARGE else None)
    return png(np.asarray(picture))


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
