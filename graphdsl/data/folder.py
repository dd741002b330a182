"""Pictures sorted into folders, one for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from graphdsl.data.column import Labels
from graphdsl.data.dataset import INPUT, TARGET, Dataset
from graphdsl.data.files import Places, reason, unreadable
from graphdsl.data.images import ENDINGS, Images
from graphdsl.data.registry import READERS, Reader
from graphdsl.ir import Size, Words
from graphdsl.report import Failed, dataclass, fail


@READERS.register("folder")
@dataclass(frozen=True)
class Folder(Reader):
    """Pictures in one sub-folder for each class: columns `image` uint8[height, width, channels] and `label`.

    path   the folder; classes are its sub-folders in alphabetical order, and pictures may lie at any depth below.
           Without sub-folders its own pictures are taken and there is no label.
    size   pixels that pictures are scaled and cut to, `256` or `240x320`; none: what the input declares
    Grey, colour or colour with alpha follows the channels of the input. Pictures reach a float input as 0..1. They are
    decoded once when all of them take at most 512 MiB, else batch by batch. At most 80,000,000 pixels a picture.
    Raises E0501, E0504, E0507 (unreadable pictures, by name), E0508 (no pictures).
    """

    path: Words
    size: Size | None = None

    def read(self, places: Places) -> Dataset:
        path = places.find(self.path)
        if not path.is_dir():
            raise unreadable(path, "it is not a folder", "expected a folder with one sub-folder for each class")
        found = _by_class(path)
        paths = [picture for pictures in found.values() for picture in pictures]
        if not paths:
            raise _no_pictures(path)
        height, width = pixels(self.size)
        images = Images(tuple(paths), height, width)
        if tuple(found) == ("",):
            return Dataset({"image": images}, {"image": INPUT}, origin=str(path))
        numbers = np.repeat(np.arange(len(found)), [len(pictures) for pictures in found.values()])
        columns = {"image": images, "label": Labels(numbers, tuple(found))}
        return Dataset(columns, {"image": INPUT, "label": TARGET}, frozenset({"label"}), origin=str(path))


def _by_class(path: Path) -> dict[str, list[Path]]:
    """Pictures by class; the class is "" where there are no sub-folders. A sub-folder without pictures is a mistake."""
    try:
        folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        if not folders:
            return {"": _pictures(path)}
        found = {folder.name: _pictures(folder) for folder in folders}
    except OSError as error:
        raise unreadable(path, reason(error)) from error
    for name, pictures in found.items():
        if not pictures:
            raise _no_pictures(path / name)
    return found


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and not p.name.startswith(".") and p.is_file()
    )


def pixels(size: int | tuple[int, ...] | None) -> tuple[int | None, int | None]:
    """Height and width of a setting `size`. Raises E0518."""
    if size is None or isinstance(size, int):
        return size, size
    if len(size) != 2:
        raise fail(
            "E0518", f"`size` of pictures needs two numbers, got {len(size)}", help="write `size=224` or `size=240x320`"
        )
    return size[0], size[1]


def _no_pictures(folder: Path) -> Failed:
    return fail("E0508", f"the folder `{folder}` holds no pictures", help=f"endings read: {' '.join(sorted(ENDINGS))}")
