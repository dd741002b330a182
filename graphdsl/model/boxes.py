"""What was found in pictures: rows of `nms` as names, scores and boxes; points of `landmarks`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.data import NO_STEPS, WHOLE, Part, Preprocess, Wanted, natural_size, views
from graphdsl.ir import Array
from graphdsl.lang import Spec
from graphdsl.model.supply import Supply
from graphdsl.report import dataclass


@dataclass(frozen=True)
class Found:
    """One thing in a picture.

    label   the name of its class; its number where it has no name
    box     left, top, width, height: in pixels of the picture, or as fractions of what the network sees
    number  that of its class, from 0
    """

    label: str
    score: float
    box: tuple[float, float, float, float]
    number: int

    @property
    def data(self) -> dict[str, Any]:
        """For programs."""
        return {"class": self.label, "score": self.score, "box": list(self.box)}


def found_by(
    outputs: Mapping[str, Array], heads: Iterable[str], names: Sequence[str], supply: Supply, files: Sequence[str]
) -> dict[str, list[list[Found]]]:
    """`found_in` for the outputs that are heads. names: of the classes, in place of those that supply knows."""
    made = {name: outputs[name] for name in heads if name in outputs}
    known = {name: names or names_of(name, supply.spec, supply.names) for name in made}
    return {n: found_in(values, known[n], _seen(supply, files, len(values))) for n, values in made.items()}


def points_by(
    outputs: Mapping[str, Array], heads: Iterable[str], supply: Supply, files: Sequence[str]
) -> dict[str, Array]:
    """`points_in` for the outputs that are heads."""
    made = {name: outputs[name] for name in heads if name in outputs}
    return {n: points_in(values, _seen(supply, files, len(values))) for n, values in made.items()}


def _seen(supply: Supply, files: Sequence[str], count: int) -> list[Part]:
    return parts_of(supply.spec, supply.preprocess, files, count)


def found_in(values: Array, names: Sequence[str], parts: Sequence[Part]) -> list[list[Found]]:
    """The things found in each picture, the best first. Boxes without area, or with NaN or infinity, are none.

    values  [n, max, 6], as `nms` gives them
    names   of the classes
    parts   left, top, width and height of what was seen of each picture
    """
    pairs = zip(values, parts, strict=True)
    return [[_found(row, names, part) for row in rows if _is_box(row)] for rows, part in pairs]


def _is_box(row: Array) -> bool:
    return bool(np.isfinite(row).all() and (row[2:5] > 0).all())


def _found(row: Array, names: Sequence[str], part: Part) -> Found:
    x, y, wide, high, score, number = map(float, row)
    label = names[int(number)] if int(number) < len(names) else str(int(number))
    left, top, width, height = part
    box = (left + (x - wide / 2) * width, top + (y - high / 2) * height, wide * width, high * height)
    return Found(label, score, box, int(number))


def points_in(values: Array, parts: Sequence[Part]) -> Array:
    """The points of each picture, [n, points, 2], in its pixels: the middle of the first one is 0.

    values  as `landmarks` gives them: fractions of what was seen
    parts   left, top, width and height of that; where they are all of it, as fractions, so are the points
    """
    rows = zip(values, parts, strict=True)
    return np.stack([row if p == WHOLE else row * (p[2], p[3]) + (p[0], p[1]) - 0.5 for row, p in rows])


def names_of(output: str, spec: Spec, known: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """The names of the classes that a detector tells: given for it, or those of the only target of boxes."""
    targets = [name for name, port in spec.targets.items() if port.type.kind.name == "boxes"]
    told = known.get(targets[0], ()) if len(targets) == 1 else ()
    return known.get(output, told)


def parts_of(spec: Spec, preprocess: Mapping[str, Preprocess], files: Sequence[str], count: int) -> list[Part]:
    """What is seen of each picture, in its pixels; fractions where samples are no files, or several pictures."""
    pictures = [port for port in spec.inputs.values() if port.type.rank == 4]
    if not files or len(pictures) != 1 or not all(isinstance(size, int) for size in pictures[0].type.spatial):
        return [WHOLE] * count
    (port,) = pictures
    paths, wanted = [Path(file) for file in files], Wanted(port.name, "input", port.type, port.span)
    parts = views(paths, wanted, preprocess.get(port.name, NO_STEPS))
    return [in_pixels(part, *natural_size(path)) for part, path in zip(parts, paths, strict=True)]


def in_pixels(part: Part, height: int, width: int) -> Part:
    """A part of a picture of this size, which was told in fractions of it."""
    left, top, wide, high = part
    return left * width, top * height, wide * width, high * height
