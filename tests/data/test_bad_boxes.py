"""What annotations get wrong, form by form: each mistake is told where it stands, or left out, or mended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphdsl.data import READERS, Places
from graphdsl.ir import Made
from graphdsl.report import Failed

Image = pytest.importorskip("PIL.Image")

HEIGHT, WIDTH = 40, 50
GOOD = (5.0, 5.0, 20.0, 30.0)
Corners = tuple[float, float, float, float]
NUMBERS = {"cat": 0, "dog": 1, "cow": 7}


def voc(folder: Path, box: Corners, label: str, picture: str) -> dict[str, Any]:
    def thing(label: str, box: Corners) -> str:
        corners = "".join(
            f"<{side}>{n}</{side}>" for side, n in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        )
        return f"<object>\n<name>{label}</name><bndbox>{corners}</bndbox>\n</object>\n"

    (folder / "Annotations").mkdir()
    text = f"<annotation>\n<filename>{picture}</filename>\n{thing('cat', GOOD)}{thing(label, box)}</annotation>"
    (folder / "Annotations" / f"{Path(picture).stem}.xml").write_text(text)
    (folder / "JPEGImages").symlink_to(folder / "images")
    return {"path": ".", "classes": ("cat", "dog")}


def coco(folder: Path, box: Corners, label: str, picture: str) -> dict[str, Any]:
    def thing(number: int, label: str, box: Corners) -> dict[str, Any]:
        corners = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
        return {"id": number, "image_id": 1, "category_id": NUMBERS[label], "bbox": corners}

    whole = {
        "images": [{"id": 1, "file_name": picture}],
        "categories": [{"id": NUMBERS[name], "name": name} for name in ("cat", "dog")],
        "annotations": [thing(4, "cat", GOOD), thing(5, label, box)],
    }
    (folder / "coco.json").write_text(json.dumps(whole))
    return {"path": "coco.json", "pictures": "images"}


def yolo(folder: Path, box: Corners, label: str, picture: str) -> dict[str, Any]:
    def thing(label: str, box: Corners) -> str:
        middle = (box[0] + box[2]) / 2 / WIDTH, (box[1] + box[3]) / 2 / HEIGHT
        size = (box[2] - box[0]) / WIDTH, (box[3] - box[1]) / HEIGHT
        return " ".join(map(str, (NUMBERS[label], *middle, *size)))

    (folder / "labels").mkdir()
    (folder / "labels" / f"{Path(picture).stem}.txt").write_text(f"{thing('cat', GOOD)}\n{thing(label, box)}\n")
    (folder / "names.txt").write_text("cat\ndog\n")
    (folder / "list.txt").write_text(f"images/{picture}\n")
    return {"path": "list.txt", "names": "names.txt"}


def boxes(folder: Path, box: Corners, label: str, picture: str) -> dict[str, Any]:
    rows = [f"{picture},{','.join(map(str, corners))},{name}" for name, corners in (("cat", GOOD), (label, box))]
    (folder / "boxes.csv").write_text("\n".join(["image,left,top,right,bottom,label", *rows]))
    return {"path": "boxes.csv", "pictures": "images", "classes": ("cat", "dog")}


FORMS: dict[str, tuple[Callable[..., dict[str, Any]], str]] = {
    "voc": (voc, "Annotations/a.xml:6"),
    "coco": (coco, "coco.json: annotation 5"),
    "yolo": (yolo, "labels/a.txt:2"),
    "boxes": (boxes, "boxes.csv:3"),
}
"""How each is written, and where its second box stands."""

MISTAKES: dict[str, tuple[Corners, str, str, Corners | None]] = {
    "outside": ((10, 10, 80, 20), "cat", "reaches beyond the picture", (10, 10, 50, 20)),
    "no width": ((10, 10, 10, 20), "dog", "has no area", None),
    "turned over": ((10, 20, 30, 10), "dog", "has no area", None),
    "no number": ((float("nan"), 10, 20, 20), "dog", "has a number that is not finite", None),
    "endless": ((10, 10, float("inf"), 20), "dog", "has a number that is not finite", None),
    "unknown class": ((10, 10, 20, 20), "cow", "is none of the classes", None),
}
"""A box, its class, what is said of it, and what `clip` makes of it."""


def read(form: str, folder: Path, box: Corners, label: str, bad: str, picture: str = "a.png") -> Any:
    (folder / "images").mkdir()
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(folder / "images" / "a.png")
    settings = FORMS[form][0](folder, box, label, picture)
    made = Made("reader", form, tuple((settings | {"bad": bad}).items()))
    return READERS.build(made).read(Places(folder)).columns["objects"].rows[0]


@pytest.mark.triggers("E0521")
@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("form", FORMS)
def test_a_bad_box_is_told_where_it_stands(tmp_path: Path, form: str, mistake: str) -> None:
    box, label, told, _ = MISTAKES[mistake]
    with pytest.raises(Failed) as caught:
        read(form, tmp_path, box, label, "stop")
    (found,) = caught.value.diagnostics
    assert found.code == "E0521" and found.message == "1 box is wrong"
    advice, *listed = (found.help or "").splitlines()
    assert "`bad=skip`" in advice and "`bad=clip`" in advice
    assert len(listed) == 1 and told in listed[0] and listed[0].strip().startswith(f"{tmp_path / FORMS[form][1]}: ")


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("form", FORMS)
def test_a_bad_box_is_left_out_or_clipped(tmp_path: Path, form: str, mistake: str) -> None:
    box, label, _, clipped = MISTAKES[mistake]
    for bad, kept in (("skip", [GOOD]), ("clip", [GOOD, *([clipped] if clipped else [])])):
        (tmp_path / bad).mkdir()
        rows = read(form, tmp_path / bad, box, label, bad)
        corners = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], axis=1)
        np.testing.assert_allclose(corners * (WIDTH, HEIGHT, WIDTH, HEIGHT), kept, atol=1e-9)


@pytest.mark.triggers("E0502", "E0507")
@pytest.mark.parametrize("bad", ["stop", "skip", "clip"])
@pytest.mark.parametrize("form", FORMS)
def test_a_picture_that_is_not_there(tmp_path: Path, form: str, bad: str) -> None:
    """Never passed over: pictures that are missing are many, or the folder is another."""
    with pytest.raises(Failed) as caught:
        read(form, tmp_path, GOOD, "cat", bad, picture="z.png")
    (found,) = caught.value.diagnostics
    assert found.code in ("E0502", "E0507")
    assert ("z.xml" if form == "voc" else "z.png") in found.message and found.help


@pytest.mark.triggers("E0502")
def test_an_annotation_of_no_picture(tmp_path: Path) -> None:
    settings = coco(tmp_path, GOOD, "cat", "a.png")
    text = (tmp_path / "coco.json").read_text()
    (tmp_path / "coco.json").write_text(text.replace('"image_id": 1', '"image_id": 9'))
    (tmp_path / "images").mkdir()
    with pytest.raises(Failed, match=r"E0502.*annotation 4 is of picture 9, which is none of `images`"):
        READERS.build(Made("reader", "coco", tuple(settings.items()))).read(Places(tmp_path))


BOX = '{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}'
NO_CLASSES = '{"images": [{"id": 1, "file_name": "a.png"}], "annotations": [' + BOX + '], "categories": []}'


@pytest.mark.triggers("E0502")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("9" * 10_000, "a number of thousands of digits"),
        ("[" * 100_000, "nest too deep|no JSON"),
        (NO_CLASSES, "lists none"),
        ("[]", "no JSON of COCO"),
    ],
)
def test_json_that_is_no_set(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "coco.json").write_text(text)
    with pytest.raises(Failed, match=f"E0502.*({why})"):
        READERS["coco"].make(path="coco.json", pictures=".").read(Places(tmp_path))


@pytest.mark.triggers("E0502")
@pytest.mark.parametrize("number", ["-1", "65536", "9" * 5000, "1.5"])
def test_what_is_no_number_of_a_class(tmp_path: Path, number: str) -> None:
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text(f"{number} .5 .5 .2 .2\n")
    with pytest.raises(Failed, match=r"E0502.*a\.txt.*line 1"):
        READERS["yolo"].make(path=".").read(Places(tmp_path))
