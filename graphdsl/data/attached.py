"""Files that belong to the rows of a table: named in a column, or by a pattern over columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from graphdsl.data.files import Places
from graphdsl.data.pattern import Match, matches
from graphdsl.data.table import Table
from graphdsl.report import Failed, dataclass, did_you_mean, fail

ROW = "row"
"""What the number of a row is called in a pattern; the first is 1."""
CONTENT = "image"
"""The column of a pattern whose names are all columns of the table."""
LACKS = "put it there, or give `missing=drop` to leave such rows out"

Files = tuple[Path | None, ...]


@dataclass(frozen=True)
class Attached:
    """By column a file for each row, None where there is none; keys: columns that only say which file is whose."""

    files: Mapping[str, Files] = field(default_factory=dict)
    keys: frozenset[str] = frozenset()


def found(cells: Sequence[str], beside: Path, places: Places) -> Files:
    """The files that cells name: beside the table, beside the spec or in the working directory."""
    folders = list(dict.fromkeys((beside, places.spec, places.working)))
    return tuple(next((f / cell for f in folders if (f / cell).is_file()), None) for cell in cells)


def attach(patterns: Sequence[str], table: Table) -> Attached:
    """The files that fit patterns, from the folder of the table on, each at the row whose values its name has.

    A name in braces is a column, or `row`; one that is neither says what the column of files is called, so
    `{row}_{view}.jpg` makes a column of each view. Raises E0501, and E0518 where that cannot be understood.
    """
    made = [_attached(pattern, table) for pattern in patterns]
    names = [name for attached in made for name in attached.files]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise fail("E0518", f"two patterns make a column `{repeated}`", help="name the columns: `{row}_{view}.jpg`")
    files = {name: paths for attached in made for name, paths in attached.files.items()}
    return Attached(files, frozenset().union(*(attached.keys for attached in made)) - set(files))


def _attached(pattern: str, table: Table) -> Attached:
    fitting = matches([pattern], Places(table.path.parent, table.path.parent))
    names = list(fitting[0].names)
    own = [name for name in names if name in table.cells or name == ROW]
    free = [name for name in names if name not in own]
    if not own or len(free) > 1:
        raise _unclear(pattern, free, table)
    files = {name: _at_rows(belonging, own, table) for name, belonging in _by_column(fitting, free).items()}
    return Attached(files, frozenset(own) & set(table.cells))


def complete_files(table: Table, files: Mapping[str, Files], keep: Sequence[bool], drop: bool) -> list[bool]:
    """Which of the rows to keep have every file. Raises E0501 when some lack one and are not to be dropped."""
    lacking = [(row, name) for name, paths in files.items() for row, path in enumerate(paths) if path is None]
    culprit = {row: name for row, name in reversed(lacking) if keep[row]}
    if culprit and not drop:
        columns = {row: name for row, name in culprit.items() if name in table.columns}
        raise table.wrong("E0501", sorted(culprit), lambda row: _lacking(table, row, culprit[row]), LACKS, columns)
    return [kept and row not in culprit for row, kept in enumerate(keep)]


def _by_column(fitting: Sequence[Match], free: Sequence[str]) -> dict[str, list[Match]]:
    columns: dict[str, list[Match]] = {}
    for match in fitting:
        columns.setdefault(match.names[free[0]] if free else CONTENT, []).append(match)
    return columns


def _at_rows(belonging: Sequence[Match], own: Sequence[str], table: Table) -> Files:
    """The file of each row. Raises E0518 where several files belong to one."""
    of: dict[tuple[str, ...], Path] = {}
    for match in belonging:
        key = tuple(_value(match.names[name]) for name in own)
        if key in of:
            message = f"`{of[key]}` and `{match.path}` belong to the same row"
            raise fail(
                "E0518", message, help="say more in the pattern, or give each its own column: `{row}_{view}.jpg`"
            )
        of[key] = match.path
    rows = [tuple(_value(_cell(table, name, row)) for name in own) for row in range(len(table.lines))]
    return tuple(of.get(row) for row in rows)


def _cell(table: Table, name: str, row: int) -> str:
    return table.cells[name][row] if name in table.cells else str(row + 1)


def _value(text: str) -> str:
    """What counts of a name: `007` is 7."""
    return text.lstrip("0") or "0" if text.isdecimal() else text


def _lacking(table: Table, row: int, name: str) -> str:
    if name in table.cells:
        return f"there is no picture `{table.cells[name][row][:80]}`"
    return f"row {row + 1} has no file for `{name}`"


def _unclear(pattern: str, free: Sequence[str], table: Table) -> Failed:
    columns = ", ".join(f"`{name}`" for name in (*table.cells, ROW))
    if not free or len(free) == 1:
        message = f"`{pattern}` does not say which file belongs to which row"
        help = did_you_mean(free[0], (*table.cells, ROW)) if free else ""
        return fail(
            "E0518", message, help=help or f"put a column into it, as `photos/{{row}}.jpg`: there are {columns}"
        )
    message = f"`{pattern}` has {len(free)} names that are no columns: {', '.join(f'`{name}`' for name in free)}"
    return fail("E0518", message, help=f"one may name the columns of files; for others write `*`. There are {columns}")
