"""Boxes as annotation tools write them: corners in pixels and a class, file by file, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np

from graphdsl.data.boxes import NUMBERS, Boxes
from graphdsl.data.column import Array
from graphdsl.data.dataset import INPUT, TARGET, Dataset
from graphdsl.data.images import Images, natural_size
from graphdsl.ir import Choice
from graphdsl.report import Failed, dataclass, fail, visible

IMAGE, OBJECTS = "image", "objects"
LISTED = 20
"""Bad boxes that an error lists."""

SLACK = 1.5
"""Pixels by which a box may reach beyond the picture: tools count from 0 or from 1."""
SLACK_OF_FRACTIONS = 1e-3
"""The same where boxes are told as fractions, which tools round."""

Bad = Annotated[str, Choice(("stop", "skip", "clip"))]


@dataclass(frozen=True)
class Marked:
    """A box as a file has it.

    place   the file and the line, for messages
    label   its class
    box     left, top, right, bottom: in pixels, or as fractions of the picture
    """

    place: str
    label: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Picture:
    """A picture and what is marked in it. fractions: boxes are told as such."""

    path: Path
    marked: tuple[Marked, ...]
    fractions: bool = False


def dataset_of(pictures: Sequence[Picture], classes: Sequence[str], bad: str, origin: str) -> Dataset:
    """Columns `image` and `objects`.

    classes  in their order; empty: those that occur, in alphabetical order
    bad      what happens to boxes that are no boxes: `stop` lists them, `skip` leaves them out, `clip` cuts them at the
             border and leaves out what has no area then
    Raises E0508 (no pictures), E0521 (bad boxes, by file and line).
    """
    if not pictures:
        raise fail("E0508", f"`{origin}` names no pictures", help="there must be at least one")
    names = tuple(classes) or tuple(sorted({m.label for p in pictures for m in p.marked}))
    wrong: list[str] = []
    rows = tuple(_boxes(picture, names, bad, wrong) for picture in pictures)
    if wrong and bad == "stop":
        raise _listed(wrong)
    columns = {IMAGE: Images(tuple(p.path for p in pictures)), OBJECTS: Boxes(rows, names)}
    return Dataset(columns, {IMAGE: INPUT, OBJECTS: TARGET}, frozenset({OBJECTS}), origin=origin)


def _boxes(picture: Picture, names: Sequence[str], bad: str, wrong: list[str]) -> Array:
    """[k, 5] as fractions."""
    height, width = (1, 1) if picture.fractions else natural_size(picture.path)
    slack = SLACK_OF_FRACTIONS if picture.fractions else SLACK
    found = []
    for marked in picture.marked:
        why = _trouble(marked, names, (width, height), slack)
        if why:
            wrong.append(f"{marked.place}: {why}")
        clipped = np.clip(np.array(marked.box) / (width, height, width, height), 0, 1)
        area = np.isfinite(marked.box).all() and (clipped[2:] > clipped[:2]).all()
        if area and marked.label in names and (not why or bad == "clip"):
            middle, size = (clipped[:2] + clipped[2:]) / 2, clipped[2:] - clipped[:2]
            found.append([*middle, *size, names.index(marked.label)])
    return np.array(found, np.float64).reshape(-1, NUMBERS)


def _trouble(marked: Marked, names: Sequence[str], size: tuple[int, int], slack: float) -> str:
    """What is wrong with a box; empty: nothing."""
    left, top, right, bottom = marked.box
    told = ", ".join(f"{number:g}" for number in marked.box)
    if marked.label not in names:
        return f"`{marked.label}` is none of the classes"
    if not all(map(np.isfinite, marked.box)):
        return f"the box {told} (left, top, right, bottom) has a number that is not finite"
    if right <= left or bottom <= top:
        return f"the box {told} (left, top, right, bottom) has no area"
    if min(left, top) < -slack or right > size[0] + slack or bottom > size[1] + slack:
        sides = "which goes from 0 to 1" if size == (1, 1) else f"{size[0]} x {size[1]}"
        return f"the box {told} (left, top, right, bottom) reaches beyond the picture, {sides}"
    return ""


def _listed(wrong: Iterable[str]) -> Failed:
    lines = list(wrong)
    more = [f"and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    told = "\n".join(f"  {visible(line)}" for line in [*lines[:LISTED], *more])
    count = "1 box is wrong" if len(lines) == 1 else f"{len(lines)} boxes are wrong"
    help = "repair them, or give `bad=skip` to leave them out, `bad=clip` to cut them at the border"
    return fail("E0521", count, help=f"{help}:\n{told}")
