"""Files of plain text: one long text as windows, and texts a line each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np

from graphdsl.data.arrays import labels
from graphdsl.data.column import Column, Texts
from graphdsl.data.dataset import INPUT, TARGET, Dataset
from graphdsl.data.files import Places, read_bytes, unreadable, wrong_byte
from graphdsl.data.registry import READERS, Reader
from graphdsl.data.running import Running
from graphdsl.ir import Choice, Count, Words
from graphdsl.report import dataclass, fail

LARGEST = 1 << 28
"""Bytes of all files of one reader together."""

CODES = {"utf8": "utf-8-sig", "latin1": "latin-1"}
Encoding = Annotated[str, Choice(tuple(CODES))]
Source = Annotated[str | None, Choice(("file", "first", "none"))]


@READERS.register("text")
@dataclass(frozen=True)
class RunningText(Reader):
    """Running text, cut into windows: columns `text`, a window, and `next`, what comes after each of its pieces.

    path      of the file, or of several that are read one after the other; plain or .gz, at most 256 MiB together
    length    pieces of a window: `input text: int(100)[T]` or `int(100)[64]`
    stride    pieces from the start of one window to that of the next; unless given a window, so that none is seen twice
    encoding  `utf8`, or `latin1` for older files
    What a piece is the first step of `preprocess` says: `[text, next] -> characters`, or `words`, or `bytes`. A lone
    input takes `text` and a lone target `next` whatever they are called; who needs no `next` declares none. `valid` is
    the end of the text, and windows that overlap with it are not trained on.
    Raises E0501, E0502 (another encoding), E0504 and E0508 (less text than a window).
    """

    path: tuple[Words, ...]
    length: Count
    stride: Count | None = None
    encoding: Encoding = "utf8"

    def read(self, places: Places) -> Dataset:
        text = "".join(texts(self.path, self.encoding, places))
        stride = self.stride or self.length
        windows = Running(text, self.length, stride)
        after = Running(text, self.length, stride, shift=1)
        columns: dict[str, Column] = {"text": windows, "next": after}
        roles = {"text": INPUT, "next": TARGET}
        return Dataset(columns, roles, frozenset({"next"}), ", ".join(self.path), overlap=-(-self.length // stride) - 1)


@READERS.register("lines")
@dataclass(frozen=True)
class Lines(Reader):
    """A text on each line: columns `text` and, where there is one, `label`. Empty lines are passed over.

    path      of the file, or of several; plain or .gz, at most 256 MiB together
    label     what the class of a text is called after: `file`, the name of its file without its ending
              (`lines(["good.txt", "bad.txt"])`); `first`, the first word of its line; `none`. Unless given `file` where
              there are several files, else `none`
    encoding  `utf8`, or `latin1` for older files
    Texts that are a file each are read by `files("reviews/{label}/*.txt")`.
    Raises E0501, E0502 (another encoding), E0504, E0508 (no lines) and E0518 (a line of one word where the first is its
    class).
    """

    path: tuple[Words, ...]
    label: Source = None
    encoding: Encoding = "utf8"

    def read(self, places: Places) -> Dataset:
        found = zip(self.path, texts(self.path, self.encoding, places), strict=True)
        lines = [Line(Path(name), i, line) for name, text in found for i, line in _numbered(text)]
        alone = len(self.path) == 1
        source = self.label or ("none" if alone else "file")
        pairs = [line.parted() if source == "first" else (line.stem, line.text) for line in lines]
        columns: dict[str, Column] = {"text": Texts(tuple(text for _, text in pairs))}
        if source != "none":
            columns["label"] = labels(np.array([name for name, _ in pairs], str), "label")
        numbers = tuple(line.number for line in lines) if alone else ()
        origin = self.path[0] if alone else ""
        return Dataset(columns, {"text": INPUT, "label": TARGET}, frozenset({"label"}), origin, numbers)


@dataclass(frozen=True)
class Line:
    """A line of a file, without blanks around it."""

    path: Path
    number: int
    text: str

    @property
    def stem(self) -> str:
        """The name of its file without its endings."""
        return self.path.name.partition(".")[0]

    def parted(self) -> tuple[str, str]:
        """Its first word, and the rest. Raises E0518 where there is no rest."""
        name, _, text = self.text.partition(" ")
        if not text.strip():
            message = f"{self.path}:{self.number} holds one word, and with `label=first` the first is the class"
            raise fail("E0518", message, help="write the class, a blank and the text on each line")
        return name, text.strip()


def texts(paths: Sequence[str], encoding: str, places: Places) -> list[str]:
    """The content of each file. Raises E0501, E0502 and E0504."""
    found, left = [], LARGEST
    for name in paths:
        path = places.find(name, "file")
        content = read_bytes(path, left)
        left -= len(content)
        found.append(_decoded(path, content, encoding))
    return found


def _decoded(path: Path, content: bytes, encoding: str) -> str:
    try:
        return content.decode(CODES[encoding]).replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line, _, byte = wrong_byte(content, error)
        why = f"it is not in UTF-8: line {line} has the byte {byte:#04x}"
        raise unreadable(path, why, "save it as UTF-8, or give `encoding=latin1`") from error


def _numbered(text: str) -> list[tuple[int, str]]:
    """The lines that are not empty, by number. Only line feeds end a line: other signs may stand inside one."""
    return [(i, line.strip()) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
