"""Boxes and points go where their pictures go: through what `preprocess` does, and through changes at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from graphdsl.data.boxes import Boxes, Part
from graphdsl.data.conform import Suited, sized
from graphdsl.data.images import Images
from graphdsl.data.points import Points
from graphdsl.data.prepare import Prepare
from graphdsl.data.preprocess import Preprocess, seen, shaped
from graphdsl.data.wanted import Wanted
from graphdsl.report import Failed, fail

AXES = 3
"""Of a picture."""

Marks = TypeVar("Marks", Boxes, Points)


def in_pictures(marks: Marks, prepare: Prepare) -> Marks:
    """Boxes or points as fractions of what is seen of the pictures they are in: the only pictures that are read."""
    found = [
        n for n, w in prepare.wanted.items() if n in prepare.columns and w.role == "input" and len(w.shape) == AXES
    ]
    if len(found) != 1:
        return marks
    (name,) = found
    column, steps, _ = prepare.of(name)
    if isinstance(column, Images):
        pictures = sized(prepare.columns[name][0], column, prepare.wanted[name], steps)
        return marks.seen([pictures.part(row) for row in range(len(marks))])
    height, width = (int(size or 0) for size in column.shape[:2])
    return marks.seen([seen(steps.placing, height, width)] * len(marks))


def views(paths: Sequence[Path], wanted: Wanted, preprocess: Preprocess) -> list[Part]:
    """Which part is seen of each picture that goes to an input. Raises E0507, and E0518 where a step cannot be done."""
    pictures = sized(wanted.name, Images(tuple(paths)), wanted, preprocess)
    return [pictures.part(row) for row in range(len(paths))]


def following(suited: Sequence[Suited]) -> list[Suited]:
    """Boxes and points with the pictures that they are in, where both change together.

    Raises E0518 where one of them is moved and the other is not told, or cannot follow.
    """
    marks = [s for s in suited if s.wanted.marks]
    pictures = [s for s in suited if s.augments and not s.wanted.marks]
    moved = next((s for s in pictures if any(a.moves for a in s.augments)), None)
    for each in marks:
        if len(pictures) > 1 and each.augments:
            raise fail("E0518", f"several inputs change, and {each.wanted.title} can follow one", each.wanted.span)
        if moved is not None and each.augments != moved.augments:
            raise _apart(moved, each)
        _demand_points(each)
    alone = next((s for s in marks if s.augments and not pictures), None)
    if alone is not None:
        name = alone.wanted.name
        help = f"name the pictures that they are in, too: `[image, {name}] -> flip`"
        raise fail("E0518", f"`augment` moves {alone.wanted.title} and no picture", alone.wanted.span, help=help)
    if not marks or not pictures:
        return list(suited)
    first = pictures[0]
    height, width, channels = (int(n or 0) for n in shaped(first.preprocess.placing, first.column.shape)[:AXES])
    follows = first.wanted.name, (height, width, channels)
    return [replace(s, follows=follows) if s.wanted.marks and s.augments else s for s in suited]


def _demand_points(each: Suited) -> None:
    """Raises E0518 where points cannot follow."""
    try:
        for augment in each.augments if each.wanted.points else ():
            augment.demand_points(int(each.wanted.shape[0]))
    except Failed as failed:
        raise Failed(replace(d, span=d.span or each.wanted.span) for d in failed.diagnostics) from failed


def _apart(pictures: Suited, marks: Suited) -> Failed:
    names, kind = f"{pictures.wanted.name}, {marks.wanted.name}", "boxes" if marks.wanted.boxes else "points"
    message = f"`augment` moves things in {pictures.wanted.title}, and {marks.wanted.title} does not go along"
    return fail("E0518", message, marks.wanted.span, help=f"name both, so that {kind} follow: `[{names}] -> flip`")
