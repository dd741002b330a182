"""MNIST's format, from files made here and from the real set where it is at hand; the built-in digits."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

import graphdsl.data.idx as idx
from graphdsl.data import Digits, Idx, Places
from graphdsl.data.files import read_bytes
from graphdsl.report import Failed
from tests.support.shared import DATA

MNIST = DATA / "mnist"


def idx_bytes(array: np.ndarray, code: int = 8) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape) + array.tobytes()


def write_set(folder: Path, ending: str = "", mark: str = "-") -> None:
    for prefix, count in (("train", 6), ("t10k", 4)):
        images = np.arange(count * 6, dtype=np.uint8).reshape(count, 2, 3)
        write(folder / f"{prefix}-images{mark}idx3-ubyte{ending}", idx_bytes(images))
        write(folder / f"{prefix}-labels{mark}idx1-ubyte{ending}", idx_bytes(np.arange(count, dtype=np.uint8)))


def write(path: Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def failed(reader: Idx, folder: Path) -> str:
    with pytest.raises(Failed) as caught:
        reader.read(Places(folder))
    return str(caught.value)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("mark", ["-", "."])
def test_a_folder_with_the_usual_names(tmp_path: Path, ending: str, mark: str) -> None:
    write_set(tmp_path, ending, mark)
    train, test = Idx(".").read(Places(tmp_path)), Idx(".", split="test").read(Places(tmp_path))
    assert (len(train), len(test)) == (6, 4)
    assert train.columns["image"].shape == (2, 3, 1)
    np.testing.assert_array_equal(train.columns["image"].take(np.array([1])).ravel(), np.arange(6, 12))
    np.testing.assert_array_equal(train.columns["label"].take(np.arange(6)), np.arange(6))


def test_a_file_of_pictures_finds_its_labels(tmp_path: Path) -> None:
    write_set(tmp_path)
    assert len(Idx("t10k-images-idx3-ubyte").read(Places(tmp_path))) == 4


@pytest.mark.parametrize(("code", "dtype"), [(9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")])
def test_every_element_type(tmp_path: Path, code: int, dtype: str) -> None:
    values = np.array([[1, -2], [3, 4]], dtype)
    write(tmp_path / "x", idx_bytes(values, code))
    np.testing.assert_array_equal(idx.read_idx(tmp_path / "x"), values)


WHOLE = idx_bytes(np.zeros((2, 2, 2), np.uint8))
DAMAGED = [b"", b"\0\0", b"PK\3\4 zip", WHOLE[:9], WHOLE[:-1], WHOLE + b"x", b"\0\0\x08\0", b"\0\0\x08\xff"]


@pytest.mark.parametrize("content", [*DAMAGED, struct.pack(">HBB3I", 0, 8, 3, *[2**32 - 1] * 3)])
def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    write_set(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    assert "E0502" in failed(Idx("."), tmp_path)


def test_a_damaged_gzip(tmp_path: Path) -> None:
    write_set(tmp_path, ".gz")
    path = tmp_path / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for content in (b"no gzip", whole[:12], whole[:-9], whole[:14] + b"\xff\xff" + whole[16:]):
        path.write_bytes(content)
        assert "E0502" in failed(Idx("."), tmp_path)


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(bytes(100_000)))
    with pytest.raises(Failed, match="E0504"):
        read_bytes(tmp_path / "x.gz", 5000)


def test_missing_labels(tmp_path: Path) -> None:
    write(tmp_path / "train-images-idx3-ubyte", WHOLE)
    assert "no file `train-labels-idx1-ubyte`" in failed(Idx("."), tmp_path)
    assert "E0501" in failed(Idx("train-images-idx3-ubyte"), tmp_path)
    write(tmp_path / "train-labels-idx1-ubyte", WHOLE)
    assert "not one label for each picture" in failed(Idx("."), tmp_path)


@pytest.mark.skipif(not MNIST.is_dir(), reason="the MNIST files are not at hand (set GRAPHDSL_SHARED)")
def test_the_real_mnist() -> None:
    train = Idx(str(MNIST)).read(Places())
    test = Idx(str(MNIST), split="test").read(Places())
    assert (len(train), len(test)) == (60_000, 10_000)
    assert train.columns["image"].shape == (28, 28, 1)
    first = train.columns["label"].take(np.arange(10))
    np.testing.assert_array_equal(first, [5, 0, 4, 1, 9, 2, 1, 3, 1, 4])


def test_the_digits_in_the_package() -> None:
    whole, train, test = (Digits(part=part).read(Places()) for part in ("all", "train", "test"))
    assert (len(whole), len(train), len(test)) == (1797, 1438, 359)
    images, labels = whole.columns["image"].take(np.arange(1797)), whole.columns["label"].take(np.arange(1797))
    assert images.shape == (1797, 8, 8, 1) and images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    np.testing.assert_array_equal(test.columns["image"].take(np.array([0]))[0], images[4])
