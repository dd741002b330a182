"""Data named on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graphdsl.cli.given import class_names, dataset
from graphdsl.report import Failed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a file of each kind."""
    for name in ("a.png", "b.jpg", "in/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8)).save(tmp_path / name)
    np.save(tmp_path / "x.npy", np.zeros((3, 2)))
    np.savez(tmp_path / "x.npz", left=np.zeros((3, 2)), right=np.zeros((3, 1)))
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "notes.docx").write_text("?")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("paths", "columns", "rows"),
    [
        (("a.png",), {"image"}, 1),
        (("a.png", "b.jpg"), {"image"}, 2),
        (("in",), {"image"}, 1),
        (("in", "a.png"), {"image"}, 2),
        (("*.png",), {"image"}, 1),
        (("**/*.png",), {"image"}, 2),
        (("{letter}.png",), {"image", "letter"}, 1),
        (("{letter}.png", "in/{letter}.png"), {"image", "letter"}, 2),
        (("x.npy",), {"x"}, 3),
        (("x.npz",), {"left", "right"}, 3),
        (("x.csv",), {"a", "b"}, 2),
    ],
)
def test_kinds_of_files(folder: Path, paths: tuple[str, ...], columns: set[str], rows: int) -> None:
    found = dataset(paths)
    assert found is not None
    assert set(found.columns) == columns
    assert len(found) == rows


def test_nothing_given_means_the_data_of_the_spec() -> None:
    assert dataset(()) is None


@pytest.mark.triggers("E0519")
@pytest.mark.parametrize("paths", [("notes.docx",), ("a.png", "x.npz"), ("x.npz", "x.csv"), ("in", "notes.docx")])
def test_what_cannot_be_read(folder: Path, paths: tuple[str, ...]) -> None:
    with pytest.raises(Failed, match="E0519"):
        dataset(paths)


@pytest.mark.parametrize("path", ["b.png", "*.gif"])
def test_a_missing_file(folder: Path, path: str) -> None:
    with pytest.raises(Failed, match="E0501"):
        dataset((path,))


@pytest.mark.parametrize(
    ("text", "names"),
    [("cat\ngreat dog\n", ("cat", "great dog")), ("0,cat\n1,great dog, dog\n\n", ("cat", "great dog, dog"))],
)
def test_names_of_classes(folder: Path, text: str, names: tuple[str, ...]) -> None:
    (folder / "names.txt").write_text(text)
    assert class_names("names.txt") == names


@pytest.mark.triggers("E0502")
@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n", b"cat\0dog", "cat\nMäuse".encode("latin-1"), "cat".encode("utf-16")]
)
def test_names_of_classes_are_text(folder: Path, content: bytes) -> None:
    Path("names.txt").write_bytes(content)
    with pytest.raises(Failed, match=r"E0502.*no text in UTF-8"):
        class_names("names.txt")


def test_a_byte_order_mark_is_in_no_name(folder: Path) -> None:
    Path("names.txt").write_text("cat\ndog\n", encoding="utf-8-sig")
    assert class_names("names.txt") == ("cat", "dog")


def test_names_of_classes_that_are_nowhere(folder: Path) -> None:
    with pytest.raises(Failed, match=r"E0501.*there is no file `nmes.txt`"):
        class_names("nmes.txt")


def test_a_number_in_a_name_is_no_number_of_a_line(folder: Path) -> None:
    (folder / "names.txt").write_text("0 percent\nfat\n")
    assert class_names("names.txt") == ("0 percent", "fat")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('["cat", "dog"]', ("cat", "dog")),
        ('{"a": 1, "b": 3}', ("<unknown>", "a", "<unknown>", "b")),
        ('{"\\n": 0, "b": 1}', ("\n", "b")),
    ],
)
def test_names_of_classes_in_json(
    text: str, names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("names.json").write_text(text)
    assert class_names("names.json") == names


@pytest.mark.parametrize(
    "text", ["{", "[1]", "{}", '{"a": -1}', '{"a": true}', '{"a": 1.5}', "[" * 100_000, '{"a": 99999999}']
)
def test_json_without_names(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("names.json").write_text(text)
    with pytest.raises(Failed, match="E0502"):
        class_names("names.json")
