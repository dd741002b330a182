"""The lines of a source that a message speaks of, with marks beneath.

Three marks in one line; the rightmost text stands beside its mark, the others below, under the start of theirs:

    10 |   out  = body + skip -> relu
       |          ---- ^ ---- float[56, 56, 64]
       |          |    shapes differ
       |          float[56, 56, 256]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from graphdsl.report.source import Source, Span
from graphdsl.report.terminal import cell, columns, paint, visible

CUT = "…"
NARROWEST = 20


@dataclass(frozen=True, slots=True)
class Mark:
    """A span to point at. The primary one is drawn with `^`, the others with `-`."""

    span: Span
    text: str
    primary: bool


@dataclass(frozen=True, slots=True)
class Placed:
    """A mark in columns of the line as printed, [start, end)."""

    start: int
    end: int
    text: str
    primary: bool
    style: str


@dataclass(frozen=True, slots=True)
class Look:
    """How to draw: the width of the line numbers, the columns there are, colour, and the style of the primary mark."""

    gutter: int
    width: int
    colour: bool
    style: str

    @property
    def room(self) -> int:
        return max(NARROWEST, self.width - self.gutter - 3)

    def bar(self, number: int | None = None) -> str:
        """The left edge of a line: ` 10 |`."""
        text = "" if number is None else str(number)
        return paint(f"{text:>{self.gutter}} |", "note", self.colour)


def excerpt(source: Source, marks: Iterable[Mark], look: Look) -> list[str]:
    """The marked lines of one source in order, `...` where lines are left out."""
    by_line: dict[int, list[Mark]] = {}
    for mark in marks:
        by_line.setdefault(mark.span.line, []).append(mark)
    rows = [look.bar()]
    previous = None
    for number in sorted(by_line):
        if previous is not None and number > previous + 1:
            rows.append(paint("...", "note", look.colour))
        rows += _line(source, number, by_line[number], look)
        previous = number
    return rows


def _line(source: Source, number: int, marks: Sequence[Mark], look: Look) -> list[str]:
    """One line of the source and the rows beneath it."""
    text = source.line(number)
    ranges = [_range(mark.span, text) for mark in marks]
    focus = next((r for r, mark in zip(ranges, marks, strict=True) if mark.primary), ranges[0])[0]
    shown, first, last = _window(text, min(focus, len(text)), look.room)
    lead = CUT if first > 0 else ""
    tail = CUT if last < len(text) else ""
    edges = _edges(shown, len(lead))
    placed = []
    for (start, end), mark in zip(ranges, marks, strict=True):
        left = edges[min(max(start - first, 0), len(shown))]
        right = edges[min(max(end - first, 0), len(shown))]
        style = look.style if mark.primary else "note"
        placed.append(Placed(left, max(right, left + 1), visible(mark.text), mark.primary, style))
    printed = f"{look.bar(number)} {lead}{''.join(shown)}{tail}".rstrip()
    return [printed, *(f"{look.bar()} {row}" for row in _beneath(placed, look.colour))]


def _range(span: Span, text: str) -> tuple[int, int]:
    """The characters of a span in its first line; at least one, so that an empty span still gets a caret."""
    start = span.column - 1
    end = min(start + span.end - span.start, max(len(text), start + 1))
    return start, max(end, start + 1)


def _window(text: str, focus: int, room: int) -> tuple[list[str], int, int]:
    """The cells of text[first:last] that fit in room with focus among them, first and last.

    Only a stretch about the focus is looked at: a line may be megabytes long.
    """
    low, high = max(0, focus - room), min(len(text), focus + room)
    cells = [cell(c) for c in text[low:high]]
    sizes = [columns(c) for c in cells]
    if low == 0 and high == len(text) and sum(sizes) <= room:
        return cells, 0, len(text)
    first = last = focus - low
    left = room - 2 * len(CUT)
    first, left = _grow_left(sizes, first, left, left * 2 // 3)
    while last < len(sizes) and sizes[last] <= left:
        left -= sizes[last]
        last += 1
    first, left = _grow_left(sizes, first, left, 0)
    return cells[first:last], low + first, low + last


def _grow_left(sizes: Sequence[int], first: int, left: int, keep: int) -> tuple[int, int]:
    """Take cells before first while more than keep columns are left."""
    while first > 0 and left - sizes[first - 1] >= keep:
        first -= 1
        left -= sizes[first]
    return first, left


def _edges(cells: Sequence[str], start: int) -> list[int]:
    """The column at which each cell begins, and where the last one ends."""
    edges = [start]
    for c in cells:
        edges.append(edges[-1] + columns(c))
    return edges


def _beneath(marks: Sequence[Placed], colour: bool) -> list[str]:
    """The row of carets and the texts that belong to them."""
    texts = sorted((m for m in marks if m.text), key=lambda m: (m.start, m.end))
    beside = texts[-1] if texts and texts[-1].end >= max(m.end for m in marks) else None
    below = texts[:-1] if beside else texts
    carets = _carets(marks, colour)
    rows = [f"{carets} {paint(beside.text, beside.style, colour)}" if beside else carets]
    for i in reversed(range(len(below))):
        mark = below[i]
        starts = sorted({m.start for m in below[:i] if m.start < mark.start})
        lead = "".join("|" if column in starts else " " for column in range(mark.start))
        rows.append(paint(lead, "note", colour) + paint(mark.text, mark.style, colour))
    return rows


def _carets(marks: Sequence[Placed], colour: bool) -> str:
    """`---- ^ ----`. The primary mark is drawn over the others."""
    row = [(" ", "bold")] * max(m.end for m in marks)
    for mark in sorted(marks, key=lambda m: m.primary):
        sign = "^" if mark.primary else "-"
        row[mark.start : mark.end] = [(sign, mark.style)] * (mark.end - mark.start)
    runs = ((key, "".join(c for c, _ in run)) for key, run in groupby(row))
    return "".join(text if sign == " " else paint(text, style, colour) for (sign, style), text in runs)
