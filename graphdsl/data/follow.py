"""Boxes and points go where their pictures go: through what `preprocess` does, and through changes at random."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from graphdsl.data.augment import Augment
from graphdsl.data.boxes import Boxes, Part
from graphdsl.data.conform import Suited, sized
from graphdsl.data.images import Images
from graphdsl.data.points import Points
from graphdsl.data.prepare import Prepare
from graphdsl.data.preprocess import NO_STEPS, Preprocess, seen, shaped
from graphdsl.data.wanted import Wanted
from graphdsl.report import Diagnostic, Failed, Span, did_you_mean, fail

AXES = 3
"""Of a picture."""

Changes = tuple[Augment, ...]
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
    _demand_marks([(s.wanted, s.augments) for s in suited])
    pictures = [s for s in suited if s.augments and not s.wanted.marks]
    if not pictures or all(not s.wanted.marks for s in suited):
        return list(suited)
    first = pictures[0]
    height, width, channels = (int(n or 0) for n in shaped(first.preprocess.placing, first.column.shape)[:AXES])
    follows = first.wanted.name, (height, width, channels)
    return [replace(s, follows=follows) if s.wanted.marks and s.augments else s for s in suited]


def demand_augments(
    augments: Mapping[str, Changes],
    wanted: Sequence[Wanted],
    preprocess: Mapping[str, Preprocess],
    spans: Mapping[str, Sequence[Span]],
) -> None:
    """Before there are data: what none could make right. Raises E0518 with all of it.

    spans  for each name where each of its changes was written
    """
    errors = [diagnostic for name in augments for diagnostic in unknown([name], wanted, spans[name][0])]
    by_name = {w.name: w for w in wanted}
    told = [name for name in augments if name in by_name and not by_name[name].marks]
    for demand in (
        *(partial(_demand_pictures, by_name[n], augments[n], preprocess.get(n, NO_STEPS), spans[n]) for n in told),
        partial(_demand_marks, [(w, augments.get(w.name, ())) for w in wanted]),
    ):
        try:
            demand()
        except Failed as failed:
            errors += failed.diagnostics
    if errors:
        raise Failed(errors)


def unknown(augments: Iterable[str], wanted: Sequence[Wanted], span: Span | None = None) -> list[Diagnostic]:
    """E0518 for each name that nothing has which is read."""
    names = [w.name for w in wanted]
    return [
        Diagnostic("E0518", f"there is no input `{name}` to augment", span, help=did_you_mean(name, names))
        for name in augments
        if name not in names
    ]


@contextmanager
def located(span: Span | None) -> Iterator[None]:
    """What goes wrong without a place, as with a picture, points at span."""
    try:
        yield
    except Failed as failed:
        raise Failed(replace(d, span=d.span or span) for d in failed.diagnostics) from failed


def _demand_pictures(wanted: Wanted, changes: Changes, preprocess: Preprocess, spans: Sequence[Span]) -> None:
    """Raises E0518 for what is no picture, and where what `preprocess` leaves cannot be changed so."""
    sized = len(wanted.shape) in (AXES - 1, AXES) and all(isinstance(size, int) for size in wanted.shape)
    if not sized or not wanted.type.dtype.is_float:
        message = f"{wanted.title} is {wanted.type.describe()}, which `augment` cannot change"
        raise fail("E0518", message, spans[0], help="only pictures, `float[height, width, channels]`, can be augmented")
    if preprocess.whole or len(wanted.shape) != AXES:
        return
    left = shaped(preprocess.placing, (None, None, preprocess.channels(int(wanted.shape[-1]))))
    if all(left):
        picture = (int(left[0] or 0), int(left[1] or 0), int(left[2] or 0))
        for change, span in zip(changes, spans, strict=True):
            with located(span):
                picture = change.shape(picture)


def _demand_marks(pairs: Sequence[tuple[Wanted, Changes]]) -> None:
    """Raises E0518 where boxes or points do not go where their pictures go, or cannot."""
    pictures = [pair for pair in pairs if pair[1] and not pair[0].marks]
    moved = next((pair for pair in pictures if any(change.moves for change in pair[1])), None)
    marks = [pair for pair in pairs if pair[0].marks]
    for wanted, changes in marks:
        if len(pictures) > 1 and changes:
            raise fail("E0518", f"several inputs change, and {wanted.title} can follow one", wanted.span)
        if moved is not None and changes != moved[1]:
            raise _apart(moved[0], wanted)
        _demand_points(wanted, changes)
    alone = next((wanted for wanted, changes in marks if changes and not pictures), None)
    if alone is not None:
        help = f"name the pictures that they are in, too: `[image, {alone.name}] -> flip`"
        raise fail("E0518", f"`augment` moves {alone.title} and no picture", alone.span, help=help)


def _demand_points(wanted: Wanted, changes: Changes) -> None:
    """Raises E0518 where points cannot follow."""
    with located(wanted.span):
        for change in changes if wanted.points else ():
            change.demand_points(int(wanted.shape[0]))


def _apart(pictures: Wanted, marks: Wanted) -> Failed:
    names, kind = f"{pictures.name}, {marks.name}", "boxes" if marks.boxes else "points"
    message = f"`augment` moves things in {pictures.title}, and {marks.title} does not go along"
    return fail("E0518", message, marks.span, help=f"name both, so that {kind} follow: `[{names}] -> flip`")
