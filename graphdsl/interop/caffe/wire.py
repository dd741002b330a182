"""Reads the weights out of a .caffemodel, which is a NetParameter in protobuf's wire format.

A message is a run of fields, each a tag (number << 3 | wire type) and its bytes. Only these fields are looked at:

    NetParameter   100 layer (V2), 2 layers (V1)
    layer, V2      1 name, 7 blobs
    layer, V1      4 name, 6 blobs, 1 what V0 wrapped: 1 name, 50 blobs
    blob           7 shape (1 dim, packed or not), 5 data (float, packed or not), 8 double_data,
                   1 num, 2 channels, 3 height, 4 width: the sizes before there was a shape

Numbers are copied as they stand: float32 bit by bit, doubles rounded to float32.

Source: BVLC/caffe, src/caffe/proto/caffe.proto; protobuf's description of its encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

from graphdsl.interop.refusal import malformed, read_bytes
from graphdsl.ir import Array
from graphdsl.report import Failed, dataclass

LONGEST_VARINT = 10
MOST_AXES = 32
MOST_PIECES = 100_000
SIZES_BEFORE_SHAPES = (1, 2, 3, 4)
VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
NET_LAYER, NET_V1_LAYER = 100, 2
V2_NAME, V2_BLOBS, V1_NAME, V1_BLOBS, V1_INNER, V0_NAME, V0_BLOBS = 1, 7, 4, 6, 1, 1, 50
BLOB_DATA, BLOB_SHAPE, BLOB_DOUBLE = 5, 7, 8


WIDTH = {EIGHT_BYTES: 8, FOUR_BYTES: 4}


@dataclass(frozen=True)
class Part:
    """One field: its number and what it holds, a whole number or bytes with where they begin in the file.

    Fields of four or eight bytes that follow each other under one tag are one Part, as if they were packed.
    """

    number: int
    kind: int
    value: int
    data: memoryview
    place: int


def read_blobs(path: Path) -> dict[str, list[Array]]:
    """The arrays of every layer that has any, by the layer's name, float32 in the shapes of the file.

    E0902  the file is cut off, or is no .caffemodel, or a blob's numbers and shape do not go together, or the file is
           too large
    """
    return _Wire(path).net(memoryview(read_bytes(path)))


@dataclass(frozen=True)
class _Wire:
    """Reads messages of one file; the path is for what has to be said about it."""

    path: Path

    def net(self, data: memoryview) -> dict[str, list[Array]]:
        parts = self.parts(data, 0)
        layers = [self.layer(p) for p in parts if p.kind == BYTES and p.number in (NET_LAYER, NET_V1_LAYER)]
        found = {name: blobs for name, blobs in layers if blobs}
        if not found:
            raise malformed(self.path, "it holds no weights of layers", "is it a .caffemodel file?")
        return found

    def layer(self, whole: Part) -> tuple[str, list[Array]]:
        v2 = whole.number == NET_LAYER
        names, arrays = (V2_NAME, V2_BLOBS) if v2 else (V1_NAME, V1_BLOBS)
        name, blobs = "", list[Array]()
        for part in self.parts(whole.data, whole.place):
            if part.kind == BYTES and part.number == names:
                name = bytes(part.data).decode(errors="replace")
            elif part.kind == BYTES and part.number == arrays:
                blobs.append(self.blob(part, name))
            elif part.kind == BYTES and part.number == V1_INNER and not v2:
                inner, more = self.v0_layer(part)
                name, blobs = inner or name, blobs + more
        return name, blobs

    def v0_layer(self, whole: Part) -> tuple[str, list[Array]]:
        parts = [p for p in self.parts(whole.data, whole.place) if p.kind == BYTES]
        name = next((bytes(p.data).decode(errors="replace") for p in parts if p.number == V0_NAME), "")
        return name, [self.blob(p, name) for p in parts if p.number == V0_BLOBS]

    def blob(self, whole: Part, layer: str) -> Array:
        single, double, shape = list[Array](), list[Array](), None
        old = dict.fromkeys(SIZES_BEFORE_SHAPES, 1)
        for part in self.parts(whole.data, whole.place):
            if part.number == BLOB_DATA:
                single.append(self.numbers(part, FOUR_BYTES, np.dtype("<f4")))
            elif part.number == BLOB_DOUBLE:
                double.append(self.numbers(part, EIGHT_BYTES, np.dtype("<f8")))
            elif part.number == BLOB_SHAPE and part.kind == BYTES:
                shape = self.shape(part)
            elif part.number in old and part.kind == VARINT:
                old[part.number] = part.value
            if len(single) + len(double) > MOST_PIECES:
                raise self.broken(part.place, f"a blob in more than {MOST_PIECES:,} pieces")
        given = np.concatenate(double or single) if double or single else np.zeros(0, np.float32)
        return self.shaped(given, tuple(old.values()) if shape is None else shape, layer)

    def shaped(self, given: Array, shape: tuple[int, ...], layer: str) -> Array:
        if given.size != prod(shape):
            why = f"a blob of `{layer}` has {given.size} numbers, and its shape {shape} has {prod(shape)}"
            raise malformed(self.path, why)
        return given.astype(np.float32).reshape(shape)

    def shape(self, whole: Part) -> tuple[int, ...]:
        sizes: list[int] = []
        for part in self.parts(whole.data, whole.place):
            if part.number == 1:
                sizes += [part.value] if part.kind == VARINT else self.packed(part)
            if len(sizes) > MOST_AXES:
                raise self.broken(part.place, f"a blob with more than {MOST_AXES} axes")
        return tuple(sizes)

    def packed(self, part: Part) -> list[int]:
        """Whole numbers one after the other."""
        found, place = list[int](), 0
        while place < len(part.data) and len(found) <= MOST_AXES:
            number, place = self.varint(part.data, place, part.place)
            found.append(number)
        return found

    def numbers(self, part: Part, alone: int, dtype: np.dtype[np.floating]) -> Array:
        if part.kind not in (BYTES, alone) or len(part.data) % dtype.itemsize:
            raise self.broken(part.place, "numbers are cut off")
        return np.frombuffer(part.data, dtype)

    def parts(self, data: memoryview, start: int) -> Iterator[Part]:
        """The fields of a message that begins at this place of the file."""
        place = 0
        while place < len(data):
            first = place
            tag, place = self.varint(data, place, start)
            number, kind = tag >> 3, tag & 7
            if kind == VARINT:
                value, place = self.varint(data, place, start)
                yield Part(number, kind, value, data[:0], start + place)
                continue
            length = WIDTH.get(kind, -1)
            if kind == BYTES:
                length, place = self.varint(data, place, start)
            if length < 0 or not number:
                raise self.broken(start + place, "something stands here that is no field")
            if place + length > len(data):
                raise self.broken(start + place, f"{length:,} bytes should follow, {len(data) - place:,} do")
            if kind == BYTES or place + length == len(data):
                yield Part(number, kind, 0, data[place : place + length], start + place)
                place += length
                continue
            run = _run(data[first:], place - first, length)
            yield Part(number, kind, 0, memoryview(run[:, place - first :].tobytes()), start + place)
            place = first + run.size

    def varint(self, data: memoryview, place: int, start: int) -> tuple[int, int]:
        """A whole number in seven bits a byte, and the place behind it."""
        number = 0
        for i, byte in enumerate(data[place : place + LONGEST_VARINT]):
            number |= (byte & 127) << (7 * i)
            if byte < 128:
                return number, place + i + 1
        raise self.broken(start + place, "a number does not end")

    def broken(self, place: int, what: str) -> Failed:
        why = f"it is cut off or no .caffemodel: {what}, at byte {place:,}"
        return malformed(self.path, why, "fetch the file again and compare its size")


def _run(data: memoryview, tag: int, width: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """The fields at the beginning that have the first one's tag and width, [fields, tag + width] bytes.

    Looks at twice as many each time, so that the work is in proportion to what is found.
    """
    record, seen = tag + width, 1
    rows = np.frombuffer(data, np.uint8, len(data) // record * record).reshape(-1, record)
    while True:
        differs = (rows[seen : 2 * seen, :tag] != rows[0, :tag]).any(axis=1)
        if differs.any():
            return rows[: seen + int(differs.argmax())]
        if 2 * seen >= len(rows):
            return rows
        seen *= 2
