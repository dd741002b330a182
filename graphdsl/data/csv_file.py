"""Tables: what the cells of each column of a csv file stand for."""

from __future__ import annotations

from itertools import compress
from pathlib import Path, PurePath
from typing import Annotated

import numpy as np

from graphdsl.data.arrays import labels
from graphdsl.data.attached import Attached, complete_files, found
from graphdsl.data.column import Array, Column, Dense, Ragged, Texts
from graphdsl.data.dataset import Dataset
from graphdsl.data.files import Places
from graphdsl.data.images import ENDINGS, Images
from graphdsl.data.registry import READERS, Reader
from graphdsl.data.table import Table, is_number, read_table
from graphdsl.ir import Choice, Words
from graphdsl.report import dataclass, did_you_mean, fail

LONGEST_NAME = 4
PICTURES = "pictures"
MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "none"})
UNKNOWN = "?"
STATE = (
    "fill it in, or give `missing=drop` to leave such rows out; `missing=keep` leaves numbers to `fill`, and unknown "
    "where the target is `float?`"
)


@READERS.register("csv")
@dataclass(frozen=True)
class Csv(Reader):
    """The columns of a csv file, which has a header row and is in UTF-8; plain or .gz, at most 2 GiB.

    path          the file
    numeric       columns of numbers
    categorical   columns of class names, numbered in alphabetical order, or by size where all are whole numbers
    text          columns of running text, numbered by words when bound to `int(n)[T]`
    ignore        columns to leave out
    missing       `stop`; `drop` to leave out rows that lack a value; `keep` to leave missing numbers to `fill` in
                  `preprocess`, or unknown in a target `float?[n]`, and stop at other values
    delimiter     between cells; " " is any number of blanks and tabs
    A column that is not named above holds pictures when every cell names a picture file (`photos/7.jpg`), is a sequence
    when every cell is numbers and some cell several, with blanks between (`3 17 4`), numeric when at least half of its
    cells are numbers, text when some cell has five words or more, and categorical otherwise. Where a column of numbers
    is bound to `int(n)[T]`, each is a sequence of one. Pictures are looked for beside the table, beside the spec and in
    the working directory.
    Missing is an empty cell, or a picture that is not there; in numeric columns also NA, N/A, NaN, null, none and ?; in
    a sequence `?` for one of its numbers: `0 ? ? ?`.
    Raises E0501 (no such file or picture), E0502, E0504, E0505 (rows), E0506 (a missing value, no number), E0508,
    E0516 (infinite), E0518.
    """

    path: Words
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    missing: Annotated[str, Choice(("stop", "drop", "keep"))] = "stop"
    delimiter: Words = ","

    def read(self, places: Places) -> Dataset:
        path = places.find(self.path)
        table = self.table(path)
        self._check_names(table)
        table = table.without(self.ignore)
        kinds = {name: self._kind(name, cells) for name, cells in table.cells.items()}
        named = {
            name: found(cells, path.parent, places) for name, cells in table.cells.items() if kinds[name] == PICTURES
        }
        more = self.attached(table, places)
        files = {**named, **more.files}
        filled = {n: k for n, k in kinds.items() if n not in more.files and (k, self.missing) != ("numeric", "keep")}
        keep = _complete(table, filled, self.missing)
        keep = complete_files(table, files, keep, self.missing == "drop")
        table = table.only(keep)
        columns: dict[str, Column] = {n: _column(table, n, kind) for n, kind in kinds.items() if n not in files}
        columns |= {
            name: Images(tuple(path for path in compress(paths, keep) if path)) for name, paths in files.items()
        }
        return Dataset(columns, optional=more.keys | set(more.files), origin=str(path), lines=table.lines)

    def table(self, path: Path) -> Table:
        """The cells of the file."""
        return read_table(path, self.delimiter)

    def attached(self, table: Table, places: Places) -> Attached:
        """Files that belong to the rows without standing in them."""
        return Attached()

    def _check_names(self, table: Table) -> None:
        declared = [*self.numeric, *self.categorical, *self.text, *self.ignore]
        for name in declared:
            if name not in table.cells:
                help = did_you_mean(name, table.cells) or f"it has {', '.join(f'`{n}`' for n in table.cells)}"
                raise fail("E0518", f"`{table.path}` has no column `{name}`", help=help)
            if declared.count(name) > 1:
                raise fail("E0518", f"column `{name}` is named twice in the settings of csv")

    def _kind(self, name: str, cells: tuple[str, ...]) -> str:
        for kind in ("numeric", "categorical", "text"):
            if name in getattr(self, kind):
                return kind
        return _kind_of([cell for cell in cells if not _is_missing(cell)])


def _kind_of(cells: list[str]) -> str:
    """What present cells look like; the rule is in the docstring of Csv."""
    if cells and all(PurePath(cell).suffix.lower() in ENDINGS for cell in cells):
        return PICTURES
    numbers = sum(map(is_number, cells))
    if numbers < len(cells) and all(is_number(part) or part == UNKNOWN for cell in cells for part in cell.split()):
        return "sequence"
    if 2 * numbers >= len(cells):
        return "numeric"
    return "text" if any(len(cell.split()) > LONGEST_NAME for cell in cells) else "categorical"


def _is_missing(cell: str) -> bool:
    return cell.lower() in MISSING


def _complete(table: Table, kinds: dict[str, str], missing: str) -> list[bool]:
    """Which rows have every value. Raises E0506 when some lack one and are not to be dropped."""
    keep = [True] * len(table.lines)
    culprit: dict[int, str] = {}
    for name, kind in kinds.items():
        lacks = LACKS.get(kind, _is_empty) if missing != "keep" else _is_empty
        for row in [i for i, cell in enumerate(table.cells[name]) if lacks(cell)]:
            keep[row] = False
            culprit.setdefault(row, name)
    if culprit and missing != "drop":
        raise table.wrong("E0506", sorted(culprit), lambda row: f"`{culprit[row]}` has no value", STATE, culprit)
    return keep


def _is_empty(cell: str) -> bool:
    return not cell


def _is_open(cell: str) -> bool:
    """Of a sequence: it is empty, or some of its numbers are unknown."""
    return not cell or UNKNOWN in cell.split()


LACKS = {"numeric": _is_missing, "sequence": _is_open}
"""Which cells of a column of numbers lack a value."""


def _column(table: Table, name: str, kind: str) -> Column:
    cells = table.cells[name]
    if kind == "numeric":
        return Dense(_numbers(table, name))
    if kind == "sequence":
        return _sequences(cells)
    return labels(np.array(cells, str), name) if kind == "categorical" else Texts(cells)


def _numbers(table: Table, name: str) -> Array:
    """int64 where every cell is a whole number, else float64, NaN where one is missing. Raises E0506 and E0516."""
    cells = tuple("nan" if _is_missing(cell) else cell for cell in table.cells[name])
    bad = [i for i, cell in enumerate(cells) if not is_number(cell)]
    if bad:
        raise table.wrong(
            "E0506",
            bad,
            lambda i: f"`{name}` needs a number, got `{cells[i][:40]}`",
            f'correct it, or give `categorical=["{name}"]`',
            dict.fromkeys(bad, name),
        )
    values = np.array([float(cell) for cell in cells], np.float64)
    wild = np.flatnonzero(np.isinf(values)).tolist()
    if wild:
        where = dict.fromkeys(wild, name)
        raise table.wrong(
            "E0516", wild, lambda i: f"`{name}` is {cells[i]}, not a finite number", "correct the value", where
        )
    whole = all(cell.lstrip("+-").isdecimal() and len(cell) < 16 for cell in cells)
    return values.astype(np.int64) if whole else values


def _sequences(cells: tuple[str, ...]) -> Ragged:
    rows = [["nan" if part == UNKNOWN else part for part in cell.split()] for cell in cells]
    whole = all(part.lstrip("+-").isdecimal() for row in rows for part in row)
    return Ragged.of([np.array([float(part) for part in row], np.int64 if whole else np.float64) for row in rows])
