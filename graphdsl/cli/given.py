"""Data named on the command line: pictures, recordings, texts, folders, patterns, tables; names of classes."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from graphdsl.data import (
    ENDINGS,
    INPUT,
    READERS,
    SOUNDS,
    UNKNOWN,
    Csv,
    Dataset,
    Files,
    Folder,
    Images,
    Lines,
    Npy,
    Npz,
    Places,
    Sounds,
    Texts,
    read_bytes,
    read_sounds,
    unreadable,
)
from graphdsl.lang import Spec
from graphdsl.report import fail

TABLES: dict[str, type[Npz | Npy | Csv]] = {".npz": Npz, ".npy": Npy, ".csv": Csv}
TEXT = ".txt"
TEXTS = "text"
"""The column of texts that are given without a name."""
WIDEST = 48
"""Letters of a sample that an answer repeats."""
ROWS = (".csv", ".txt")
"""Endings of tables whose rows may have pictures."""
LARGEST_NAMES = 1 << 24
"""Bytes of a file of class names."""


def dataset(paths: tuple[str, ...]) -> Dataset | None:
    """The samples in these files, None when there are none: then the spec's own data are meant.

    Several files must all be pictures or folders of pictures, or all be recordings, one sample each, or all be texts
    (.txt), a sample a line. A path with `*`, `?` or `[` that is no file is a pattern; `**` goes into folders. Patterns
    with names, `plates/{plate}.jpg`, are those of the reader `files`. Columns bind to inputs by name, a lone one to a
    lone input.
    Raises Failed E0501 (no such file), E0519 (another kind of file), and what reading them gives.
    """
    if not paths:
        return None
    places = Places()
    if all("{" in path and not Path(path).exists() for path in paths):
        return Files(paths).read(places)
    found = [path for given in paths for path in _meant(given, places)]
    if len(found) == 1 and found[0].is_dir():
        return Folder(str(found[0])).read(places)
    if len(found) == 1 and found[0].suffix.lower() in TABLES:
        return _lone_is_input(TABLES[found[0].suffix.lower()](str(found[0])).read(places))
    if all(path.suffix.lower() in SOUNDS for path in found):
        return Dataset({"audio": read_sounds(found)}, {"audio": INPUT}, origin=str(found[0].parent))
    if all(path.suffix.lower() == TEXT for path in found):
        read = Lines(tuple(map(str, found)), label="none").read(places)
        return _lone_is_input(read)
    pictures = tuple(picture for path in found for picture in _pictures(path))
    if all(path.suffix.lower() in ENDINGS for path in pictures):
        return Dataset({"image": Images(pictures)}, {"image": INPUT}, origin=str(pictures[0].parent))
    raise _unknown(pictures)


def texts_given(values: tuple[str, ...], inputs: Collection[str]) -> Dataset | None:
    """Texts of the command line as samples: `a good film`, or `NAME=TEXT` where several inputs take texts.

    Raises E0509 where one input gets more of them than another.
    """
    found: dict[str, list[str]] = {}
    for value in values:
        name, equals, text = value.partition("=")
        named = bool(equals) and name in inputs
        found.setdefault(name if named else TEXTS, []).append(text if named else value)
    columns = {name: Texts(tuple(texts)) for name, texts in found.items()}
    return _lone_is_input(Dataset(columns)) if columns else None


def texts_of(given: Dataset | None) -> list[str]:
    """The samples themselves, shortened, where they are one text each."""
    columns = list(given.columns.values()) if given is not None else []
    alone = columns[0] if len(columns) == 1 else None
    texts = alone.values if isinstance(alone, Texts) else ()
    return [text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…" for text in texts]


def as_trained(path: str, spec: Spec) -> Dataset | None:
    """The rows of a table with their pictures, read as the spec reads those it learns from; None: it reads no table."""
    data = [section.settings.get("data") for section in spec.sections if section.kind == "train"]
    made = next((made for made in data if made is not None and made.name == "table"), None)
    if made is None:
        return None
    found: Dataset = READERS[made.name].make(**{**made.settings, "path": path}).read(Places())
    return found


def files_of(given: Dataset | None) -> list[str]:
    """The files that the samples were read from, where they are pictures or recordings."""
    columns = given.columns.values() if given is not None else ()
    return next(([str(path) for path in column.paths] for column in columns if isinstance(column, Images | Sounds)), [])


def rate_of(given: Dataset | None) -> int:
    """Samples a second of the recordings that are given; 0 where there are none, or they differ."""
    columns = given.columns.values() if given is not None else ()
    rates = next((column.rates for column in columns if isinstance(column, Sounds)), [])
    return rates[0] if len(rates) == 1 else 0


def class_names(path: str) -> tuple[str, ...]:
    """The lines of a file, but for empty ones at its end; where each begins with its number, as `3,cat`, without that.

    A .json file holds a list of names, or `{"name": number}`; numbers that are left out stand for what is unknown.
    Raises E0501 and E0502 where it cannot be read, or is no text.
    """
    found = Places().find(path, "file")
    if found.suffix.lower() == ".json":
        return _listed(found)
    lines = _text(found).rstrip().splitlines()
    numbered = [re.fullmatch(rf"\s*{i}\s*[,:;\t ]\s*(.+)", line) for i, line in enumerate(lines)]
    return tuple(
        (match[1] if match and all(numbered) else line).strip() for match, line in zip(numbered, lines, strict=True)
    )


def _listed(path: Path) -> tuple[str, ...]:
    """The names in a JSON file, by their numbers."""
    try:
        said = json.loads(_text(path))
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, list) and all(isinstance(name, str) for name in said):
        return tuple(said)
    numbers = said.values() if isinstance(said, dict) else ()
    if not numbers or not all(type(n) is int and 0 <= n < LARGEST_NAMES for n in numbers):
        raise unreadable(path, "it holds no names", 'write `["name", …]` or `{"name": number, …}`')
    known = {number: name for name, number in said.items()}
    return tuple(known.get(number, UNKNOWN) for number in range(max(known) + 1))


def _text(path: Path) -> str:
    """Of a file in UTF-8, with or without a byte order mark. Bytes of 0 stand in no text."""
    content = read_bytes(path, LARGEST_NAMES)
    try:
        if b"\0" not in content:
            return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    raise unreadable(path, "it is no text in UTF-8", "give a text file with the name of a class on each line")


def _meant(path: str, places: Places) -> list[Path]:
    """The file of that name, or those that fit the pattern, in the order of their names."""
    if not glob.has_magic(path) or Path(path).exists():
        return [places.find(path)]
    found = sorted(Path(match) for match in glob.iglob(path, recursive=True))
    if not found:
        raise fail(
            "E0501", f"no file fits `{path}`", help="`*` stands for any letters, `**` for folders inside folders"
        )
    return found


def _pictures(path: Path) -> Iterable[Path]:
    """The picture itself, or those in a folder at any depth."""
    return map(Path, files_of(Folder(str(path)).read(Places()))) if path.is_dir() else (path,)


def _lone_is_input(read: Dataset) -> Dataset:
    """A single column needs no name: it is what the model reads."""
    return replace(read, roles=dict.fromkeys(read.columns, INPUT)) if len(read.columns) == 1 else read


def _unknown(found: tuple[Path, ...]) -> Exception:
    odd = next(path for path in found if path.suffix.lower() not in ENDINGS)
    help = "give pictures, folders of pictures, recordings (.wav), or one .npz, .npy or .csv file"
    return fail("E0519", f"`{odd}` cannot be read as data" if len(found) == 1 else f"`{odd}` is no picture", help=help)
