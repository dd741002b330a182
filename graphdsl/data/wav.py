"""Recordings in .wav files (RIFF): whole numbers of 8 to 32 bits or floats, any number of channels.

A file is a list of chunks, each with its name and size. `fmt ` says what the samples are, `data` holds them; others
are stepped over. Sizes are held against the bytes that are there. Source: Microsoft, "Multimedia Programming Interface
and Data Specifications 1.0", 1991; for tag 0xFFFE "Multiple channel audio data and WAVE files", 2001.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from graphdsl.data.column import Array
from graphdsl.data.files import read_bytes, unreadable
from graphdsl.report import Failed, dataclass

LARGEST_WAV = 1 << 30
"""Bytes of one file."""
MOST_CHANNELS = 64
FASTEST = 1_000_000
"""Samples a second."""

WHOLE, FLOAT, EXTENDED = 1, 3, 0xFFFE
NAMES = {2: "ADPCM", 6: "A-law", 7: "mu-law", 17: "ADPCM", 85: "MP3"}
STREAMED = (0, 0xFFFFFFFF)
"""Sizes that are written where the end is not known yet: the data run to the end of the file."""
EXPECTED = "expected a .wav file of whole numbers (8, 16, 24, 32 bits) or floats (32, 64)"


@dataclass(frozen=True, eq=False)
class Sound:
    """float32 [time, channels] from -1 to 1, and how many samples a second has."""

    values: Array
    rate: int


@dataclass(frozen=True)
class _Format:
    tag: int
    channels: int
    rate: int
    bits: int


def read_wav(path: Path) -> Sound:
    """The recording in a file. Raises E0502 (damaged, or of another kind), E0504 (more than 1 GiB)."""
    content = read_bytes(path, LARGEST_WAV)
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise unreadable(path, "it does not begin as a .wav file does", EXPECTED)
    found: _Format | None = None
    for name, start, size in _chunks(content):
        if name == b"fmt ":
            found = _format(path, content[start : start + size])
        if name == b"data" and found is None:
            raise unreadable(path, "its samples come before what they are", EXPECTED)
        if name == b"data":
            assert found is not None, "told apart above"
            return Sound(_samples(path, found, content, start, size), found.rate)
    raise unreadable(path, "it holds no samples", EXPECTED)


def wav_bytes(values: Array, rate: int) -> bytes:
    """A .wav file of 16-bit whole numbers: [time] or [time, channels] from -1 to 1; what is beyond is cut off."""
    sound = values[:, None] if values.ndim == 1 else values
    data = bytes(np.rint(np.clip(sound, -1, 1) * 32767).astype("<i2"))
    width = 2 * sound.shape[1]
    form = struct.pack("<HHIIHH", WHOLE, sound.shape[1], rate, rate * width, width, 16)
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and claimed size of each; an odd one is followed by a byte that does not count."""
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        yield name, at + 8, size
        at += 8 + size + size % 2


def _format(path: Path, chunk: bytes) -> _Format:
    if len(chunk) < 16:
        raise unreadable(path, "its header ends too early", EXPECTED)
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == EXTENDED and len(chunk) >= 26:
        tag = struct.unpack_from("<H", chunk, 24)[0]
    if tag not in (WHOLE, FLOAT):
        raise unreadable(path, f"its samples are packed ({NAMES.get(tag, f'format {tag}')})", EXPECTED)
    if bits not in ((8, 16, 24, 32) if tag == WHOLE else (32, 64)):
        raise unreadable(path, f"its samples have {bits} bits", EXPECTED)
    if not 1 <= channels <= MOST_CHANNELS or not 1 <= rate <= FASTEST:
        limits = f"at most {MOST_CHANNELS} channels and {FASTEST:,} Hz are accepted"
        raise unreadable(path, f"its header claims {channels} channels at {rate} Hz", limits)
    return _Format(tag, channels, rate, bits)


def _samples(path: Path, form: _Format, content: bytes, start: int, size: int) -> Array:
    there = len(content) - start
    if size > there and size not in STREAMED:
        raise _cut(path, size, there)
    data = content[start:] if size in STREAMED else content[start : start + size]
    width = form.channels * form.bits // 8
    count = len(data) // width
    if not count:
        raise unreadable(path, "it holds no samples", EXPECTED)
    values = _floats(form, data[: count * width]).reshape(count, form.channels)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise unreadable(path, f"sample {row} is no finite number", "write it again from what it was made of")
    return values


def _floats(form: _Format, data: bytes) -> Array:
    """float32 from -1 to 1. Eight bits are without a sign, around 128."""
    if form.tag == FLOAT:
        with np.errstate(over="ignore"):
            return np.frombuffer(data, f"<f{form.bits // 8}").astype(np.float32)
    if form.bits == 8:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    if form.bits == 24:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    return (np.frombuffer(data, f"<i{form.bits // 8}") / 2.0 ** (form.bits - 1)).astype(np.float32)


def _cut(path: Path, claimed: int, there: int) -> Failed:
    return unreadable(path, f"it ends {claimed - there:,} bytes before its header says", "copy the file again")
