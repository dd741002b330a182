"""Boxes in YOLO's text files, and in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from graphdsl.data.annotations import Bad, Marked, Picture, dataset_of
from graphdsl.data.dataset import Dataset
from graphdsl.data.files import LARGEST_TEXT, Places, decoded, unreadable
from graphdsl.data.images import ENDINGS, demand_pictures
from graphdsl.data.registry import READERS, Reader
from graphdsl.data.table import Table, read_table
from graphdsl.ir import Words
from graphdsl.report import dataclass

COLUMNS = {
    "file": ("image", "file", "filename", "path"),
    "left": ("left", "xmin", "x1"),
    "top": ("top", "ymin", "y1"),
    "right": ("right", "xmax", "x2"),
    "bottom": ("bottom", "ymax", "y2"),
    "label": ("label", "class", "name", "cell_type"),
}
"""What the columns of a table of boxes may be called."""

MOST_CLASSES = 1 << 16
"""Of a dataset whose classes are numbers."""


@READERS.register("yolo")
@dataclass(frozen=True)
class Yolo(Reader):
    """Pictures with boxes in YOLO's text files, lines of class, centre x, centre y, width, height: columns `image` and
    `objects`, for `target objects: box(n)[m]`.

    path     the folder of pictures, or a text file that lists them
    labels   the folder of the text files, named as the pictures are; none: beside the pictures, or in `labels` where
             the path says `images`
    names    a file with the names of the classes, one a line; none: they are numbers
    bad      as for `voc`

    A picture without a text file has no objects. Raises E0501, E0502, E0504, E0507, E0508, E0521.
    """

    path: Words
    labels: Words | None = None
    names: Words | None = None
    bad: Bad = "stop"

    def read(self, places: Places) -> Dataset:
        path = places.find(self.path)
        names = [name for _, name in _lines(places.find(self.names))] if self.names else []
        labels = places.find(self.labels) if self.labels else None
        pictures = [self._picture(file, labels, names) for file in _pictures(path)]
        return dataset_of(pictures, names or _numbers(pictures), self.bad, str(path))

    def _picture(self, file: Path, labels: Path | None, names: Sequence[str]) -> Picture:
        texts = [folder / f"{file.stem}.txt" for folder in ([labels] if labels else _beside(file))]
        text = next((t for t in texts if t.is_file()), None)
        marked = [_marked(text, number, line, names) for number, line in _lines(text)] if text else []
        return Picture(file, tuple(marked), fractions=True)


def _marked(text: Path, number: int, line: str, names: Sequence[str]) -> Marked:
    parts = line.split()
    try:
        kind, (x, y, width, height) = int(parts[0]), map(float, parts[1:5])
    except (ValueError, IndexError) as error:
        raise unreadable(text, f"line {number}: `{line[:80]}`", "expected class, x, y, width, height") from error
    if not 0 <= kind < MOST_CLASSES:
        raise unreadable(text, f"line {number}: class {kind}", f"classes are numbers from 0, below {MOST_CLASSES:,}")
    label = names[kind] if kind < len(names) else str(kind)
    return Marked(f"{text}:{number}", label, (x - width / 2, y - height / 2, x + width / 2, y + height / 2))


def _numbers(pictures: Sequence[Picture]) -> list[str]:
    """The classes from 0 to the largest that occurs, as texts."""
    most = max((int(m.label) for p in pictures for m in p.marked if m.label.isdecimal()), default=-1)
    return [str(number) for number in range(most + 1)]


def _pictures(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(p for p in path.iterdir() if p.suffix.lower() in ENDINGS)
    listed = [Path(line) for _, line in _lines(path)]
    found = [line if line.is_absolute() or line.is_file() else path.parent / line for line in listed]
    for picture in found:
        if not picture.is_file():
            help = "a line is a path, from the folder of the list or from the working directory"
            raise unreadable(path, f"it lists `{picture}`, and there is no such file", help)
    return found


def _beside(file: Path) -> list[Path]:
    swapped = ["labels" if part == "images" else part for part in file.parent.parts]
    return [file.parent, Path(*swapped)]


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text that are not empty, by number. Raises E0502, by line, where it is no UTF-8."""
    lines = enumerate(decoded(path, LARGEST_TEXT).splitlines(), 1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


@READERS.register("boxes")
@dataclass(frozen=True)
class BoxTable(Reader):
    """Pictures with boxes in a csv file, a line a box: columns `image` and `objects`, for `target objects: box(n)[m]`.

    path      of the file, with a header: `image` (or file, filename, path), `left`, `top`, `right`, `bottom` (or xmin,
              ymin, xmax, ymax; x1, y1, x2, y2) in pixels, `label` (or class, name)
    pictures  the folder of the pictures; none: that of the table
    classes   in the order in which they are numbered; none: those that occur, in alphabetical order
    bad       as for `voc`

    A line whose corners are empty names a picture without objects. Raises E0501, E0502, E0504, E0505
    (rows), E0507, E0508, E0521.
    """

    path: Words
    pictures: Words | None = None
    classes: tuple[Words, ...] = ()
    bad: Bad = "stop"

    def read(self, places: Places) -> Dataset:
        path = places.find(self.path)
        folder = places.find(self.pictures) if self.pictures else path.parent
        table = read_table(path, ",")
        columns = [table.cells[name] for name in _columns(table)]
        marked: dict[str, list[Marked]] = {}
        for line, *cells in zip(table.lines, *columns, strict=True):
            file, box = _row(f"{path}:{line}", dict(zip(COLUMNS, cells, strict=True)))
            marked.setdefault(file, []).extend([box] if box else [])
        pictures = [Picture(folder / file, tuple(found)) for file, found in marked.items()]
        demand_pictures([picture.path for picture in pictures], folder)
        return dataset_of(pictures, self.classes, self.bad, str(path))


def _columns(table: Table) -> list[str]:
    """What the file calls each of COLUMNS."""
    known = {name.lower(): name for name in reversed(table.columns)}
    found = {what: next((known[word] for word in words if word in known), "") for what, words in COLUMNS.items()}
    missing = [what for what, name in found.items() if not name]
    if missing:
        help = f"its columns are {', '.join(table.columns[:20])}; wanted: image, left, top, right, bottom, label"
        raise unreadable(table.path, f"it has no column for {', '.join(missing)}", help)
    return list(found.values())


def _row(place: str, cells: Mapping[str, str]) -> tuple[str, Marked | None]:
    if not cells["left"]:
        return cells["file"], None
    try:
        left, top, right, bottom = (float(cells[side]) for side in ("left", "top", "right", "bottom"))
    except ValueError as error:
        told = ",".join(cells.values())[:80]
        raise unreadable(Path(place), f"`{told}`", "expected a picture, four numbers, a class") from error
    return cells["file"], Marked(place, cells["label"], (left, top, right, bottom))
