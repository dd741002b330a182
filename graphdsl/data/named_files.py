"""Files whose names say what they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from graphdsl.data.arrays import labels
from graphdsl.data.column import Column, Numerals, Texts
from graphdsl.data.dataset import INPUT, TARGET, Dataset
from graphdsl.data.files import Places, read_bytes, unreadable
from graphdsl.data.folder import pixels
from graphdsl.data.images import ENDINGS, Images
from graphdsl.data.pattern import matches
from graphdsl.data.registry import READERS, Reader
from graphdsl.data.sounds import SOUNDS, read_sounds
from graphdsl.ir import Size, Words
from graphdsl.report import Failed, dataclass, fail

KINDS = {"image": ENDINGS, "audio": SOUNDS, "text": frozenset({".txt"})}
"""The column that the content of files becomes, by their endings."""

LARGEST_PAGE = 1 << 24
"""Bytes of one file of text."""
LONGEST_NUMBER = 18
"""Digits."""


@READERS.register("files")
@dataclass(frozen=True)
class Files(Reader):
    """Files by pattern, a sample each: `files("recordings/{digit}_{speaker}_[0-4].wav")`.

    path     a pattern, or a list of them: `*` is any letters, `?` any one, `[0-4]` one of these, `**` folders at any
             depth, `{name}` what becomes a column of that name, `{name:1-20}` the same of numbers from 1 to 20 only
    column   what the column of the files' content is called; unless given `image` (pictures), `audio` (.wav) or `text`
             (.txt in UTF-8, at most 16 MiB each)
    size     pixels that pictures are scaled and cut to, as in `folder`; none: what the input declares
    A name that is digits in every file is a column of whole numbers, any other one of class names. Names that the spec
    does not declare are left alone; a lone one goes to a lone target. Recordings are float[T], or float[T, channels]
    where there are several, from -1 to 1; at most 268,435,456 samples together.
    Raises E0501 (nothing fits), E0502 (damaged), E0504, E0507 (pictures), E0518 (the pattern, or files of two kinds).
    """

    path: tuple[Words, ...]
    column: Words = ""
    size: Size | None = None

    def read(self, places: Places) -> Dataset:
        found = matches(self.path, places)
        paths = [match.path for match in found]
        kind = _kind(paths)
        if self.size is not None and kind != "image":
            raise fail("E0518", f"`size` is for pictures, and `{paths[0]}` is none", help="leave `size` out")
        name, names = self.column or kind, list(found[0].names)
        if name in names:
            message = f"two columns would be called `{name}`: what is in the files, and `{{{name}}}`"
            raise fail("E0518", message, help='call one of them otherwise, as by `column="content"`')
        columns = {name: self._content(kind, paths)}
        columns |= {known: named([match.names[known] for match in found], known) for known in names}
        roles = {name: INPUT} | ({names[0]: TARGET} if len(names) == 1 else {})
        return Dataset(columns, roles, frozenset(names), origin=self.path[0])

    def _content(self, kind: str, paths: Sequence[Path]) -> Column:
        if kind == "audio":
            return read_sounds(paths)
        return Images(tuple(paths), *pixels(self.size)) if kind == "image" else Texts(tuple(map(_page, paths)))


def named(texts: list[str], name: str) -> Column:
    """What a part of files' names says: whole numbers where every one is written in digits, else class names."""
    if all(text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER for text in texts):
        return Numerals(np.array([int(text) for text in texts]), tuple(texts))
    return labels(np.array(texts), name)


def _kind(paths: Sequence[Path]) -> str:
    """What all files are. Raises E0518 where one is nothing that is read, or another kind than the first."""
    kinds = [_kind_of(path) for path in paths]
    for path, kind in zip(paths, kinds, strict=True):
        if kind != kinds[0]:
            message = f"`{paths[0]}` is {kinds[0]} and `{path}` is {kind}"
            raise fail("E0518", message, help="end the pattern in what the files end in: `*.png`")
    return kinds[0]


def _kind_of(path: Path) -> str:
    found = next((kind for kind, endings in KINDS.items() if path.suffix.lower() in endings), None)
    if found is None:
        listed = " ".join(sorted(ending for endings in KINDS.values() for ending in endings))
        raise fail("E0518", f"`{path}` is neither picture, recording nor text", help=f"endings read: {listed}")
    return found


def _page(path: Path) -> str:
    try:
        return read_bytes(path, LARGEST_PAGE).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _no_text(path) from error


def _no_text(path: Path) -> Failed:
    return unreadable(path, "it is no text in UTF-8", "save it as UTF-8")
