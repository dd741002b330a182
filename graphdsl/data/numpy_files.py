"""NumPy's own files: one array in .npy, several in .npz.

Headers are read before data: an object array (pickled Python, which could run code) is refused, and the size a header
claims is held against the size of the file before anything is allocated for it.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from graphdsl.data.arrays import as_column, conventional_roles
from graphdsl.data.column import Array
from graphdsl.data.dataset import Dataset
from graphdsl.data.files import LARGEST_UNPACKED, Places, reason, too_large, unreadable
from graphdsl.data.registry import READERS, Reader
from graphdsl.ir import Words
from graphdsl.report import Failed, dataclass, fail

HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@READERS.register("npz")
@dataclass(frozen=True)
class Npz(Reader):
    """The arrays of a .npz file, each a column of its name.

    path     the file
    part     takes only arrays named NAME_PART and calls them NAME: `part="train"` for x_train, y_train, x_test, y_test
    ignore   columns to leave out
    A lone `x` and `y` (image, data, features; label, target, class) bind to a lone input and target of any name.
    At most 8 GiB unpacked.
    Raises E0501, E0502 (damaged), E0503 (pickled objects), E0504, E0508, E0509, E0518 (no such array).
    """

    path: Words
    part: Words = ""
    ignore: tuple[str, ...] = ()

    def read(self, places: Places) -> Dataset:
        path = places.find(self.path)
        members = read_npz(path)
        suffix = f"_{self.part}" if self.part else ""
        chosen = {name.removesuffix(suffix): array for name, array in members.items() if name.endswith(suffix)}
        for name in self.ignore:
            if chosen.pop(name, None) is None:
                raise _nothing(path, f"called `{name}` to ignore", members)
        if not chosen:
            raise _nothing(path, f"called NAME{suffix}" if suffix else "to read", members)
        columns = {name: as_column(name, array) for name, array in chosen.items()}
        return Dataset(columns, conventional_roles(columns), origin=str(path))


@READERS.register("npy")
@dataclass(frozen=True)
class Npy(Reader):
    """The array of a .npy file, or every .npy file of a folder; each is a column named after its file.

    path   the file or folder
    Files are mapped, not loaded: they may be larger than memory.
    Raises E0501, E0502 (damaged), E0503 (pickled objects), E0508, E0509.
    """

    path: Words

    def read(self, places: Places) -> Dataset:
        path = places.find(self.path)
        files = sorted(path.glob("*.npy")) if path.is_dir() else [path]
        if not files:
            raise fail("E0508", f"the folder `{path}` holds no .npy file")
        columns = {file.stem: as_column(file.stem, map_npy(file)) for file in files}
        return Dataset(columns, conventional_roles(columns), origin=str(path))


def map_npy(path: Path) -> Array:
    """The array of a .npy file, memory-mapped for reading."""
    try:
        with path.open("rb") as file:
            shape, column_major, dtype = _header(file, str(path))
            start = file.tell()
        if path.stat().st_size - start < prod(shape) * dtype.itemsize:
            raise _truncated(path, shape, dtype)
        if not prod(shape):
            return np.empty(shape, dtype)
        return np.memmap(path, dtype, "r", start, shape, "F" if column_major else "C")
    except (OSError, ValueError) as error:
        raise unreadable(path, reason(error), "expected a file written by numpy.save") from error


def read_npz(path: Path) -> dict[str, Array]:
    """The arrays of a .npz file by name."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
            size = sum(m.file_size for m in members)
            if size > LARGEST_UNPACKED:
                raise too_large(path, f"{size:,} bytes", LARGEST_UNPACKED)
            return {m.filename.removesuffix(".npy"): _member(archive, m, path) for m in members}
    except (OSError, ValueError, EOFError, RuntimeError, NotImplementedError, zlib.error, zipfile.BadZipFile) as error:
        raise unreadable(path, reason(error), "expected a file written by numpy.savez") from error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> Array:
    with archive.open(member) as file:
        shape, column_major, dtype = _header(file, f"{path}:{member.filename}")
        size = prod(shape) * dtype.itemsize
        content = file.read(size) if size <= member.file_size else b""
    if len(content) < size:
        raise _truncated(path, shape, dtype)
    return np.frombuffer(content, dtype).reshape(shape, order="F" if column_major else "C")


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the first axis runs fastest, and dtype. ValueError when it is no header."""
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f"version {version} of the format is not supported")
    try:
        shape, column_major, dtype = HEADERS[version](file)
    except Exception as error:  # NumPy hands the text to Python's parser, which fails in many ways
        raise ValueError("its header makes no sense") from error
    if dtype.hasobject:
        raise fail(
            "E0503",
            f"`{name}` holds pickled Python objects, which could run code when read",
            help="save numbers: `np.save(path, np.stack(rows))`; sequences of different lengths go into a csv",
        )
    if dtype.names or dtype.kind not in "biufU":
        raise ValueError(f"it holds {dtype}, not numbers")
    if any(size < 0 for size in shape):
        raise ValueError(f"its header claims the shape {shape}")
    return shape, column_major, dtype


def _nothing(path: Path, what: str, members: Mapping[str, Array]) -> Failed:
    listed = ", ".join(f"`{name}`" for name in members) or "nothing"
    return fail("E0518", f"`{path}` has no array {what}", help=f"it holds {listed}")


def _truncated(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Failed:
    return unreadable(path, f"it ends before the {dtype}{list(shape)} that its header claims", "copy the file again")
