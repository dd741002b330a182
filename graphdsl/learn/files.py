"""Files of a run: whole or not at all."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from graphdsl.report import fail


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """write fills a file beside path, which then takes its place: a reader sees the old or the new, never a part.

    Raises E0701 when the system refuses (a full disk, a folder that may not be written to).
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(beside)
        os.replace(beside, path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise fail("E0701", f"cannot write `{path}`: {reason}", help="make room, or choose another folder") from error
    finally:
        with suppress(OSError):
            beside.unlink()


def write_text(path: Path, text: str) -> None:
    """A text file, UTF-8. Raises E0701."""
    write_file(path, lambda beside: beside.write_text(text, encoding="utf-8", newline="\n"))


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """A CSV file with a column for every name that occurs, in the order of first occurrence. Raises E0701."""
    write_text(path, table(rows))


def table(rows: Iterable[Mapping[str, object]]) -> str:
    """The rows as CSV; what a row lacks stays empty."""
    listed = list(rows)
    names = list(dict.fromkeys(name for row in listed for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return out.getvalue()
