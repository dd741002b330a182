"""Pictures in files, decoded when a batch asks for them.

Pillow lets go of the interpreter while it decodes, so threads are enough: four of them read 1.8 times as many pictures
a second on two cores as one. A JPEG is decoded at the smallest of its built-in scales that is still large enough
(`Image.draft`), which halves the time of a photo.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.data.boxes import Part
from graphdsl.data.column import Array, Column, Dense, Rows, Shape
from graphdsl.data.files import reason
from graphdsl.data.preprocess import MOST_PIXELS, Step, applied, seen, shaped
from graphdsl.data.preprocess_pictures import Resize
from graphdsl.report import Failed, dataclass, fail

KEPT_BYTES = 512 << 20
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm", ".pnm"})


@dataclass(frozen=True, eq=False)
class Images(Column):
    """uint8 [rows, height, width, channels], read from paths.

    height, width, channels   None until `sized` says what the network wants; a picture cannot be taken before that
    steps                     what is done to each picture after that; with steps, a picture without height and width
                              keeps its own
    A picture is scaled until it covers the size and cut to it around its centre: nothing is stretched.
    """

    paths: tuple[Path, ...]
    height: int | None = None
    width: int | None = None
    channels: int | None = None
    steps: tuple[Step, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> Shape:
        return shaped(self.steps, (self.height, self.width, self.channels))

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def describe(self) -> str:
        """`pictures[64, 64, *]`"""
        return f"pictures[{', '.join('*' if size is None else str(size) for size in self.shape)}]"

    def sized(self, height: int, width: int, channels: int) -> Images:
        """The same pictures with every size that was open set to these."""
        return replace(
            self,
            height=self.height or height,
            width=self.width or width,
            channels=self.channels or channels,
        )

    def take(self, rows: Rows, length: int = 0) -> Array:
        return decode_all([self.paths[r] for r in rows], self.size, self._decoded)

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width and channels after all steps, all known."""
        height, width, channels = self.shape
        assert height and width and channels, "pictures are sized when they are bound"
        return height, width, channels

    def stepped(self, steps: tuple[Step, ...], channels: int) -> Images:
        """The same pictures, read with so many channels and then changed."""
        return replace(self, channels=self.channels or channels, steps=steps)

    def _decoded(self, path: Path) -> Array:
        assert self.channels, "pictures are sized when they are bound"
        picture = decode(path, (self.height, self.width, self.channels))
        return applied(self.steps, picture[None])[0] if self.steps else picture

    def part(self, row: int) -> Part:
        """Which part of a picture is seen. Raises E0507."""
        sized = (Resize((self.height, self.width)),) if self.height and self.width else ()
        return seen((*sized, *self.steps), *natural_size(self.paths[row]))

    def kept(self) -> Column:
        """All pictures decoded into memory when they take at most KEPT_BYTES, else these very paths."""
        height, width, channels = self.size
        if len(self) * height * width * channels > KEPT_BYTES:
            return self
        return Dense(decode_all(self.paths, self.size, self._decoded))


def decode_all(paths: Sequence[Path], size: tuple[int, int, int], decoded: Callable[[Path], Array]) -> Array:
    """uint8 [len(paths), height, width, channels]. Raises E0507 with every unreadable picture of the lot."""
    out = np.empty((len(paths), *size), np.uint8)

    def decode_into(i: int) -> Failed | None:
        try:
            out[i] = decoded(paths[i])
        except Failed as failed:
            return _of_picture(failed, paths[i])
        return None

    with ThreadPoolExecutor(max_workers=min(8, (os.cpu_count() or 1) + 2), thread_name_prefix="decode") as pool:
        failures = [failed for failed in pool.map(decode_into, range(len(paths))) if failed]
    if failures:
        raise Failed([diagnostic for failed in failures for diagnostic in failed.diagnostics])
    return out


def demand_pictures(paths: Sequence[Path], folder: Path) -> None:
    """Raises E0507 where a picture that a table names is not there. folder: where they were looked for."""
    missing = [path for path in paths if not path.exists()]
    if missing:
        more = f", nor {len(missing) - 1} more of {len(paths)}" if len(missing) > 1 else ""
        help = f"looked in `{folder}`: `pictures=` in the spec, or `--pictures`, names the folder of the pictures"
        raise fail("E0507", f"there is no picture `{missing[0]}`{more}", help=help)


def natural_size(path: Path) -> tuple[int, int]:
    """Height and width, from the file's header. Raises E0507."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except Exception as error:  # as in decode
        raise _unreadable(path, _why(error), "repair or replace the file") from error


def _of_picture(failed: Failed, path: Path) -> Failed:
    """What a step cannot do says of which picture."""
    return Failed(replace(d, message=f"{d.message}: `{path}`") if d.code == "E0518" else d for d in failed.diagnostics)


def decode(path: Path, size: tuple[int | None, int | None, int]) -> Array:
    """One picture, uint8 [height, width, channels]; of an animation the first frame. None: as large as it is.

    Raises E0507 (unreadable, or more than 8 bits a channel) and E0504 (too many pixels).
    """
    from PIL import Image, ImageOps

    height, width, channels = size
    try:
        with Image.open(path) as picture:
            _check(path, picture.size, picture.mode)
            if height is None or width is None:
                return np.asarray(picture.convert(MODES[channels])).reshape(picture.height, picture.width, channels)
            picture.draft("L" if channels == 1 else "RGB", (width, height))
            fitted = ImageOps.fit(picture.convert(MODES[channels]), (width, height), Image.Resampling.BILINEAR)
            return np.asarray(fitted).reshape(height, width, channels)
    except Failed:
        raise
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(path, "far more") from error
    except Exception as error:  # Pillow has a decoder for each format, and each fails in ways of its own
        raise _unreadable(path, _why(error), "repair or remove the file") from error


def _why(error: Exception) -> str:
    """What keeps a picture from being read: that there is none, or that none can be made of it."""
    from PIL import UnidentifiedImageError

    unknown = isinstance(error, UnidentifiedImageError)
    return "it is damaged or no picture" if unknown else reason(error)


def _check(path: Path, size: tuple[int, int], mode: str) -> None:
    """Refuses what the header already shows to be wrong, before anything is decoded."""
    if size[0] * size[1] > MOST_PIXELS:
        raise _too_many_pixels(path, f"{size[0]} x {size[1]}")
    if mode[0] in "IF":  # Pillow would cut everything above 255 off
        raise _unreadable(path, "it has more than 8 bits a channel", "save it with 8 bits, or its numbers as .npy")


def _unreadable(path: Path, why: str, help: str) -> Failed:
    return fail("E0507", f"cannot read the picture `{path}`: {why}", help=help)


def _too_many_pixels(path: Path, size: str) -> Failed:
    message = f"the picture `{path}` has {size} pixels; at most {MOST_PIXELS:,} are accepted"
    return fail("E0504", message, help="scale it down")
