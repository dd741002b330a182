"""Boxes go where their pictures go: through what `preprocess` does to these, and through changes at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from graphdsl.data.boxes import Boxes, Part
from graphdsl.data.conform import Suited, sized
from graphdsl.data.images import Images
from graphdsl.data.prepare import Prepare
from graphdsl.data.preprocess import Preprocess, seen, shaped
from graphdsl.data.wanted import Wanted
from graphdsl.report import Failed, fail

AXES = 3
"""Of a picture."""


def in_pictures(boxes: Boxes, prepare: Prepare) -> Boxes:
    """The boxes as fractions of what is seen of the pictures that they are in: the only pictures that are read."""
    found = [
        n for n, w in prepare.wanted.items() if n in prepare.columns and w.role == "input" and len(w.shape) == AXES
    ]
    if len(found) != 1:
        return boxes
    (name,) = found
    column, steps, _ = prepare.of(name)
    if isinstance(column, Images):
        pictures = sized(prepare.columns[name][0], column, prepare.wanted[name], steps)
        return boxes.seen([pictures.part(row) for row in range(len(boxes))])
    height, width = (int(size or 0) for size in column.shape[:2])
    return boxes.seen([seen(steps.placing, height, width)] * len(boxes))


def views(paths: Sequence[Path], wanted: Wanted, preprocess: Preprocess) -> list[Part]:
    """Which part is seen of each picture that goes to an input. Raises E0507, and E0518 where a step cannot be done."""
    pictures = sized(wanted.name, Images(tuple(paths)), wanted, preprocess)
    return [pictures.part(row) for row in range(len(paths))]


def following(suited: Sequence[Suited]) -> list[Suited]:
    """Boxes with the pictures that they are in, where both change together.

    Raises E0518 where one of them is moved and the other is not told.
    """
    boxes = [s for s in suited if s.wanted.boxes]
    pictures = [s for s in suited if s.augments and not s.wanted.boxes]
    moved = next((s for s in pictures if any(a.moves for a in s.augments)), None)
    for each in boxes:
        if len(pictures) > 1 and each.augments:
            raise fail("E0518", f"several inputs change, and {each.wanted.title} can follow one", each.wanted.span)
        if moved is not None and each.augments != moved.augments:
            raise _apart(moved, each)
    alone = next((s for s in boxes if s.augments and not pictures), None)
    if alone is not None:
        name = alone.wanted.name
        help = f"name the pictures that they are in, too: `[image, {name}] -> flip`"
        raise fail("E0518", f"`augment` moves {alone.wanted.title} and no picture", alone.wanted.span, help=help)
    if not boxes or not pictures:
        return list(suited)
    first = pictures[0]
    height, width, channels = (int(n or 0) for n in shaped(first.preprocess.placing, first.column.shape)[:AXES])
    follows = first.wanted.name, (height, width, channels)
    return [replace(s, follows=follows) if s.wanted.boxes and s.augments else s for s in suited]


def _apart(pictures: Suited, boxes: Suited) -> Failed:
    names = f"{pictures.wanted.name}, {boxes.wanted.name}"
    message = f"`augment` moves things in {pictures.wanted.title}, and {boxes.wanted.title} does not go along"
    return fail("E0518", message, boxes.wanted.span, help=f"name both, so that boxes follow: `[{names}] -> flip`")
