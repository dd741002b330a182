"""What was found in pictures: rows of `nms` as names, scores and boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphdsl.data import decode
from graphdsl.ir import Array
from graphdsl.lang import Spec
from graphdsl.report import dataclass

SIZED = {"resize", "center_crop", "crop"}
"""Steps of `preprocess` that change which part of a picture is seen, or how large it is."""


@dataclass(frozen=True)
class Found:
    """One thing in a picture.

    label  the name of its class; its number where it has no name
    box    left, top, width, height: in pixels of the picture, or as fractions of what the network sees
    """

    label: str
    score: float
    box: tuple[float, float, float, float]

    @property
    def data(self) -> dict[str, Any]:
        """For programs."""
        return {"class": self.label, "score": self.score, "box": list(self.box)}


def found_in(values: Array, names: Sequence[str], sizes: Sequence[tuple[int, int]] | None) -> list[list[Found]]:
    """The things found in each picture, the best first.

    values  [n, max, 6], as `nms` gives them
    names   of the classes
    sizes   height and width of each picture; None: boxes stay fractions
    """
    scales = sizes if sizes is not None else [(1, 1)] * len(values)
    return [[_found(row, names, size) for row in rows if row[4] > 0] for rows, size in zip(values, scales, strict=True)]


def _found(row: Array, names: Sequence[str], size: tuple[int, int]) -> Found:
    x, y, wide, high, score, number = map(float, row)
    label = names[int(number)] if int(number) < len(names) else str(int(number))
    height, width = size
    box = ((x - wide / 2) * width, (y - high / 2) * height, wide * width, high * height)
    return Found(label, score, box)


def sizes_of(files: Sequence[str]) -> list[tuple[int, int]]:
    """Height and width of each picture."""
    shapes = [decode(Path(file), (None, None, 1)).shape for file in files]
    return [(shape[0], shape[1]) for shape in shapes]


def sees_whole_pictures(spec: Spec) -> bool:
    """Whether what flows in is the whole picture, stretched: then fractions of it are fractions of the picture."""
    steps = [step for recipe in spec.preprocess for step in recipe.steps if step.name in SIZED]
    return bool(steps) and all(s.name == "resize" and s.settings.get("mode") == "stretch" for s in steps)
