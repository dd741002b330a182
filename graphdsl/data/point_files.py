"""Points in pictures: in a table, a line a picture, and in iBUG's .pts files. What is wrong with them is listed."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np

from graphdsl.data.annotations import IMAGE, LISTED
from graphdsl.data.column import Array, Column
from graphdsl.data.csv_file import MISSING
from graphdsl.data.dataset import INPUT, TARGET, Dataset
from graphdsl.data.files import LARGEST_TEXT, Places, decoded, unreadable
from graphdsl.data.images import ENDINGS, Images, demand_pictures, natural_size
from graphdsl.data.named_files import named
from graphdsl.data.pattern import fitted
from graphdsl.data.points import MOST, SIDES, Points
from graphdsl.data.registry import READERS, Reader
from graphdsl.ir import Choice, Number, Words
from graphdsl.report import Failed, dataclass, fail, visible

POINTS = "points"
BEYOND = 1.0
"""By how much of its picture's side a point may lie outside: points of a face that is cut off do."""
LARGEST = 1 << 20
"""Bytes of one .pts file."""

_COUNT = re.compile("[0-9]{1,9}")

Bad = Annotated[str, Choice(("stop", "skip"))]


@dataclass(frozen=True)
class Located:
    """A picture and the numbers that a file has for it: x and y of the first point, of the second …

    place  the file and the line, for messages
    """

    place: str
    path: Path
    cells: tuple[str, ...]


@READERS.register("points")
@dataclass(frozen=True)
class PointTable(Reader):
    """Pictures with points in a csv file: columns `image` and `points`, for `target points: point[n]`.

    path      of the file, a line a picture: its name, then x and y of every point in pixels. A first line that names
              no picture is a header. `?`, `nan` or nothing is a point that is unknown
    pictures  the folder of the pictures; none: that of the file
    names     a pattern of the pictures' names, whose names in braces become columns: `"{person}_[0-9][0-9].jpg"`
    first     what the middle of the first pixel is called: 0, or 1
    bad       points that are no numbers, lie outside by more than the picture's side, or are more or fewer than in
              other lines: `stop` with a list of them by file and line, or `skip` these pictures

    Raises E0501, E0502, E0504, E0507, E0508, E0518 (a name does not fit), E0522.
    """

    path: Words
    pictures: Words | None = None
    names: Words | None = None
    first: Number = 0.0
    bad: Bad = "stop"

    def read(self, places: Places) -> Dataset:
        path = places.find(self.path)
        folder = places.find(self.pictures) if self.pictures else path.parent
        found = [Located(f"{path}:{line}", folder / row[0], row[1:]) for line, row in _rows(path)]
        demand_pictures([located.path for located in found], folder)
        return _dataset(found, self.first, self.bad, self.names, str(path))


@READERS.register("pts")
@dataclass(frozen=True)
class Pts(Reader):
    """Pictures with points in .pts files as iBUG's 300-W has them, one a picture: columns `image` and `points`, for
    `target points: point[n]`.

    path      the folder of the .pts files, which are called as their pictures are: `version: 1`, `n_points: 68`, and in
              braces x and y on a line for every point. `?` or `nan` is a number that is unknown
    pictures  the folder of the pictures; none: beside their files
    names     as for `points`
    first     what the middle of the first pixel is called: 1, as Matlab counts
    bad       as for `points`

    A file has at most 1 MiB. Raises E0501, E0502, E0504, E0507, E0508, E0518, E0522.
    """

    path: Words
    pictures: Words | None = None
    names: Words | None = None
    first: Number = 1.0
    bad: Bad = "stop"

    def read(self, places: Places) -> Dataset:
        path = places.find(self.path)
        if not path.is_dir():
            raise unreadable(path, "it is no folder", "`pts` reads a folder of .pts files; a table is read by `points`")
        folder = places.find(self.pictures) if self.pictures else path
        found = [Located(str(file), _beside(folder, file), _pts(file)) for file in sorted(path.glob("*.pts"))]
        demand_pictures([located.path for located in found], folder)
        if not found:
            raise fail("E0508", f"`{path}` has no .pts files", help="there must be at least one")
        return _dataset(found, self.first, self.bad, self.names, str(path))


def _rows(path: Path) -> list[tuple[int, tuple[str, ...]]]:
    """The lines of a table that name a picture, by number."""
    text = decoded(path, LARGEST_TEXT)
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        read = [(reader.line_num, tuple(cell.strip() for cell in row)) for row in reader]
    except csv.Error as error:
        raise unreadable(path, f"line {reader.line_num}: {error}", "quotes inside quotes are written twice") from error
    rows = [(line, cells) for line, cells in read if any(cells)]
    headed = bool(rows) and Path(rows[0][1][0]).suffix.lower() not in ENDINGS
    return rows[1:] if headed else rows


def _pts(file: Path) -> tuple[str, ...]:
    """The numbers between the braces; how many points there should be is held against them."""
    text = decoded(file, LARGEST)
    head, opened, rest = text.partition("{")
    body, closed, _ = rest.partition("}")
    said = [line.partition(":")[2].strip() for line in head.splitlines() if line.strip().startswith("n_points")]
    if not opened or not closed or len(said) != 1 or not _COUNT.fullmatch(said[0]):
        raise unreadable(file, "it is no .pts file", "expected `version: 1`, `n_points: 68` and points in braces")
    cells = tuple(body.split())
    if len(cells) != SIDES * int(said[0]):
        why = f"it says {said[0]} points and has {len(cells)} numbers"
        raise unreadable(file, why, "a point is x and y on a line")
    return cells


def _beside(folder: Path, file: Path) -> Path:
    """The picture of a .pts file; its own name with .jpg where there is none."""
    found = (folder / f"{file.stem}{ending}" for ending in sorted(ENDINGS))
    return next((path for path in found if path.is_file()), folder / f"{file.stem}.jpg")


def _dataset(found: Sequence[Located], first: float, bad: str, names: str | None, origin: str) -> Dataset:
    """Columns `image` and `points`, and what the names of the pictures say."""
    if not found:
        raise fail("E0508", f"`{origin}` names no pictures", help="there must be at least one")
    count = Counter(len(located.cells) for located in found).most_common(1)[0][0]
    wrong: list[str] = []
    kept, rows = [], []
    for located in found:
        points, why = _points(located, count, first)
        if why:
            wrong.append(f"{located.place}: {why}")
        else:
            kept.append(located)
            rows.append(points)
    if wrong and (bad == "stop" or not kept):
        raise _listed(wrong)
    paths = [located.path for located in kept]
    said = fitted(names, [path.name for path in paths]) if names else {}
    columns: dict[str, Column] = {IMAGE: Images(tuple(paths)), POINTS: Points(np.stack(rows))}
    columns |= {name: named(texts, name) for name, texts in said.items()}
    return Dataset(columns, {IMAGE: INPUT, POINTS: TARGET}, frozenset({POINTS, *said}), origin=origin)


def _points(located: Located, count: int, first: float) -> tuple[Array, str]:
    """[n, 2] as fractions of the picture, or what is wrong with them."""
    nothing = np.zeros((0, SIDES))
    if not count or count % SIDES or count > SIDES * MOST:
        return nothing, f"{len(located.cells)} numbers, and a picture has x and y of 1 to {MOST:,} points"
    if len(located.cells) != count:
        return nothing, f"{len(located.cells)} numbers, and most pictures have {count}"
    told = ["nan" if cell.lower() in MISSING else cell for cell in located.cells]
    try:
        pixels = np.array([float(cell) for cell in told], np.float64).reshape(-1, SIDES)
    except ValueError as error:
        return nothing, f"{str(error)[:80]}"
    height, width = natural_size(located.path)
    points = (pixels - first + 0.5) / (width, height)
    points[np.isnan(points).any(axis=1)] = np.nan
    far = np.flatnonzero((np.abs(points - 0.5) > 0.5 + BEYOND).any(axis=1))
    if far.size:
        x, y = pixels[far[0]]
        return nothing, f"point {far[0]} at {x:g}, {y:g} is far outside the picture, {width} x {height}"
    return points, ""


def _listed(wrong: Sequence[str]) -> Failed:
    more = [f"and {len(wrong) - LISTED} more"] if len(wrong) > LISTED else []
    told = "\n".join(f"  {visible(line)}" for line in [*wrong[:LISTED], *more])
    count = "the points of 1 picture are wrong" if len(wrong) == 1 else f"the points of {len(wrong)} pictures are wrong"
    help = "repair them, write `?` for those that are unknown, or give `bad=skip` to leave these pictures out"
    return fail("E0522", count, help=f"{help}:\n{told}")
