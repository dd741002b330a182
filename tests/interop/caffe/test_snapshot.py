"""Weights that Caffe wrote as HDF5."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphdsl.interop.caffe import read
from graphdsl.interop.caffe.snapshot import read_hdf5
from graphdsl.report import Failed
from tests.interop.caffe.nets import data, layer

h5py = pytest.importorskip("h5py")

ARRAYS = [np.arange(15, dtype=np.float32).reshape(5, 3), np.arange(5, dtype=np.float32)]


def snapshot(path: Path, name: str) -> Path:
    with h5py.File(path, "w") as file:
        for i, array in enumerate(ARRAYS):
            file[f"data/{name}/{i}"] = array
        file["data/empty/x"] = np.ones(2)
        file["diff/other/0"] = np.ones(2)
    return path


@pytest.mark.parametrize("name", ["f", "a/b/fc8"])
def test_reads_to_the_bit(tmp_path: Path, name: str) -> None:
    weights = snapshot(tmp_path / "net.caffemodel.h5", name)
    assert list(read_hdf5(weights)) == [name]
    file = tmp_path / "net.prototxt"
    file.write_text(data(3) + layer("InnerProduct", name, "data", "inner_product_param { num_output: 5 }"))
    made = read(file, weights).layers[0].weights
    assert np.array_equal(made["kernel"], ARRAYS[0].T) and np.array_equal(made["bias"], ARRAYS[1])


def test_damage_is_told(tmp_path: Path) -> None:
    whole = snapshot(tmp_path / "net.h5", "f").read_bytes()
    file = tmp_path / "cut.h5"
    for length in range(4, len(whole) - 1, 97):
        file.write_bytes(whole[:length])
        with pytest.raises(Failed, match="E0902"):
            read_hdf5(file)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["values"] = np.ones(3)
    with pytest.raises(Failed, match="E0902"):
        read_hdf5(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data/none"] = np.ones(3)
    with pytest.raises(Failed, match="it holds no weights of layers"):
        read_hdf5(tmp_path / "x.h5")


def test_numbers_in_other_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(8))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("data/f/0", (2,), "f4", external=[(str(tmp_path / "secret"), 0, 8)])
    with pytest.raises(Failed, match="stand in other files"):
        read_hdf5(tmp_path / "x.h5")
