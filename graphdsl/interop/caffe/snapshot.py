"""Reads weights that Caffe wrote as HDF5, `.caffemodel.h5`: `/data/LAYER/0` is the first blob of a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.interop.refusal import MOST_BYTES, demand_package, malformed
from graphdsl.ir import Array

MAGIC = b"\x89HDF"
DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""What h5py raises for files that are damaged."""


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 does."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_hdf5(path: Path) -> dict[str, list[Array]]:
    """The arrays of every layer by its name, float32.

    E0902  the file is damaged, holds no weights, or more than 4 GiB of them
    E0904  h5py is missing
    """
    demand_package("h5py", "keras", "reading Caffe's weights in HDF5")
    import h5py

    try:
        with h5py.File(path, "r") as file:
            sets: list[Any] = []
            file["data"].visititems(lambda _, thing: sets.append(thing) if isinstance(thing, h5py.Dataset) else None)
            found = _gathered(path, sets)
    except DAMAGED as error:
        raise malformed(path, f"it is damaged: {str(error)[:100]}") from None
    if not found:
        raise malformed(path, "it holds no weights of layers")
    return found


def _gathered(path: Path, sets: list[Any]) -> dict[str, list[Array]]:
    """Blobs by their layers; a `/` in a layer's name makes groups inside of groups."""
    if any(d.is_virtual or d.external for d in sets):
        raise malformed(path, "some of its numbers stand in other files")
    if sum(d.size for d in sets) * 4 > MOST_BYTES:
        raise malformed(path, f"it has more than {MOST_BYTES:,} bytes of weights")
    found: dict[str, dict[int, Any]] = {}
    for each in sets:
        layer, _, number = each.name.removeprefix("/data/").rpartition("/")
        if layer and number.isdecimal():
            found.setdefault(layer, {})[int(number)] = each
    return {layer: [np.asarray(blobs[i], np.float32) for i in sorted(blobs)] for layer, blobs in found.items()}
