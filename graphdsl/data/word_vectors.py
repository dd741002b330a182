"""Vectors of words that somebody else has learned, from a file."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from graphdsl.data.column import Array, Rows
from graphdsl.data.files import LARGEST_TEXT, LARGEST_UNPACKED, read_bytes, reason, too_large, unreadable
from graphdsl.report import Failed, dataclass, fail

LONGEST_LINE = 1 << 20
"""Bytes; a word and 65,536 numbers at most."""


@dataclass(frozen=True, eq=False)
class Found:
    """Vectors that a file has for words of a vocabulary: rows of the table, and what stands in each."""

    rows: Rows
    values: Array


def in_text(path: Path, places: Mapping[str, int], width: int) -> Found:
    """Of a file with a word and its numbers on each line, blanks between: GloVe's format, and that of word2vec, whose
    first line counts both. Plain or .gz, at most 8 GiB; only the words that are asked for are kept, the first of each.

    places  the row of each word that is asked for
    Raises E0502 (a line that makes no sense), E0504, and E0518 where vectors have another width.
    """
    found: dict[int, Array] = {}
    for number, line in _lines(path):
        parts = line.rstrip().rsplit(" ", width)
        if number == 1 and _counts(line):
            continue
        if len(parts) != width + 1 or _number(parts[0]) is not None:
            raise _width(path, number, line, width)
        row = places.get(parts[0])
        if row is not None and row not in found:
            found[row] = _vector(path, number, parts[1:])
    return _found(found, width)


def in_array(table: Array, words: Path, places: Mapping[str, int], width: int, path: Path) -> Found:
    """Of a table [words, width] whose words stand in another file, one a line. Raises E0502, E0504 and E0518."""
    names = read_bytes(words, LARGEST_TEXT).decode("utf-8", "replace").splitlines()
    if table.ndim != 2 or table.dtype.kind != "f" or len(table) != len(names):
        message = f"`{path}` holds {table.dtype}{list(table.shape)}, and `{words}` has {len(names)} lines"
        raise fail("E0518", message, help="give an array of floats with a row for each line")
    if table.shape[1] != width:
        raise _other_width(path, table.shape[1], width)
    chosen = {places[name.strip()]: i for i, name in reversed(list(enumerate(names))) if name.strip() in places}
    found = {row: np.asarray(table[i], np.float32) for row, i in chosen.items()}
    if any(not np.isfinite(vector).all() for vector in found.values()):
        raise unreadable(path, "it holds numbers that are not finite")
    return _found(found, width)


def _found(found: Mapping[int, Array], width: int) -> Found:
    rows = sorted(found)
    return Found(np.array(rows, np.int64), np.stack([found[row] for row in rows]) if rows else np.zeros((0, width)))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not empty, by number."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            lines = enumerate(_bounded(iter(lambda: file.readline(LONGEST_LINE), b""), path), 1)
            yield from ((number, line.decode("utf-8", "replace")) for number, line in lines if line.strip())
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, reason(error)) from error


def _bounded(lines: Iterator[bytes], path: Path) -> Iterator[bytes]:
    size = 0
    for line in lines:
        size += len(line)
        if size > LARGEST_UNPACKED:
            raise too_large(path, "more than the limit", LARGEST_UNPACKED)
        yield line


def _counts(line: str) -> bool:
    """`400000 50`"""
    parts = line.split()
    return len(parts) == 2 and all(part.isdecimal() for part in parts)


def _number(text: str) -> float | None:
    try:
        return float(text.rsplit(" ", 1)[-1]) if " " in text else None
    except ValueError:
        return None


def _vector(path: Path, number: int, parts: list[str]) -> Array:
    try:
        vector = np.array(parts, np.float32)
    except ValueError:
        vector = np.full(1, np.nan)
    if not np.isfinite(vector).all():
        why = f"line {number} holds something other than a word and {len(parts)} numbers"
        raise unreadable(path, why, "expected a word and its numbers on each line, blanks between")
    return vector


def _width(path: Path, number: int, line: str, width: int) -> Failed:
    have = len(line.split()) - 1
    if have < 1:
        return unreadable(path, f"line {number} is no word with its numbers", "expected `word 0.1 -0.2 …` on each line")
    return _other_width(path, have, width)


def _other_width(path: Path, have: int, width: int) -> Failed:
    message = f"the vectors in `{path}` have {have} numbers, those of the embedding {width}"
    return fail("E0518", message, help=f"write `embedding({have}, …)`")
