"""Darknet's file of weights: a head, then float32 numbers, layer after layer, without a word about what they are."""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path

import numpy as np

from graphdsl.interop.darknet.cfg import Section
from graphdsl.interop.refusal import malformed, read_bytes
from graphdsl.ir import Array
from graphdsl.report import fail


class Floats:
    """The numbers of a file, taken in order. Without a file every layer is given nothing.

    transposed   connected layers stand as [inputs, outputs], as version numbers above 1000 say
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.given = path is not None
        self.transposed = False
        self.at = 0
        self.numbers: Array = np.zeros(0, np.float32)
        if path is not None:
            self.numbers, self.transposed = _opened(path)

    def take(self, section: Section, what: str, *shape: int) -> Array:
        """The next numbers, in this shape. Raises E0903 where the file ends before."""
        count = prod(shape)
        left = len(self.numbers) - self.at
        if left < count:
            raise section.refuse(
                f"`{self.path}` ends here: {what} needs {count:,} numbers, {left:,} are left",
                code="E0903",
                help="the weights belong to another cfg, the file was cut off, or it is no file of Darknet weights; a "
                "backbone such as `x.conv.15` has only the first layers",
            )
        found = self.numbers[self.at : self.at + count].reshape(shape)
        self.at += count
        return found

    def finish(self) -> None:
        """Raises E0903 where numbers are left."""
        left = len(self.numbers) - self.at
        if self.given and left:
            raise fail(
                "E0903",
                f"`{self.path}` goes on behind the last layer: {left:,} of its {len(self.numbers):,} numbers belong to "
                "nothing",
                help="the weights belong to another cfg, or the file is none of Darknet weights",
            )


def _opened(path: Path) -> tuple[Array, bool]:
    data = read_bytes(path)
    if len(data) < 16:
        raise malformed(path, f"it has {len(data)} bytes, fewer than the head of a Darknet file of weights")
    major, minor, _ = struct.unpack("<3i", data[:12])
    if not (major >= 0 and minor >= 0):
        raise malformed(path, f"version {major}.{minor} at its head is none of Darknet's")
    transposed = major > 1000 or minor > 1000
    long = major * 10 + minor >= 2 and not transposed
    body = data[20 if long else 16 :]
    if len(body) % 4:
        raise malformed(
            path,
            f"the {len(body):,} bytes behind its head are not a whole number of float32 numbers: it is no file of "
            "Darknet weights, or it was cut off",
            "give the `.weights` file that belongs to this cfg, or take it from its source again",
        )
    return np.frombuffer(body, "<f4"), transposed
