"""Weights of Caffe, written by protobuf and read by us to the same bits."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from graphdsl.interop.caffe.wire import read_blobs
from graphdsl.report import Failed
from tests.support.caffemodel import encoded, write

RNG = np.random.default_rng(5)
LAYERS = {
    "conv1/7x7_s2": [RNG.standard_normal((3, 2, 5, 4), np.float32), RNG.standard_normal(3, np.float32)],
    "fc é": [RNG.standard_normal((7, 11), np.float32)],
    "edge": [np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38], np.float32)],
}


@pytest.mark.parametrize(("generation", "packed", "shape"), list(product((0, 1, 2), (True, False), (True, False))))
def test_every_generation_reads_to_the_bit(tmp_path: Path, generation: int, packed: bool, shape: bool) -> None:
    file = write(tmp_path / "net.caffemodel", LAYERS, generation=generation, packed=packed, shape=shape)
    found = read_blobs(file)
    assert list(found) == list(LAYERS)
    for name, arrays in LAYERS.items():
        for got, array in zip(found[name], arrays, strict=True):
            sizes = array.shape if shape else (1,) * (4 - array.ndim) + array.shape
            assert (got.dtype, got.shape) == (np.float32, sizes)
            assert got.tobytes() == array.tobytes()


@pytest.mark.parametrize("packed", [True, False])
def test_doubles_are_rounded(tmp_path: Path, packed: bool) -> None:
    exact = [RNG.standard_normal(9)]
    found = read_blobs(write(tmp_path / "net.caffemodel", {"a": exact}, double=True, packed=packed))
    assert np.array_equal(found["a"][0], exact[0].astype(np.float32))


def test_a_blob_of_one_number(tmp_path: Path) -> None:
    found = read_blobs(write(tmp_path / "net.caffemodel", {"a": [np.float32(2.5).reshape(())]}))
    assert found["a"][0].shape == () and found["a"][0] == 2.5


@pytest.mark.parametrize("generation", [1, 2])
def test_a_file_that_is_cut_off_anywhere_is_told(tmp_path: Path, generation: int) -> None:
    whole = encoded({"a": [np.ones((2, 3), np.float32), np.ones(2, np.float32)]}, generation=generation)
    file = tmp_path / "net.caffemodel"
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(Failed, match="E0902"):
            read_blobs(file)


def test_changed_bytes_never_end_in_a_traceback(tmp_path: Path) -> None:
    whole = np.frombuffer(encoded(LAYERS, packed=False), np.uint8)
    file = tmp_path / "net.caffemodel"
    told = 0
    for _ in range(300):
        changed = whole.copy()
        places = RNG.integers(0, len(whole), 3)
        changed[places] = RNG.integers(0, 256, 3)
        file.write_bytes(changed.tobytes())
        try:
            read_blobs(file)
        except Failed as problem:
            assert "E0902" in str(problem)
            told += 1
    assert told


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "no weights"),
        (b"PK\x03\x04 a zip file", "is cut off or no .caffemodel"),
        (b"\x80" * 30, "a number does not end"),
        (b"\x0b\x0c", "no field"),
    ],
)
def test_what_is_no_caffemodel(tmp_path: Path, content: bytes, what: str) -> None:
    file = tmp_path / "net.caffemodel"
    file.write_bytes(content)
    with pytest.raises(Failed, match="E0902") as caught:
        read_blobs(file)
    assert what in str(caught.value)


def test_numbers_and_shape_must_go_together(tmp_path: Path) -> None:
    data = encoded({"ip": [np.ones((2, 3), np.float32)]})
    file = tmp_path / "net.caffemodel"
    file.write_bytes(data.replace(b"\x0a\x02\x02\x03", b"\x0a\x02\x02\x04"))
    with pytest.raises(Failed, match="a blob of `ip` has 6 numbers, and its shape"):
        read_blobs(file)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="E0902"):
        read_blobs(tmp_path / "absent.caffemodel")
