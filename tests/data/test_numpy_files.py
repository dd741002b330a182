"""npz and npy: what is read, and files that are damaged, malicious or of another kind."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

import graphdsl.data.numpy_files as numpy_files
from graphdsl.data import Npy, Npz, Places
from graphdsl.report import Failed


def failed(reader: Npz | Npy, folder: Path) -> str:
    """The one diagnostic that reading gives, as text."""
    with pytest.raises(Failed) as caught:
        reader.read(Places(folder))
    return str(caught.value)


def npy_bytes(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_npz_gives_its_arrays_by_name(tmp_path: Path) -> None:
    x = np.arange(12, dtype=np.float32).reshape(4, 3, order="F")
    np.savez_compressed(tmp_path / "d.npz", x=np.asfortranarray(x), y=np.arange(4), big=np.arange(4, dtype=">i4"))
    dataset = Npz("d.npz").read(Places(tmp_path))
    rows = np.array([3, 0])
    assert list(dataset.columns) == ["x", "y", "big"]
    np.testing.assert_array_equal(dataset.columns["x"].take(rows), x[rows])
    np.testing.assert_array_equal(dataset.columns["big"].take(rows), rows)
    assert dataset.roles == {"x": "input", "y": "target"}


def test_npz_part_and_ignore(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x_train=np.zeros((3, 2)), y_train=np.zeros(3), x_test=np.zeros((2, 2)))
    assert list(Npz("d.npz", part="train").read(Places(tmp_path)).columns) == ["x", "y"]
    assert list(Npz("d.npz", part="train", ignore=("y",)).read(Places(tmp_path)).columns) == ["x"]
    assert "E0518" in failed(Npz("d.npz", part="dev"), tmp_path)
    assert "E0518" in failed(Npz("d.npz", ignore=("z",)), tmp_path)


def test_npy_is_mapped_and_a_folder_is_a_column_for_each_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(6.0).reshape(3, 2))
    np.save(tmp_path / "y.npy", np.asfortranarray(np.arange(6).reshape(3, 2)))
    dataset = Npy(str(tmp_path)).read(Places())
    assert isinstance(dataset.columns["x"].values, np.memmap)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(dataset.columns["y"].take(np.array([1])), [[2, 3]])


def test_texts_are_class_names(tmp_path: Path) -> None:
    np.save(tmp_path / "kind.npy", np.array(["cat", "ant", "cat"]))
    column = Npy("kind.npy").read(Places(tmp_path)).columns["kind"]
    assert column.classes == ("ant", "cat")  # type: ignore[attr-defined]
    np.testing.assert_array_equal(column.take(np.arange(3)), [1, 0, 1])


@pytest.mark.triggers("E0503")
@pytest.mark.parametrize("name", ["d.npz", "d.npy"])
def test_pickled_objects_are_refused(tmp_path: Path, name: str) -> None:
    objects = np.array([{"a": 1}], dtype=object)
    np.save(tmp_path / "d.npy", objects)
    np.savez(tmp_path / "d.npz", x=objects)
    text = failed(Npz(name) if name.endswith("z") else Npy(name), tmp_path)
    assert "E0503" in text and "pickled" in text


@pytest.mark.triggers("E0502")
@pytest.mark.parametrize("keep", [0, 5, 40, 100, 200])
def test_truncated_files(tmp_path: Path, keep: int) -> None:
    content = npy_bytes(np.arange(50.0))
    (tmp_path / "x.npy").write_bytes(content[:keep])
    np.savez(tmp_path / "whole.npz", x=np.arange(50.0))
    (tmp_path / "x.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:keep])
    assert "E0502" in failed(Npy("x.npy"), tmp_path)
    assert "E0502" in failed(Npz("x.npz"), tmp_path)


def test_a_header_that_claims_too_much_allocates_nothing(tmp_path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (900000000000, 8), }"
    claim = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n" + b"\0" * 64
    (tmp_path / "x.npy").write_bytes(claim)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", claim)
    assert "it ends before" in failed(Npy("x.npy"), tmp_path)
    assert "it ends before" in failed(Npz("x.npz"), tmp_path)


@pytest.mark.parametrize("shape", ["(-1, 2)", "(2.5,)", "__import__('os')", "("])
def test_nonsense_in_a_header(tmp_path: Path, shape: str) -> None:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    assert "E0502" in failed(Npy("x.npy"), tmp_path)


def test_structures_and_dates_are_no_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", np.zeros(3, [("a", "f4")]))
    np.save(tmp_path / "d.npy", np.zeros(3, "datetime64[s]"))
    assert "E0502" in failed(Npy("s.npy"), tmp_path)
    assert "E0502" in failed(Npy("d.npy"), tmp_path)


@pytest.mark.triggers("E0504")
def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_files, "LARGEST_UNPACKED", 10_000)
    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros(1000), b=np.zeros(1000))
    text = failed(Npz("bomb.npz"), tmp_path)
    assert "E0504" in text and "10,000 bytes" in text


@pytest.mark.triggers("E0509")
def test_columns_of_different_length(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((10, 3)), y=np.zeros(9))
    text = failed(Npz("d.npz"), tmp_path)
    assert "E0509" in text and "`x` 10, `y` 9" in text


@pytest.mark.triggers("E0508")
def test_no_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((0, 3)))
    (tmp_path / "empty").mkdir()
    assert "E0508" in failed(Npy("x.npy"), tmp_path)
    assert "E0508" in failed(Npy("empty"), tmp_path)


@pytest.mark.triggers("E0501")
def test_a_missing_file_tells_both_places_and_a_near_name(tmp_path: Path) -> None:
    np.save(tmp_path / "train.npy", np.zeros(3))
    text = failed(Npy("trian.npy"), tmp_path)
    assert "E0501" in text
    assert f"`{tmp_path / 'trian.npy'}` and `trian.npy`" in text
    assert f"did you mean `{tmp_path / 'train.npy'}`?" in text


def test_the_folder_of_the_spec_comes_first(tmp_path: Path) -> None:
    spec, working = tmp_path / "spec", tmp_path / "working"
    for folder, value in ((spec, 1.0), (working, 2.0)):
        folder.mkdir()
        np.save(folder / "x.npy", np.array([value]))
    np.save(working / "y.npy", np.array([3.0]))
    places = Places(spec, working)
    assert Npy("x.npy").read(places).columns["x"].take(np.array([0]))[0] == 1
    assert Npy("y.npy").read(places).columns["y"].take(np.array([0]))[0] == 3
