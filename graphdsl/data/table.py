"""A csv file as cells: every row has as many as the header, or the file and line of those that have not are told."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path

from graphdsl.data.files import LARGEST_TEXT, line_span, read_bytes, wrong_byte
from graphdsl.report import Diagnostic, Failed, Span, dataclass, fail

MOST_TOLD = 5
BLANK = " "
WINDOW = 200
"""Characters of a line that a message may need."""
_CELL = re.compile(r'"(?:[^"\r\n]|"")*"(?!\S)|\S+')


@dataclass(frozen=True, eq=False)
class Table:
    """The cells of a csv file by column, without blanks around them.

    lines    the line in the file at which each row begins
    columns  all names of the header, those that were left out too
    """

    path: Path
    text: str
    cells: dict[str, tuple[str, ...]]
    lines: tuple[int, ...]
    columns: tuple[str, ...] = ()
    delimiter: str = ","

    def without(self, names: Iterable[str]) -> Table:
        """The table less these columns."""
        dropped = set(names)
        return replace(self, cells={n: c for n, c in self.cells.items() if n not in dropped})

    def only(self, keep: list[bool]) -> Table:
        """The rows for which keep is true."""
        cells = {name: tuple(compress(column, keep)) for name, column in self.cells.items()}
        return replace(self, cells=cells, lines=tuple(compress(self.lines, keep)))

    def wrong(
        self,
        code: str,
        rows: list[int],
        message: Callable[[int], str],
        help: str,
        columns: Mapping[int, str] | None = None,
    ) -> Failed:
        """One diagnostic for each of these rows at its line; from the sixth on they are only counted.

        columns  by row the column whose cell is to blame; None, or a row without one: the whole row is
        """
        told = [Diagnostic(code, message(r), self._span(r, columns), help=help) for r in rows[:MOST_TOLD]]
        if len(rows) > MOST_TOLD:
            told.append(
                Diagnostic(code, f"and {len(rows) - MOST_TOLD} more rows of `{self.path}` of this kind", help=help)
            )
        return Failed(told)

    def _span(self, row: int, columns: Mapping[int, str] | None) -> Span:
        line = self.lines[row]
        if columns is None or row not in columns:
            return line_span(self.path, line, _line(self.text, line)[:WINDOW])
        index = self.columns.index(columns[row])
        start, end = _cell(self.text, _start(self.text, line), index, self.delimiter)
        above = self.text.count("\n", 0, start)
        column = start - _start(self.text, above + 1)
        whole = line_span(self.path, above + 1, _line(self.text, above + 1)[: column + WINDOW])
        return Span(whole.source, whole.start + column, whole.start + column + max(1, end - start))


def read_table(path: Path, delimiter: str, names: Sequence[str] = ()) -> Table:
    """Reads a csv file in UTF-8; cells may be quoted, blank lines are passed over.

    delimiter  one character; a blank stands for blanks and tabs, as many as there are
    names      of the columns, where the file has no header row
    Raises E0502, E0504 (over 2 GiB) and E0505 (not UTF-8, bad quotes, no header, a row of another length).
    """
    if len(delimiter) != 1:
        raise fail("E0518", f"`delimiter` needs one character, got `{delimiter}`")
    text = _decoded(path)
    read = _blank_rows(text) if delimiter == BLANK else _rows(path, text, delimiter)
    rows = [(line, row) for line, row in read if row]
    if not rows:
        raise fail("E0505", f"`{path}` is empty", help="a csv file begins with a row of column names")
    header = list(names) or _header(path, text, *rows.pop(0))
    lines = tuple(line for line, _ in rows)
    uneven = [i for i, (_, row) in enumerate(rows) if len(row) != len(header)]
    if uneven:
        table = Table(path, text, {}, lines)
        need = f"`names` has {len(header)}" if names else f"the header has {len(header)}"
        raise table.wrong(
            "E0505",
            uneven,
            lambda i: f"row has {_cells(len(rows[i][1]))}, {need}",
            "quote cells that hold the delimiter",
        )
    columns = zip(*(row for _, row in rows), strict=True) if lines else ((),) * len(header)
    return Table(path, text, dict(zip(header, columns, strict=True)), lines, tuple(header), delimiter)


def _decoded(path: Path) -> str:
    content = read_bytes(path, LARGEST_TEXT)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, _, byte = wrong_byte(content, error)
        message = f"`{path}` is not in UTF-8: line {line} has the byte {byte:#04x}"
        raise fail("E0505", message, help="save the file as UTF-8") from error


def _rows(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row and the line it begins at; blank lines are rows without cells."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    line = 1
    try:
        for row in reader:
            yield line, [cell.strip() for cell in row]
            line = reader.line_num + 1
    except csv.Error as error:
        raise fail(
            "E0505",
            f"{error}",
            line_span(path, line, _line(text, line)[:WINDOW]),
            help="quotes inside quotes are written twice",
        ) from error


def _blank_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each row of a table whose cells have blanks between; in quotes, on one line, a cell may hold blanks itself."""
    for line, row in enumerate(text.split("\n"), 1):
        cells = _CELL.findall(row)
        yield line, [cell[1:-1].replace('""', '"').strip() if cell[0] == '"' else cell for cell in cells]


def _header(path: Path, text: str, line: int, names: list[str]) -> list[str]:
    span = line_span(path, line, _line(text, line)[:WINDOW])
    repeated = sorted({name for name in names if names.count(name) > 1})
    if "" in names:
        raise fail(
            "E0505",
            f"column {names.index('') + 1} has no name",
            span,
            help="a csv file begins with a row of column names",
        )
    if repeated:
        raise fail("E0505", f"two columns are called `{repeated[0]}`", span, help="give each column a name of its own")
    if all(is_number(name) for name in names):
        raise fail(
            "E0505",
            "the first row holds numbers, not the names of columns",
            span,
            help="put a row of column names before it, or use the reader `table`, which takes `names`",
        )
    return names


def is_number(text: str) -> bool:
    """Whether float() reads it."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _start(text: str, number: int) -> int:
    start = 0
    for _ in range(number - 1):
        start = text.find("\n", start) + 1
    return start


def _line(text: str, number: int) -> str:
    start = _start(text, number)
    end = text.find("\n", start)
    return text[start : end if end >= 0 else len(text)].rstrip("\r")


def _cell(text: str, start: int, index: int, delimiter: str) -> tuple[int, int]:
    """Where a cell is written, in the row that begins at start; of one with line breaks inside, its first line."""
    edge = r" \t" if delimiter == BLANK else re.escape(delimiter)
    cell = re.compile(rf'[ {edge if delimiter == BLANK else ""}]*((?:"(?:[^"]+|"")*")?[^{edge}\r\n]*)[{edge}]?')
    found = cell.match(text, start)
    for _ in range(index):
        found = cell.match(text, found.end()) if found else None
    if found is None:
        return start, start
    written = found[1].splitlines()[0] if found[1] else ""
    return found.start(1), found.start(1) + len(written.rstrip()[:WINDOW])


def _cells(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"
