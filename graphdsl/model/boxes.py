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


@dataclass(frozen=True)
class View:
    """Which part of a picture the network sees: all of it stretched, or what `resize` covers or fits."""

    mode: str
    height: int
    width: int

    def along(self, seen: int, side: int, factor: float) -> tuple[float, float]:
        """Where what is seen begins along one side of the picture, and how long it is, in pixels of the picture."""
        if self.mode == "stretch":
            return 0.0, side
        scaled = max(1, round(side * factor))
        before = (scaled - seen) // 2 if self.mode == "cover" else -((seen - scaled) // 2)
        return before * side / scaled, seen * side / scaled

    def part(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Left, top, width and height of what is seen of a picture of this size."""
        choose = max if self.mode == "cover" else min
        factor = choose(self.height / height, self.width / width)
        left, wide = self.along(self.width, width, factor)
        top, high = self.along(self.height, height, factor)
        return left, top, wide, high


FRACTIONS = (0.0, 0.0, 1.0, 1.0)
"""The part that a picture of unknown size is said to be."""


def found_in(values: Array, names: Sequence[str], parts: Sequence[tuple[float, ...]]) -> list[list[Found]]:
    """The things found in each picture, the best first.

    values  [n, max, 6], as `nms` gives them
    names   of the classes
    parts   left, top, width and height of what was seen of each picture
    """
    return [[_found(row, names, part) for row in rows if row[4] > 0] for rows, part in zip(values, parts, strict=True)]


def _found(row: Array, names: Sequence[str], part: tuple[float, ...]) -> Found:
    x, y, wide, high, score, number = map(float, row)
    label = names[int(number)] if int(number) < len(names) else str(int(number))
    left, top, width, height = part
    box = (left + (x - wide / 2) * width, top + (y - high / 2) * height, wide * width, high * height)
    return Found(label, score, box)


def parts_of(spec: Spec, files: Sequence[str], count: int) -> list[tuple[float, float, float, float]]:
    """What is seen of each picture; fractions where the samples are no files, or steps cut parts out of them."""
    view = view_of(spec)
    if view is None or not files:
        return [FRACTIONS] * count
    shapes = [decode(Path(file), (None, None, 1)).shape for file in files]
    return [view.part(shape[0], shape[1]) for shape in shapes]


def view_of(spec: Spec) -> View | None:
    """How the only picture that flows in is resized; None where there are several, or other steps cut it."""
    shapes = [port.type.shape[1:3] for port in spec.inputs.values() if port.type.rank == 4]
    steps = [step for recipe in spec.preprocess for step in recipe.steps if step.name in SIZED]
    if len(shapes) != 1 or len(steps) > 1 or any(step.name != "resize" for step in steps):
        return None
    height, width = shapes[0]
    mode = steps[0].settings.get("mode", "cover") if steps else "cover"
    return View(mode, height, width) if isinstance(height, int) and isinstance(width, int) else None
