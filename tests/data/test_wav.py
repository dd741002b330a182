"""Recordings: what is in a .wav file, and what is no .wav file."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdsl.data import read_wav, wav_bytes
from graphdsl.report import Failed

SINE = np.sin(np.arange(100) / 7).astype(np.float32) * 0.8


def file_of(path: Path, data: bytes, *, tag: int = 1, bits: int = 16, channels: int = 1, rate: int = 8000) -> Path:
    """A .wav file with these samples, and a chunk of an odd size before them."""
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    if tag == 0xFFFE:
        form += struct.pack("<HHIH", 22, bits, 4, 1) + bytes(14)
    chunks = b"".join(
        name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
        for name, body in ((b"LIST", b"odd"), (b"fmt ", form), (b"data", data))
    )
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return path


def whole(bits: int) -> bytes:
    numbers = np.rint(SINE.astype(np.float64) * 2 ** (bits - 1)).astype(np.int64)
    if bits == 8:
        return bytes((numbers + 128).astype(np.uint8))
    return b"".join(int(n).to_bytes(bits // 8, "little", signed=True) for n in numbers)


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_whole_numbers(tmp_path: Path, bits: int) -> None:
    sound = read_wav(file_of(tmp_path / "a.wav", whole(bits), bits=bits, rate=16000))
    assert sound.rate == 16000 and sound.values.shape == (100, 1) and sound.values.dtype == np.float32
    np.testing.assert_allclose(sound.values[:, 0], SINE, atol=0.6 / 2 ** (min(bits, 24) - 1))


@pytest.mark.parametrize("bits", [32, 64])
def test_floats(tmp_path: Path, bits: int) -> None:
    data = SINE.astype(f"<f{bits // 8}").tobytes()
    np.testing.assert_array_equal(read_wav(file_of(tmp_path / "a.wav", data, tag=3, bits=bits)).values[:, 0], SINE)


def test_several_channels(tmp_path: Path) -> None:
    data = np.stack([SINE, -SINE, SINE / 2], axis=1).astype("<f4").tobytes()
    sound = read_wav(file_of(tmp_path / "a.wav", data, tag=3, bits=32, channels=3))
    np.testing.assert_array_equal(sound.values, np.stack([SINE, -SINE, SINE / 2], axis=1))


def test_an_extended_header_says_what_the_samples_are(tmp_path: Path) -> None:
    values = read_wav(file_of(tmp_path / "a.wav", whole(24), tag=0xFFFE, bits=24)).values
    np.testing.assert_allclose(values[:, 0], SINE, atol=1e-6)


def test_what_python_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes(np.array([[0, 16384], [-32768, 32767]], "<i2").tobytes())
    sound = read_wav(path)
    np.testing.assert_array_equal(sound.values, np.array([[0, 0.5], [-1, 32767 / 32768]], np.float32))


def test_what_we_write_is_read_by_python_and_by_us(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(np.array([0, 0.25, -2, 1.5], np.float32), 8000))
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (1, 2, 8000, 4)
    np.testing.assert_allclose(read_wav(path).values[:, 0], [0, 0.25, -1, 1], atol=1e-4)


def test_the_size_of_what_was_streamed_is_that_of_the_file(tmp_path: Path) -> None:
    path = file_of(tmp_path / "a.wav", whole(16))
    content = path.read_bytes()
    at = content.index(b"data") + 4
    path.write_bytes(content[:at] + b"\xff" * 4 + content[at + 4 :])
    assert len(read_wav(path).values) == 100


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "does not begin"),
        (b"ID3" + bytes(100), "does not begin"),
        (b"RIFF\0\0\0\0WAVE", "no samples"),
        (b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0\1\0\1\0", "header ends too early"),
        (b"RIFF\0\0\0\0WAVEdata\x04\0\0\0\1\0\1\0", "before what they are"),
    ],
)
def test_what_is_none(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(Failed, match=words):
        read_wav(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"tag": 7, "bits": 8}, "packed .mu-law"),
        ({"tag": 99}, "packed .format 99"),
        ({"bits": 12}, "12 bits"),
        ({"tag": 3, "bits": 16}, "16 bits"),
        ({"channels": 0}, "0 channels"),
        ({"channels": 500}, "500 channels"),
        ({"rate": 0}, "at 0 Hz"),
    ],
)
def test_headers_that_are_not_taken(tmp_path: Path, header: dict[str, int], words: str) -> None:
    with pytest.raises(Failed, match=words):
        read_wav(file_of(tmp_path / "a.wav", bytes(64), **header))


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    path = file_of(tmp_path / "a.wav", whole(16))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(Failed, match="ends 50 bytes before its header says"):
        read_wav(path)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.wav"
    content = bytearray(file_of(path, whole(16)).read_bytes())
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, 70), st.integers(0, 255)), max_size=4)):
        content[at] = byte
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        assert np.prod(read_wav(path).values.shape) <= 400
    except Failed as failed:
        assert {d.code for d in failed.diagnostics} == {"E0502"}


@pytest.mark.parametrize("wild", [np.nan, np.inf, 1e300])
@pytest.mark.triggers("E0502")
def test_floats_that_are_no_amplitudes(tmp_path: Path, wild: float) -> None:
    data = np.array([0.0, 0.5, wild], "<f8").tobytes()
    with pytest.raises(Failed, match=r"E0502.*sample 2 is no finite number"):
        read_wav(file_of(tmp_path / "a.wav", data, tag=3, bits=64))
