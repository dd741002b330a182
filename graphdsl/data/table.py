"""A csv file as cells: every row has as many as the header, or the file and line of those that have not are told."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from itertools import compress
from pathlib import Path

from graphdsl.data.files import LARGEST_TEXT, line_span, read_bytes
from graphdsl.report import Diagnostic, Failed, dataclass, fail

MOST_TOLD = 5


@dataclass(frozen=True, eq=False)
class Table:
    """The cells of a csv file by column, without blanks around them.

    lines   the line in the file at which each row begins
    """

    path: Path
    text: str
    cells: dict[str, tuple[str, ...]]
    lines: tuple[int, ...]

    def without(self, names: Iterable[str]) -> Table:
        """The table less these columns."""
        dropped = set(names)
        return Table(self.path, self.text, {n: c for n, c in self.cells.items() if n not in dropped}, self.lines)

    def only(self, keep: list[bool]) -> Table:
        """The rows for which keep is true."""
        cells = {name: tuple(compress(column, keep)) for name, column in self.cells.items()}
        return Table(self.path, self.text, cells, tuple(compress(self.lines, keep)))

    def wrong(self, code: str, rows: list[int], message: Callable[[int], str], help: str) -> Failed:
        """One diagnostic for each of these rows at its line; from the sixth on they are only counted."""
        told = [self._at(code, self.lines[row], message(row), help) for row in rows[:MOST_TOLD]]
        if len(rows) > MOST_TOLD:
            told.append(
                Diagnostic(code, f"and {len(rows) - MOST_TOLD} more rows of `{self.path}` of this kind", help=help)
            )
        return Failed(told)

    def _at(self, code: str, line: int, message: str, help: str) -> Diagnostic:
        written = _line(self.text, line)
        return Diagnostic(code, message, line_span(self.path, line, written), help=help)


def read_table(path: Path, delimiter: str) -> Table:
    """Reads a csv file in UTF-8 with a header row; cells may be quoted, blank lines are passed over.

    Raises E0502, E0504 (over 2 GiB) and E0505 (not UTF-8, bad quotes, no header, a row of another length).
    """
    if len(delimiter) != 1:
        raise fail("E0518", f"`delimiter` needs one character, got `{delimiter}`")
    text = _decoded(path)
    rows = [(line, row) for line, row in _rows(path, text, delimiter) if row]
    if not rows:
        raise fail("E0505", f"`{path}` is empty", help="a csv file begins with a row of column names")
    header = _header(path, text, *rows[0])
    lines = tuple(line for line, _ in rows[1:])
    uneven = [i for i, (_, row) in enumerate(rows[1:]) if len(row) != len(header)]
    if uneven:
        table = Table(path, text, {}, lines)
        need = f"the header has {len(header)}"
        raise table.wrong(
            "E0505",
            uneven,
            lambda i: f"row has {_cells(len(rows[i + 1][1]))}, {need}",
            "quote cells that hold the delimiter",
        )
    columns = zip(*(row for _, row in rows[1:]), strict=True) if lines else ((),) * len(header)
    return Table(path, text, dict(zip(header, columns, strict=True)), lines)


def _decoded(path: Path) -> str:
    content = read_bytes(path, LARGEST_TEXT)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise fail(
            "E0505",
            f"`{path}` is not in UTF-8: line {line} has the byte {content[error.start]:#04x}",
            help="save the file as UTF-8",
        ) from error


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
            "E0505", f"{error}", line_span(path, line, _line(text, line)), help="quotes inside quotes are written twice"
        ) from error


def _header(path: Path, text: str, line: int, names: list[str]) -> list[str]:
    span = line_span(path, line, _line(text, line))
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
            help="put a row of column names before it",
        )
    return names


def is_number(text: str) -> bool:
    """Whether float() reads it."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _line(text: str, number: int) -> str:
    start = 0
    for _ in range(number - 1):
        start = text.find("\n", start) + 1
    end = text.find("\n", start)
    return text[start : end if end >= 0 else len(text)].rstrip("\r")[:200]


def _cells(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"
