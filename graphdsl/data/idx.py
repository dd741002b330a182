"""The IDX format of MNIST and its kin: big-endian arrays of any rank, plain or gzipped.

Format: two zero bytes, a type byte, the number of axes, each axis as a 32-bit size, then the elements in row order.
Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", section "File formats".
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Annotated

import numpy as np

from graphdsl.data.column import Array, Column, Dense, Labels
from graphdsl.data.dataset import INPUT, TARGET, Dataset
from graphdsl.data.files import Places, read_bytes, unreadable
from graphdsl.data.registry import READERS, Reader
from graphdsl.ir import Choice, Words
from graphdsl.report import dataclass, fail

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
PREFIXES = {"train": "train", "test": "t10k"}
EXPECTED = "expected the IDX format of MNIST, plain or .gz"


@READERS.register("idx")
@dataclass(frozen=True)
class Idx(Reader):
    """Pictures and labels in MNIST's format: columns `image` uint8[height, width, 1] and `label`.

    path    a folder with the four usual files (train-images-idx3-ubyte, t10k-labels-idx1-ubyte …, also with .gz or
            a dot before idx), or a file of pictures, whose labels are looked for under the name with "labels"
    split   `train` or `test`: which files of a folder
    Pictures reach a float input as 0..1. At most 8 GiB unpacked.
    Raises E0501, E0502 (damaged or another format), E0504, E0509.
    """

    path: Words
    split: Annotated[str, Choice(("train", "test"))] = "train"

    def read(self, places: Places) -> Dataset:
        path = places.find(self.path)
        if path.is_dir():
            prefix = PREFIXES[self.split]
            pictures, labels = _in_folder(path, f"{prefix}-images", 3), _in_folder(path, f"{prefix}-labels", 1)
        else:
            pictures, labels = path, _beside(path)
        values = read_idx(pictures)
        columns: dict[str, Column] = {"image": Dense(values[..., None] if values.ndim == 3 else values)}
        numbers = read_idx(labels)
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
            raise unreadable(
                labels, f"it holds {numbers.dtype}{list(numbers.shape)}, not one label for each picture", EXPECTED
            )
        columns["label"] = Labels(numbers.astype(np.int64))
        return Dataset(columns, {"image": INPUT, "label": TARGET}, frozenset({"label"}), origin=str(pictures))


def read_idx(path: Path) -> Array:
    """The array of an IDX file. Raises E0502 and E0504."""
    content = read_bytes(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES or not content[3]:
        raise unreadable(path, "it does not begin as an IDX file does", EXPECTED)
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise unreadable(path, "it ends inside its header", "copy the file again")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", content[3], 4))
    dtype = np.dtype(TYPES[content[2]])
    claimed, found = prod(shape) * dtype.itemsize, len(content) - start
    if claimed != found:
        raise unreadable(path, f"its header claims {claimed:,} bytes of data, it has {found:,}", "copy the file again")
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def _in_folder(folder: Path, stem: str, axes: int) -> Path:
    names = [f"{stem}{mark}idx{axes}-ubyte{ending}" for mark in "-." for ending in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise fail("E0501", f"the folder `{folder}` has no file `{names[0]}`", help=f"tried {', '.join(names)}")


def _beside(pictures: Path) -> Path:
    name = pictures.name.replace("images", "labels").replace("idx3", "idx1")
    labels = pictures.with_name(name)
    if name == pictures.name or not labels.is_file():
        raise fail(
            "E0501",
            f"there is no file of labels `{name}` beside `{pictures}`",
            help='name it as the pictures\' file with "labels"',
        )
    return labels
