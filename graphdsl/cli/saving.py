"""Answers as files: all numbers, a table, pictures, or sound."""

from __future__ import annotations

import io
import os
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.cli.said import as_csv
from graphdsl.data import MOST_CHANNELS, wav_bytes
from graphdsl.ir import Array
from graphdsl.learn import as_bytes, enlarged, grid, png
from graphdsl.report import fail, write_whole

FEW = 3
"""Files that are named one by one."""
MOST_PICTURES = 1024
"""Pictures in a grid; further ones are left out."""


def save(
    path: str, arrays: dict[str, Array], best: dict[str, list[Any]], files: list[str], rate: int = 0
) -> list[Path]:
    """Gives what was written. rate: samples a second of what was heard, if anything was.

    Raises E0519 for another ending than .npz, .csv, .png and .wav, and where nothing is a picture or sound; E0701 where
    the file cannot be written."""
    ending = Path(path).suffix.lower()
    if ending == ".csv":
        write_whole(Path(path), as_csv(arrays, best, files).encode())
    elif ending == ".png":
        return _save_pictures(Path(path), arrays)
    elif ending == ".wav":
        return _save_sound(Path(path), arrays, rate)
    elif ending == ".npz":
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        write_whole(Path(path), buffer.getvalue())
    else:
        help = (
            "end it in .npz (all numbers), .csv (a table), .png (pictures), .wav (sound) or .json (boxes); "
            "`-o found/` draws boxes and points on pictures"
        )
        raise fail("E0519", f"answers cannot be written as `{path}`", help=help)
    return [Path(path)]


def written(paths: list[Path]) -> str:
    """A line that names what was written: a file, several, or how many of them a folder has got."""
    if len(paths) == 1:
        return f"wrote {paths[0]}"
    if len(paths) <= FEW:
        return f"wrote {', '.join(map(str, paths))}"
    return f"wrote {len(paths):,} files in {paths[0].parent}{os.sep}, {paths[0].name} to {paths[-1].name}"


def _save_pictures(path: Path, arrays: dict[str, Array]) -> list[Path]:
    """The pictures of an output, from 0 to 1, in one that is as wide as high; of several outputs in a file each."""
    found = {n: a[:MOST_PICTURES] for n, a in arrays.items() if a.ndim == 4 and a.shape[-1] in (1, 3, 4) and len(a)}
    if not found:
        told = ", ".join(f"`{name}` {list(array.shape[1:])}" for name, array in arrays.items())
        message = f"no output is a picture of height, width and 1, 3 or 4 channels: {told}"
        raise fail("E0519", message, help="end the file's name in .npz (all numbers) or .csv (a table)")
    paths = [path if len(found) == 1 else path.with_stem(f"{path.stem}-{name}") for name in found]
    for where, pictures in zip(paths, found.values(), strict=True):
        write_whole(where, png(grid(enlarged(as_bytes(pictures)), ceil(sqrt(len(pictures))))))
    return paths


def _save_sound(path: Path, arrays: dict[str, Array], rate: int) -> list[Path]:
    """The first output that is a sequence of amplitudes, [time] or [time, channels], in a file a sample."""
    found = {n: a for n, a in arrays.items() if a.ndim in (2, 3) and a.dtype.kind == "f" and len(a)}
    found = {n: a for n, a in found.items() if a.ndim == 2 or a.shape[2] <= MOST_CHANNELS}
    if not found or not rate:
        told = ", ".join(f"`{name}` {list(array.shape[1:])}" for name, array in arrays.items())
        message = f"no output is sound: {told}" if rate else "what was given is no recording, so nothing says a rate"
        raise fail("E0519", message, help="end the file's name in .npz (all numbers)")
    samples = next(iter(found.values()))
    paths = [path if len(samples) == 1 else path.with_stem(f"{path.stem}-{i}") for i in range(len(samples))]
    for where, values in zip(paths, samples, strict=True):
        write_whole(where, wav_bytes(values, rate))
    return paths
