"""Pictures with what was found in them drawn on: boxes, names and scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from graphdsl.data import decode
from graphdsl.learn import png
from graphdsl.model.boxes import Found

PALETTE = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#800000", "#808000", "#000075")
"""Colours that white letters can be read on, by the place of a name among all names."""


def marked(path: Path, found: Sequence[Found], names: Sequence[str]) -> bytes:
    """The picture as PNG, with every box, its name and its score; the best on top.

    names  of all classes, so that one has the same colour in every picture
    Raises E0507 where the picture cannot be read.
    """
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(decode(path, (None, None, 3)))
    line = max(1, round(min(picture.size) / 240))
    font = ImageFont.load_default(size=max(9, round(min(picture.size) / 32)))
    draw = ImageDraw.Draw(picture)
    for thing in reversed(found):
        colour = PALETTE[(names.index(thing.label) if thing.label in names else 0) % len(PALETTE)]
        left, top, width, height = thing.box
        draw.rectangle((left, top, left + width, top + height), outline=colour, width=line)
        text = f"{thing.label} {thing.score:.2f}"
        place = draw.textbbox((left, max(0, top)), text, font=font)
        draw.rectangle(place, fill=colour)
        draw.text((left, max(0, top)), text, fill="white", font=font)
    return png(np.asarray(picture))
