"""A table and the files that belong to its rows."""

from __future__ import annotations

from pathlib import Path

from graphdsl.data.attached import Attached, attach
from graphdsl.data.csv_file import Csv
from graphdsl.data.files import Places
from graphdsl.data.registry import READERS
from graphdsl.data.table import Table, read_table
from graphdsl.ir import Words
from graphdsl.report import dataclass, fail


@READERS.register("table")
@dataclass(frozen=True)
class Joined(Csv):
    """One row, everything about it: numbers, categories, texts and pictures.

    path          the table: as `csv` reads it, with or without a header row
    numeric       columns of numbers
    categorical   columns of class names
    text          columns of running text
    ignore        columns to leave out
    missing       `stop`; `drop` to leave out rows that lack a value or a picture; `keep` to leave missing numbers to
                  `fill` in `preprocess`, or unknown in a target `float?[n]`, and stop at other values
    delimiter     between cells; " " is any number of blanks and tabs
    names         of the columns, where the file has no header row
    pictures      patterns of files that belong to the rows: `"photos/{id}.jpg"` is the picture of the row with that
                  `id`, in a column `image`. `{row}` is the number of the row, the first is 1. A name that is no column
                  says what columns of pictures are called: `"{row}_{view}.jpg"` makes one of each view, `kitchen` …
    What cells stand for is told as in `csv`; the names of picture files in a column are pictures there too. The spec
    need not declare all views, nor columns that only serve to find pictures. Pictures are decoded when they are needed,
    and kept where all take at most 512 MiB; `preprocess` says their size. Patterns begin in the folder of the table.
    Raises what `csv` raises, E0501 (no file fits, or a row lacks one), E0518 (it is not said whose the files are).
    """

    names: tuple[Words, ...] = ()
    pictures: tuple[Words, ...] = ()

    def table(self, path: Path) -> Table:
        repeated = next((name for name in self.names if self.names.count(name) > 1), None)
        if repeated is not None or "" in self.names:
            raise fail("E0518", f"`names` has `{repeated or ''}` twice" if repeated else "`names` has an empty name")
        return read_table(path, self.delimiter, self.names)

    def attached(self, table: Table, places: Places) -> Attached:
        return attach(self.pictures, table)
