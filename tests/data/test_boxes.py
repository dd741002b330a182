"""Boxes from files, and boxes that go where their pictures go: each is held against the rectangle that it is around."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphdsl.data import AUGMENTS, READERS, STEPS, Augment, Batches, Dataset, Dense, Places, Preprocess, Wanted, bind
from graphdsl.data.augment_scenes import Rotate
from graphdsl.ir import BATCH, Array, Made, TensorType, boxes
from graphdsl.report import Failed
from tests.support.shared import DATA, needs

Image = pytest.importorskip("PIL.Image")

COLOURS = {"cat": (255, 0, 0), "dog": (0, 255, 0)}
THINGS = {
    "a.png": (60, 90, [("cat", 12, 20, 30, 41), ("dog", 50, 8, 74, 30)]),
    "b.png": (80, 40, [("dog", 5, 30, 25, 66)]),
    "c.png": (50, 50, []),
}
"""By picture its height, its width, and things: left, top, right, bottom."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The same pictures in four forms."""
    for name in ("images", "JPEGImages", "Annotations", "ImageSets/Main", "labels"):
        (tmp_path / name).mkdir(parents=True)
    lines, annotations = ["image,left,top,right,bottom,label"], []
    for i, (name, (height, width, things)) in enumerate(THINGS.items()):
        pixels = np.zeros((height, width, 3), np.uint8)
        for label, left, top, right, bottom in things:
            pixels[top:bottom, left:right] = COLOURS[label]
            lines.append(f"{name},{left},{top},{right},{bottom},{label}")
            box = {"id": len(annotations), "image_id": i, "category_id": 7 + (label == "dog"), "iscrowd": 0}
            annotations.append(box | {"bbox": [left, top, right - left, bottom - top]})
        lines += [] if things else [f"{name},,,,,"]
        for place in ("images", "JPEGImages"):
            Image.fromarray(pixels).save(tmp_path / place / name)
        (tmp_path / "Annotations" / f"{Path(name).stem}.xml").write_text(xml(name, things))
        rows = [yolo(*thing, height, width) for thing in things]
        (tmp_path / "labels" / f"{Path(name).stem}.txt").write_text("\n".join(rows))
    (tmp_path / "boxes.csv").write_text("\n".join(lines))
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a\nb\nc\n")
    images = [{"id": i, "file_name": name} for i, name in enumerate(THINGS)]
    categories = [{"id": 7, "name": "cat"}, {"id": 8, "name": "dog"}]
    whole = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "coco.json").write_text(json.dumps(whole))
    return tmp_path


def xml(name: str, things: Sequence[Any]) -> str:
    made = [
        f"<object>\n<name>{label}</name><difficult>0</difficult><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox>\n</object>"
        for label, left, top, right, bottom in things
    ]
    return f"<annotation>\n<filename>{name}</filename>\n" + "\n".join(made) + "\n</annotation>"


def yolo(label: str, left: int, top: int, right: int, bottom: int, height: int, width: int) -> str:
    middle = (left + right) / 2 / width, (top + bottom) / 2 / height
    size = (right - left) / width, (bottom - top) / height
    return f"{int(label == 'dog')} " + " ".join(f"{number:.9f}" for number in (*middle, *size))


FORMS = {
    "voc": {"path": ".", "part": "train"},
    "coco": {"path": "coco.json", "pictures": "images"},
    "yolo": {"path": "images", "names": "names.txt"},
    "boxes": {"path": "boxes.csv", "pictures": "images"},
}


def read(form: str, folder: Path, **settings: Any) -> Dataset:
    return READERS.build(Made("reader", form, tuple((FORMS[form] | settings).items()))).read(Places(folder))


def batches(data: Dataset, steps: Sequence[Made] = (), changes: Sequence[Made] = (), side: int = 48) -> Batches:
    wanted = [
        Wanted("image", "input", TensorType((BATCH, side, side, 3))),
        Wanted("objects", "target", TensorType((BATCH, 4, 5), kind=boxes(2))),
    ]
    made: tuple[Augment, ...] = tuple(AUGMENTS.build(change) for change in changes)
    recipe = Preprocess(tuple(STEPS.build(step) for step in steps), None, ("",) * len(steps))
    bound = bind(data, wanted, augments=dict.fromkeys(("image", "objects"), made), preprocess={"image": recipe})
    return Batches(bound, 3, training=True)


@pytest.mark.parametrize("form", FORMS)
def test_four_forms_say_the_same(folder: Path, form: str) -> None:
    data = read(form, folder)
    column: Any = data.columns["objects"]
    assert column.classes == ("cat", "dog") and [len(row) for row in column.rows] == [2, 1, 0]
    np.testing.assert_allclose(column.rows[0][0], [21 / 90, 30.5 / 60, 18 / 90, 21 / 60, 0], atol=1e-7)
    np.testing.assert_allclose(column.rows[1][0], [15 / 40, 48 / 80, 20 / 40, 36 / 80, 1], atol=1e-7)


def around(picture: Array, label: int, strength: float) -> Array | None:
    """Left, top, right and bottom of what has the colour of a class, in pixels."""
    there = picture[..., label] > strength
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) if len(rows) else None


def held(arrays: Any, tolerance: float, strength: float = 0.5) -> int:
    """How many boxes are around just what has their colour; all must be, and all that is coloured has a box."""
    side, right = arrays["image"].shape[1], 0
    for picture, rows in zip(arrays["image"], arrays["objects"], strict=True):
        known = {int(row[4]): row for row in rows if row[2] > 0}
        for label in (0, 1):
            seen, row = around(picture, label, strength), known.get(label)
            if row is None:
                assert seen is None or min(seen[2] - seen[0], seen[3] - seen[1]) < 0.5 * side
                continue
            corners = [*(row[:2] - row[2:4] / 2), *(row[:2] + row[2:4] / 2)]
            assert seen is not None
            np.testing.assert_allclose(np.array(corners) * side, seen, atol=tolerance)
            right += 1
    return right


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [Made("preprocess", "resize", (("size", 48), ("mode", "stretch")))],
        [Made("preprocess", "resize", (("size", 48), ("mode", "fit")))],
        [Made("preprocess", "resize", (("size", 52),)), Made("preprocess", "center_crop", (("size", 48),))],
        [
            Made("preprocess", "resize", (("size", 60), ("mode", "stretch"))),
            Made("preprocess", "crop", (("left", 2), ("top", 9), ("right", 50), ("bottom", 57))),
        ],
    ],
    ids=["cover", "stretch", "fit", "cover and crop", "stretch and crop"],
)
def test_boxes_go_through_preprocess(folder: Path, steps: list[Made]) -> None:
    (batch,) = batches(read("voc", folder), steps).epoch()
    assert held(batch.arrays, 1.0) >= 2


CHANGES = {
    "flip": (("chance", 1.0),),
    "random_crop": (("size", 48), ("pad", 6)),
    "shift": (("by", 0.2),),
    "zoom": (("by", 0.3),),
    "cutout": (("size", 1),),
    "brightness": (("by", 0.05),),
    "contrast": (("by", 0.05),),
    "colour": (("by", 0.05),),
}


def test_a_box_that_is_turned_is_the_one_around_it() -> None:
    """A quarter turn clockwise, half of it above the picture; and an eighth."""
    turn, picture = Rotate(180.0), (40, 80, 3)
    left, middle = ([np.array([[x, 0.5, 0.25, 0.25, 1.0]])] for x in (0.25, 0.5))
    (quarter,) = turn.follow(left, picture, (np.array([np.pi / 2]),))
    np.testing.assert_allclose(quarter, [[0.5, 0.125, 0.125, 0.25, 1.0]], atol=1e-12)
    (eighth,) = turn.follow(middle, picture, (np.array([np.pi / 4]),))
    np.testing.assert_allclose(eighth[0, 2:4] * (80, 40), [30 / 2**0.5] * 2)


@pytest.mark.parametrize("word", CHANGES)
def test_boxes_go_through_changes_at_random(folder: Path, word: str) -> None:
    """Twice the same, and behind another change that draws numbers of its own."""
    changes = [Made("augment", "colour", ()), Made("augment", word, CHANGES[word])]
    made = batches(read("voc", folder), [Made("preprocess", "resize", (("size", 48), ("mode", "stretch")))], changes)
    assert sum(held(batch.arrays, 1.3, 0.4) for epoch in range(8) for batch in made.epoch(epoch)) > 12
    one, two = (next(iter(made.epoch(3))).arrays["objects"] for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_a_flip_from_top_to_bottom(folder: Path) -> None:
    changes = [Made("augment", "flip", (("chance", 1.0), ("vertical", True)))]
    (batch,) = batches(read("voc", folder), changes=changes).epoch()
    assert held(batch.arrays, 1.0) >= 2


def test_a_mosaic_has_the_boxes_of_four(folder: Path) -> None:
    """Every corner of a box lies at an edge of its colour: outside of it there is another."""
    made = batches(
        read("voc", folder),
        [Made("preprocess", "resize", (("size", 48), ("mode", "stretch")))],
        [Made("augment", "mosaic", (("chance", 1.0),))],
    )
    seen = 0
    for epoch in range(10):
        (batch,) = made.epoch(epoch)
        for picture, rows in zip(batch.arrays["image"], batch.arrays["objects"], strict=True):
            for x, y, width, height, label in rows[rows[:, 2] > 0]:
                left, top = round((x - width / 2) * 48), round((y - height / 2) * 48)
                right, bottom = round((x + width / 2) * 48), round((y + height / 2) * 48)
                inside = picture[top + 1 : bottom - 1, left + 1 : right - 1, int(label)]
                assert inside.size and inside.min() > 0.5
                seen += 1
    assert seen > 20


@pytest.mark.triggers("E0518")
def test_boxes_must_be_told_of_what_moves(folder: Path) -> None:
    data, flip = read("voc", folder), AUGMENTS.build(Made("augment", "flip", ()))
    wanted = [
        Wanted("image", "input", TensorType((BATCH, 48, 48, 3))),
        Wanted("objects", "target", TensorType((BATCH, 4, 5), kind=boxes(2))),
    ]
    with pytest.raises(Failed, match=r"E0518.*`augment` moves things.*\[image, objects\] -> flip"):
        bind(data, wanted, augments={"image": (flip,)})
    with pytest.raises(Failed, match=r"E0518.*no picture.*\[image, objects\] -> flip"):
        bind(data, wanted, augments={"objects": (flip,)})


@pytest.mark.triggers("E0507")
def test_a_picture_that_is_not_there_is_no_damaged_one(folder: Path) -> None:
    (folder / "boxes.csv").write_text("image,left,top,right,bottom,label\nz.png,1,2,8,9,cat\n")
    with pytest.raises(Failed, match=r"E0507.*no picture `\S*z\.png`(?s:.*)looked in `\S+`: `pictures=`"):
        read("boxes", folder)


@pytest.mark.triggers("E0521")
@pytest.mark.parametrize("form", ["voc", "boxes"])
def test_bad_boxes_are_listed_by_file_and_line(folder: Path, form: str) -> None:
    things = [("cat", 5, 5, 5, 9), ("dog", 20, 20, 99, 30), ("cow", 1, 2, 8, 9)]
    (folder / "Annotations" / "b.xml").write_text(xml("b.png", things))
    text = "image,left,top,right,bottom,label\n" + "\n".join(f"b.png,{a},{b},{c},{d},{k}" for k, a, b, c, d in things)
    (folder / "boxes.csv").write_text(text)
    with pytest.raises(Failed) as caught:
        read(form, folder, classes=("cat", "dog"))
    (found,) = caught.value.diagnostics
    assert found.code == "E0521" and found.message == "3 boxes are wrong"
    file, lines = (folder / "Annotations/b.xml", (3, 6, 9)) if form == "voc" else (folder / "boxes.csv", (2, 3, 4))
    for line, why in zip(lines, ("has no area", "reaches beyond the picture, 40 x 80", "`cow` is none"), strict=True):
        assert any(f"{file}:{line}: " in told and why in told for told in (found.help or "").splitlines())
    kept: Any = read(form, folder, classes=("cat", "dog"), bad="skip").columns["objects"]
    assert sum(map(len, kept.rows)) == (2 if form == "voc" else 0)
    cut: Any = read(form, folder, classes=("cat", "dog"), bad="clip").columns["objects"]
    row = next(row for row in cut.rows if len(row) == 1)[0]
    np.testing.assert_allclose(row, [30 / 40, 25 / 80, 20 / 40, 10 / 80, 1])


@pytest.mark.triggers("E0513", "E0515", "E0517")
def test_what_does_not_fit_the_target(folder: Path) -> None:
    data = read("voc", folder)
    image = Wanted("image", "input", TensorType((BATCH, 48, 48, 3)))

    def bound(n: int, m: int, **known: Any) -> Any:
        return bind(data, [image, Wanted("objects", "target", TensorType((BATCH, m, 5), kind=boxes(n)))], **known)

    with pytest.raises(Failed, match=r"E0513.*has 2 boxes in `objects`; target `objects` takes up to 1"):
        bound(2, 1)
    with pytest.raises(Failed, match=r"E0515.*2 classes \(cat, dog\); target `objects` has 1"):
        bound(1, 4)
    with pytest.raises(Failed, match=r"E0517.*`cat` is no class that target `objects` was trained on"):
        bound(2, 4, names={"objects": ("dog", "hen")})
    assert bound(2, 4, names={"objects": ("dog", "cat")}).take(np.array([1])).arrays["objects"][0, 0, 4] == 0


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("<annotation><object></annotation>", "line 1: mismatched tag"),
        ("<annotation>\n<object><name>cat</name></object></annotation>", "line 2: an object without 'xmin'"),
        (xml("a.png", [("cat", "wide", 2, 3, 4)]), "could not convert string to float: 'wide'"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><annotation/>", "declares a document type"),
    ],
)
@pytest.mark.triggers("E0502")
def test_malformed_xml(folder: Path, text: str, part: str) -> None:
    (folder / "Annotations" / "a.xml").write_text(text)
    with pytest.raises(Failed, match="E0502") as caught:
        read("voc", folder)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (b"{", "line 1, column 2: it is no JSON: expecting property name"),
        (b'{"images": [],\n "annotations": [,]}', "line 2, column 18: it is no JSON: expecting value"),
        (b'{"images":\n\n "\xff"}', "line 3: it is no text in UTF-8"),
        (b"[" * 100_000, "brackets nest too deep"),
        (b"[]", "no JSON of COCO"),
        (b'{"categories": [], "images": [{}]}', "no JSON of COCO: `(id|annotations)` is missing"),
        (b'{"images": [], "annotations": [{"bbox": 3}], "categories": []}', "no JSON of COCO"),
    ],
)
@pytest.mark.triggers("E0502")
def test_malformed_json(folder: Path, text: bytes, part: str) -> None:
    (folder / "coco.json").write_bytes(text)
    with pytest.raises(Failed, match=f"E0502.*({part})"):
        read("coco", folder)


@pytest.mark.parametrize("file", ["labels/a.txt", "names.txt"])
@pytest.mark.triggers("E0502")
def test_texts_are_utf_8(folder: Path, file: str) -> None:
    (folder / file).write_bytes(b"0 0.5 0.5 0.1 0.1\n\xff")
    (folder / "names.txt").touch()
    with pytest.raises(Failed, match=r"E0502.*line 2 is no text in UTF-8"):
        read("yolo", folder, names=str(folder / "names.txt") if file == "names.txt" else None)


@needs("bccd")
def test_blood_cells(tmp_path: Path) -> None:
    """The parts that are published as train and val: one box of each has no area."""
    for part, pictures in (("train", 205), ("val", 87)):
        words = (("path", str(DATA / "bccd")), ("part", part))
        with pytest.raises(Failed, match=r"E0521.*1 box is wrong"):
            READERS.build(Made("reader", "voc", words)).read(Places(tmp_path))
        kept: Any = READERS.build(Made("reader", "voc", (*words, ("bad", "skip")))).read(Places(tmp_path))
        marked = sum(file.read_text().count("<object>") for file in annotations(part))
        assert (len(kept), sum(map(len, kept.columns["objects"].rows))) == (pictures, marked - 1)


def annotations(part: str) -> list[Path]:
    names = (DATA / "bccd" / "ImageSets" / "Main" / f"{part}.txt").read_text().split()
    return [DATA / "bccd" / "Annotations" / f"{name}.xml" for name in names]


NO_PICTURE = '{"images": [{"id": 1e999, "file_name": "a.png"}], "annotations": [], "categories": []}'


@pytest.mark.parametrize(
    ("form", "file", "text", "part"),
    [
        ("coco", "coco.json", NO_PICTURE, "E0502.*no JSON of COCO: cannot convert float infinity"),
        ("coco", "coco.json", "[1, 2]", "E0502.*no JSON of COCO: list indices"),
        ("yolo", "labels/a.txt", "\n\n0 0.5 0.5 wide 0.1", "E0502.*line 3: `0 0.5 0.5 wide 0.1`"),
        ("yolo", "labels/a.txt", "99999999999 0.5 0.5 0.1 0.1", "E0502.*line 1: class 99999999999"),
        ("boxes", "boxes.csv", "image,left,top,right,label\n", "E0502.*no column for bottom"),
        ("boxes", "boxes.csv", "image,left,top,right,bottom,label\na.png,1,2,x,4,cat", "E0502.*boxes.csv:2.*1,2,x,4"),
        ("boxes", "boxes.csv", "image,left,top,right,bottom,label\na.png,1,2", "E0505.*row has 3 values"),
        ("boxes", "boxes.csv", f"image,left,top,right,bottom,label\n{'a' * 200_000},1,2,3,4,cat", "E0505.*field limit"),
        ("boxes", "boxes.csv", 'image,left,top,right,bottom,label\na.png,1,2,3,4,"cat', "E0505"),
    ],
)
@pytest.mark.triggers("E0502", "E0505")
def test_malformed_files(folder: Path, form: str, file: str, text: str, part: str) -> None:
    (folder / file).write_text(text)
    with pytest.raises(Failed, match=part):
        read(form, folder, **({} if form != "yolo" else {"names": None}))


@pytest.mark.parametrize(("label", "part"), [(2, "E0515"), (-1, "E0515"), (0.5, "E0515"), (np.nan, "E0516")])
@pytest.mark.triggers("E0515", "E0516")
def test_classes_of_arrays_are_numbers_that_there_are(label: float, part: str) -> None:
    def bound(label: float) -> Array:
        rows = np.array([[[0.5, 0.5, 0.2, 0.2, label]]], np.float32)
        data = Dataset({"image": Dense(np.zeros((1, 48, 48, 3), np.float32)), "objects": Dense(rows)})
        wanted = [
            Wanted("image", "input", TensorType((BATCH, 48, 48, 3))),
            Wanted("objects", "target", TensorType((BATCH, 4, 5), kind=boxes(2))),
        ]
        found: Array = bind(data, wanted).take(np.array([0])).arrays["objects"]
        return found

    assert bound(1)[0, 0, 4] == 1
    with pytest.raises(Failed, match=part):
        bound(label)
