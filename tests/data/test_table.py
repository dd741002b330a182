"""table: rows joined to their pictures, and every way in which that can go wrong, at its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graphdsl.data import Csv, Dataset, Dense, Images, Joined, Labels, Places, Texts, bind
from graphdsl.data.conform import Wanted
from graphdsl.ir import BATCH, TensorType
from graphdsl.report import Diagnostic, Failed

HOUSES = "4 4.5  4053 85255\n3\t3 3343 36372 \n"
NAMES = ("bedrooms", "bathrooms", "area", "zip")


def paint(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (level, level, level)).save(path)


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    """Two houses, two views of each, grey by number; a third photograph that no row asks for."""
    (tmp_path / "info.txt").write_text(HOUSES)
    for row in (1, 2, 3):
        for i, view in enumerate(("kitchen", "front")):
            paint(tmp_path / f"photos/{row:03d}_{view}.png", 10 * row + i)
    return tmp_path


def read(folder: Path, name: str = "info.txt", **settings: object) -> Dataset:
    settings = {"delimiter": " ", "names": NAMES, **settings} if name == "info.txt" else settings
    return Joined(name, **settings).read(Places(folder))  # type: ignore[arg-type]


def failed(folder: Path, name: str = "info.txt", **settings: object) -> tuple[Diagnostic, ...]:
    with pytest.raises(Failed) as caught:
        read(folder, name, **settings)
    return caught.value.diagnostics


def levels(column: object) -> list[int]:
    assert isinstance(column, Images)
    return column.sized(1, 1, 1).take(np.arange(len(column))).ravel().tolist()


def test_blanks_between_cells_no_header_and_a_column_a_view(houses: Path) -> None:
    dataset = read(houses, categorical=("zip",), pictures=("photos/{row}_{view}.png",))
    assert list(dataset.columns) == [*NAMES, "front", "kitchen"]
    assert dataset.columns["bathrooms"].take(np.arange(2)).tolist() == [4.5, 3.0]
    assert isinstance(dataset.columns["zip"], Labels)
    assert levels(dataset.columns["kitchen"]) == [10, 20], "`001` is row 1"
    assert levels(dataset.columns["front"]) == [11, 21]
    assert dataset.optional == {"front", "kitchen"}, "a spec takes the views that it wants"


def test_a_key_in_the_table(houses: Path) -> None:
    (houses / "t.csv").write_text("id,note,price\nb,a short note about this house,7\na,another note of this kind,8\n")
    paint(houses / "p/a.png", 1)
    paint(houses / "p/b.png", 2)
    dataset = read(houses, "t.csv", pictures=("p/{id}.png",))
    assert levels(dataset.columns["image"]) == [2, 1], "by the key and not by order"
    assert isinstance(dataset.columns["note"], Texts)
    assert isinstance(dataset.columns["price"], Dense)
    assert dataset.optional == {"id", "image"}


def test_a_key_that_is_called_as_its_pictures_gives_way_to_them(houses: Path) -> None:
    (houses / "t.csv").write_text("image,price\nb,7\na,8\n")
    paint(houses / "p/a.png", 1)
    paint(houses / "p/b.png", 2)
    dataset = read(houses, "t.csv", pictures=("p/{image}.png",))
    assert list(dataset.columns) == ["price", "image"]
    assert levels(dataset.columns["image"]) == [2, 1]


def test_a_column_of_paths_is_pictures_beside_the_table(houses: Path) -> None:
    (houses / "photos/t.csv").write_text("photo,kind\n001_front.png,a\n002_front.png,b\n")
    dataset = Csv("photos/t.csv").read(Places(houses))
    assert levels(dataset.columns["photo"]) == [11, 21]
    wanted = Wanted("photo", "input", TensorType((BATCH, 6, 8, 3)))
    batch = bind(dataset, [wanted], spare=True).take(np.arange(2)).arrays["photo"]
    assert batch.shape == (2, 6, 8, 3)
    assert batch[:, 0, 0, 0] == pytest.approx([11 / 255, 21 / 255])
    as_text = Csv("photos/t.csv", text=("photo",)).read(Places(houses))
    assert isinstance(as_text.columns["photo"], Texts)


@pytest.mark.triggers("E0501")
def test_missing_pictures_are_told_by_line_or_left_out(houses: Path) -> None:
    (houses / "photos/002_front.png").unlink()
    [diagnostic] = failed(houses, pictures=("photos/{row}_{view}.png",))
    assert diagnostic.code == "E0501" and diagnostic.message == "row 2 has no file for `front`"
    assert diagnostic.span is not None and (diagnostic.span.line, diagnostic.span.text) == (2, "3\t3 3343 36372 ")
    dataset = read(houses, pictures=("photos/{row}_{view}.png",), missing="drop")
    assert len(dataset) == 1 and dataset.lines == (1,)
    assert levels(dataset.columns["kitchen"]) == [10]

    (houses / "t.csv").write_text("n,photo\n1,photos/001_front.png\n2,photos/nowhere.png\n,photos/003_front.png\n")
    [value, picture] = [*failed(houses, "t.csv"), *failed(houses, "t.csv", ignore=("n",))]
    assert value.code == "E0506"
    assert picture.code == "E0501" and picture.message == "there is no picture `photos/nowhere.png`"
    assert picture.span is not None and (picture.span.line, picture.span.text) == (3, "photos/nowhere.png")
    assert read(houses, "t.csv", missing="drop").lines == (2,)


@pytest.mark.triggers("E0518")
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pictures": ("photos/*_{view}.png",)}, "does not say which file belongs to which row"),
        ({"pictures": ("photos/{row}_{a}.{b}",)}, "has 2 names that are no columns: `a`, `b`"),
        ({"pictures": ("photos/{row}_*.png",)}, "belong to the same row"),
        ({"pictures": ("photos/{row}_front.png", "photos/{row}_kitchen.png")}, "two patterns make a column `image`"),
        ({"names": ("a", "a", "b", "c")}, "`names` has `a` twice"),
        ({"names": ("a", "", "b", "c")}, "`names` has an empty name"),
    ],
)
def test_settings_that_make_no_sense(houses: Path, settings: dict[str, object], words: str) -> None:
    [diagnostic] = failed(houses, **settings)
    assert diagnostic.code == "E0518"
    assert words in diagnostic.message


def test_a_row_of_another_length_is_held_against_names(houses: Path) -> None:
    (houses / "info.txt").write_text('1 2 3 4\n1 "2 and a half" 3\n')
    [diagnostic] = failed(houses)
    assert diagnostic.code == "E0505" and diagnostic.message == "row has 3 values, `names` has 4"
    assert diagnostic.span is not None and diagnostic.span.line == 2


def test_a_wrong_cell_between_blanks_is_underlined(houses: Path) -> None:
    (houses / "info.txt").write_text("1 2 3 4\n  5\t 6  seven 8\n9 9 9 9\n")
    [diagnostic] = failed(houses)
    assert diagnostic.code == "E0506" and diagnostic.message == "`area` needs a number, got `seven`"
    assert diagnostic.span is not None and (diagnostic.span.line, diagnostic.span.text) == (2, "seven")
