"""Points from files, and points that go where their pictures go: each is held against the blob it is the middle of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphdsl.data import AUGMENTS, READERS, STEPS, Batches, Dataset, Dense, Places, Preprocess, Wanted, bind
from graphdsl.data import read as handed_out
from graphdsl.data.points import ORDERS
from graphdsl.ir import BATCH, POINTS, Array, Made, SettingError, TensorType
from graphdsl.report import Failed
from tests.support.shared import DATA, needs

Image = pytest.importorskip("PIL.Image")

NAN = float("nan")
PLACES = {
    "ann_01.png": (60, 90, [(25.0, 20.0), (61.5, 24.0), (44.0, 40.25)]),
    "ann_02.png": (80, 50, [(15.0, 30.0), (33.0, 31.0), (24.0, 51.0)]),
    "bob_01.png": (64, 64, [(20.0, 22.0), (44.0, 20.0), (30.0, 45.0)]),
}
"""By picture its height, its width, and the pixels of three points; each has a channel in which it is a blob."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The same pictures with a table and with .pts files."""
    (tmp_path / "faces").mkdir()
    lines = [",0,1,2,3,4,5"]
    for name, (height, width, points) in PLACES.items():
        y, x = np.mgrid[:height, :width]
        blobs = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / 8) for px, py in points]
        Image.fromarray(np.round(255 * np.stack(blobs, -1)).astype(np.uint8)).save(tmp_path / "faces" / name)
        lines.append(",".join([name, *(f"{number}" for point in points for number in point)]))
        rows = "\n".join(f"{px + 1} {py + 1}" for px, py in points)
        (tmp_path / "faces" / name).with_suffix(".pts").write_text(f"version: 1\nn_points:  3\n{{\n{rows}\n}}\n")
    (tmp_path / "points.csv").write_text("\n".join(lines))
    return tmp_path


FORMS: dict[str, dict[str, Any]] = {"points": {"path": "points.csv", "pictures": "faces"}, "pts": {"path": "faces"}}


def read(form: str, folder: Path, **settings: Any) -> Dataset:
    made: Dataset = READERS.build(Made("reader", form, tuple((FORMS[form] | settings).items()))).read(Places(folder))
    return made


def batches(data: Dataset, steps: Sequence[Made] = (), changes: Sequence[Made] = ()) -> Batches:
    wanted = [
        Wanted("image", "input", TensorType((BATCH, 48, 48, 3))),
        Wanted("points", "target", TensorType((BATCH, 3, 2), kind=POINTS)),
    ]
    augments = tuple(AUGMENTS.build(change) for change in changes)
    recipe = Preprocess(tuple(STEPS.build(step) for step in steps), None, tuple(map(str, range(len(steps)))))
    bound = bind(
        data,
        wanted,
        preprocess={"image": recipe} if steps else {},
        augments=dict.fromkeys(("image", "points"), augments) if augments else {},
    )
    return Batches(bound, 8, training=bool(changes), seed=4)


def apart(arrays: Any, order: Sequence[int] = (0, 1, 2)) -> Array:
    """How many pixels the points of each picture are from the middles of their blobs, in the channels of this order."""
    places = (np.arange(48) + 0.5) / 48
    light = np.asarray(arrays["image"], np.float64)[..., list(order)]
    total = light.sum(axis=(1, 2))
    middle = np.stack([np.einsum("nyxc,x->nc", light, places), np.einsum("nyxc,y->nc", light, places)], -1)
    return np.asarray(np.abs(middle / total[..., None] - arrays["points"]).max(axis=(1, 2)) * 48)


def test_both_forms_say_the_same(folder: Path) -> None:
    """.pts files count pixels from 1, the table from 0."""
    one, two = (read(form, folder).columns["points"] for form in FORMS)
    np.testing.assert_allclose(one.take(np.arange(3)), two.take(np.arange(3)), atol=1e-12)
    height, width, points = PLACES["ann_01.png"]
    expected = [((x + 0.5) / width, (y + 0.5) / height) for x, y in points]
    np.testing.assert_allclose(one.take(np.array([0]))[0], expected)


STRETCH = Made("preprocess", "resize", (("size", 48), ("mode", "stretch")))


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [STRETCH],
        [Made("preprocess", "resize", (("size", 48), ("mode", "fit")))],
        [Made("preprocess", "resize", (("size", 52),)), Made("preprocess", "center_crop", (("size", 48),))],
    ],
    ids=["cover", "stretch", "fit", "cover and crop"],
)
def test_points_go_through_preprocess(folder: Path, steps: list[Made]) -> None:
    (batch,) = batches(read("points", folder), steps).epoch()
    assert apart(batch.arrays).max() < (0.35 if steps else 0.6)


CHANGES: dict[str, tuple[tuple[str, Any], ...]] = {
    "random_crop": (("size", 48), ("pad", 4)),
    "shift": (("by", 0.1),),
    "zoom": (("by", 0.2),),
    "rotate": (("by", 25.0),),
    "brightness": (("by", 0.0),),
}


@pytest.mark.parametrize("word", CHANGES)
def test_points_go_through_changes_at_random(folder: Path, word: str) -> None:
    """Behind another change that draws numbers of its own; twice the same."""
    changes = [Made("augment", "colour", ()), Made("augment", word, CHANGES[word])]
    made = batches(read("points", folder), [STRETCH], changes)
    seen = [batch.arrays for epoch in range(6) for batch in made.epoch(epoch)]
    assert max(apart(arrays).max() for arrays in seen) < 0.5
    still = next(iter(batches(read("points", folder), [STRETCH]).epoch())).arrays["points"]
    assert word == "brightness" or max(np.abs(arrays["points"] - still).max() for arrays in seen) > 0.04
    one, two = (next(iter(made.epoch(3))).arrays["points"] for _ in range(2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("vertical", [False, True])
def test_pairs_change_places_in_a_mirror(folder: Path, vertical: bool) -> None:
    settings = (("chance", 1.0), ("vertical", vertical), ("pairs", ((0, 1),)))
    (batch,) = batches(read("points", folder), [STRETCH], [Made("augment", "flip", settings)]).epoch()
    assert apart(batch.arrays, (1, 0, 2)).max() < 0.35


def test_unknown_points_stay_unknown(folder: Path) -> None:
    text = (folder / "points.csv").read_text().replace("25.0,20.0", "?,20.0").replace("44.0,20.0", ",")
    (folder / "points.csv").write_text(text)
    changes = [Made("augment", word, settings) for word, settings in CHANGES.items()]
    (batch,) = batches(read("points", folder), [STRETCH], changes).epoch()
    gone = np.isnan(batch.arrays["points"])
    assert gone.sum() == 4 and gone[0, 0].all() and gone[2, 1].all()


def test_the_order_of_a_face_is_a_mirror() -> None:
    """Every point has one partner at most, and those without one lie on the middle line of the face."""
    named = [number for pair in ORDERS["ibug68"] for number in pair]
    assert len(set(named)) == len(named) == 58
    assert sorted(set(range(68)) - set(named)) == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]


@needs("face_landmarks68")
def test_the_order_of_a_face_on_real_ones() -> None:
    """Mirrored with its pairs a mean face is nearly itself; without them it is not."""
    data = DATA / "face_landmarks68"
    settings = (("path", str(data / "training_frames_keypoints.csv")), ("pictures", str(data / "training")))
    column: Any = READERS.build(Made("reader", "points", settings)).read(Places()).columns["points"]
    assert column.values.shape == (433, 68, 2)
    mean = column.values.mean(axis=0)
    flip = AUGMENTS.build(Made("augment", "flip", (("pairs", ORDERS["ibug68"]),)))
    turned = flip.follow_points(mean[None], (96, 96, 1), (np.array([True]),))[0]
    assert np.abs(turned - mean).max() < 0.06
    assert np.abs((1 - mean[:, 0]) - mean[:, 0]).max() > 0.3


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.triggers("E0518")
@pytest.mark.parametrize(
    ("word", "settings", "why"),
    [
        ("flip", (), "nothing says which points change places"),
        ("flip", (("pairs", ((0, 3),)),), "`pairs` names point 3, and there are 3"),
        ("mosaic", (), "one picture of four"),
    ],
)
def test_what_points_cannot_follow(folder: Path, word: str, settings: Any, why: str) -> None:
    with pytest.raises(Failed, match=f"E0518.*{why}"):
        batches(read("points", folder), [STRETCH], [Made("augment", word, settings)])


@pytest.mark.triggers("E0518")
def test_points_must_be_told_of_what_moves(folder: Path) -> None:
    wanted = [
        Wanted("image", "input", TensorType((BATCH, 48, 48, 3))),
        Wanted("points", "target", TensorType((BATCH, 3, 2), kind=POINTS)),
    ]
    flip = (AUGMENTS.build(Made("augment", "flip", ())),)
    with pytest.raises(Failed, match=r"E0518.*so that points follow: `\[image, points\] -> flip`"):
        bind(read("points", folder), wanted, augments={"image": flip})


@pytest.mark.parametrize("given", ["ibug", ((0, 1), (1, 2)), ((0,),), 3])
def test_pairs_are_pairs(given: Any) -> None:
    setting = AUGMENTS["flip"].setting("pairs")
    assert setting is not None
    with pytest.raises(SettingError):
        setting.domain.accept(given)
    assert setting.domain.accept("ibug68") == ORDERS["ibug68"] and setting.domain.accept(()) == ()


@pytest.mark.triggers("E0522")
def test_bad_points_are_listed_by_file_and_line(folder: Path) -> None:
    good = (folder / "points.csv").read_text()
    bad = ["ann_01.png,1,2,3,4", "ann_02.png,1,2,3,x,5,6", "bob_01.png,1,2,3,4,5,400"]
    (folder / "points.csv").write_text("\n".join([good, *bad]))
    with pytest.raises(Failed) as caught:
        read("points", folder)
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == ("E0522", "the points of 3 pictures are wrong")
    for line, why in zip(
        (5, 6, 7), ("4 numbers, and most pictures have 6", "'x'", "point 2 at 5, 400 is far outside"), strict=True
    ):
        file = folder / "points.csv"
        assert any(f"{file}:{line}: " in told and why in told for told in (found.help or "").splitlines())
    assert len(read("points", folder, bad="skip")) == 3
    (folder / "points.csv").write_text("\n".join(bad[1:]))
    with pytest.raises(Failed, match="E0522"):
        read("points", folder, bad="skip")


@pytest.mark.triggers("E0501", "E0502", "E0507", "E0508", "E0518", "E0522")
def test_files_that_cannot_be_read(folder: Path) -> None:
    with pytest.raises(Failed, match=r"E0502.*it is no folder.*read by `points`"):
        read("pts", folder, path="points.csv")
    with pytest.raises(Failed, match=r"E0501.*no file or folder `nowhere`"):
        read("points", folder, pictures="nowhere")
    with pytest.raises(Failed, match=r"E0508.*no \.pts files"):
        read("pts", folder, path=".")
    with pytest.raises(Failed, match=r"E0518.*`ann_01.png` does not fit the pattern `\{person\}.jpg`"):
        read("points", folder, names="{person}.jpg")
    with pytest.raises(Failed, match=r"E0518.*no name in braces"):
        read("points", folder, names="*.png")
    (folder / "faces" / "bob_01.png").unlink()
    for reader in ("points", "pts"):
        with pytest.raises(Failed, match=r"E0507.*no picture `\S*bob_01\S*`(?s:.*)looked in `\S*faces`: `pictures=`"):
            read(reader, folder)
    (folder / "faces" / "ann_01.pts").write_text("version: 1\nn_points: 4\n{\n1 2\n}\n")
    with pytest.raises(Failed, match=r"E0502.*it says 4 points and has 2 numbers"):
        read("pts", folder)
    (folder / "faces" / "ann_01.pts").write_text("version: 1\nn_points: " + "9" * 5000 + "\n{\n1 2\n}\n")
    with pytest.raises(Failed, match=r"E0502.*it is no \.pts file"):
        read("pts", folder)
    (folder / "faces" / "ann_01.pts").write_bytes(b"version: 1\nn_points: 1\n{\n1 2\xff\n}\n")
    with pytest.raises(
        Failed, match=r"E0502.*ann_01\.pts`: line 4 is no text in UTF-8: byte 28 is 0xff.*save the file"
    ):
        read("pts", folder)
    (folder / "faces" / "ann_01.pts").write_text("1 2\n3 4\n")
    with pytest.raises(Failed, match=r"E0502.*it is no \.pts file"):
        read("pts", folder)
    (folder / "points.csv").write_bytes("ann_01.png,1,2\n\u00e4nn_01.png,1,2\n".encode("latin-1"))
    with pytest.raises(Failed, match=r"E0502.*points\.csv`: line 2 is no text in UTF-8: byte 15 is 0xe4"):
        read("points", folder)
    (folder / "points.csv").write_bytes("\ufeffann_01.png,1,2\n".encode() + "bücher.png,3,4\n".encode("latin-1"))
    with pytest.raises(Failed, match=r"E0502.*points\.csv`: line 2 is no text in UTF-8: byte 19 is 0xfc"):
        read("points", folder)
    (folder / "points.csv").write_text("ann_01.png,1,2,3\n")
    with pytest.raises(Failed, match=r"(?s)E0522.*3 numbers, and a picture has x and y of"):
        read("points", folder)
    (folder / "points.csv").write_text(",0,1\n")
    with pytest.raises(Failed, match=r"E0508.*names no pictures"):
        read("points", folder)


@pytest.mark.triggers("E0513", "E0516")
def test_what_does_not_fit_the_target(folder: Path) -> None:
    image = Wanted("image", "input", TensorType((BATCH, 48, 48, 3)))
    four = Wanted("points", "target", TensorType((BATCH, 4, 2), kind=POINTS))
    with pytest.raises(Failed, match=r"E0513.*is point\[4\], the column `points` is 3 points.*point\[3\]"):
        bind(read("points", folder), [image, four])
    plain = Wanted("points", "target", TensorType((BATCH, 3, 2)))
    with pytest.raises(Failed, match=r"E0513.*declare it `target points: point\[3\]`"):
        bind(read("points", folder), [image, plain])
    pictures = Dense(np.zeros((2, 48, 48, 3), np.float32))
    wild = Dense(np.full((2, 4, 2), np.inf))
    with pytest.raises(Failed, match=r"E0516.*needs finite numbers"):
        bind(Dataset({"image": pictures, "points": wild}), [image, four])
    flat = Dense(np.zeros((2, 8)))
    with pytest.raises(Failed, match=r"E0513.*the readers `points` and `pts`"):
        bind(Dataset({"image": pictures, "points": flat}), [image, four])
    known = bind(Dataset({"image": pictures, "points": Dense(np.full((2, 4, 2), NAN))}), [image, four])
    assert np.isnan(known.take(np.arange(2)).arrays["points"]).all()


# --- parts that share nobody -----------------------------------------------------------------------------------------


def rows(count: int = 200) -> str:
    people = np.random.default_rng(0).integers(0, 40, count)
    return "person,x\n" + "\n".join(f"p{number},{i}" for i, number in enumerate(people))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("limit", [None, 150])
def test_who_belongs_together_is_on_one_side(tmp_path: Path, shuffle: bool, limit: int | None) -> None:
    (tmp_path / "rows.csv").write_text(rows())
    settings = {"path": "rows.csv", "together": "person", "valid": 0.25, "test": 0.2}
    made = Made("reader", "csv", tuple((settings | {"shuffle": shuffle, "limit": limit}).items()))
    feed = handed_out(made, Places(tmp_path))
    people: Any = feed.dataset.columns["person"]
    parts = feed.parts(200, 3)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(limit or 200))
    kinds = [set(people.values[part].tolist()) for part in parts]
    assert [len(kind) for kind in kinds] == [21, 10, 8]
    assert not kinds[0] & kinds[1] and not kinds[0] & kinds[2] and not kinds[1] & kinds[2]
    assert all(np.array_equal(a, b) for a, b in zip(parts, feed.parts(200, 3), strict=True))


@pytest.mark.triggers("E0518")
def test_together_names_a_column(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(rows(20))
    with pytest.raises(Failed, match=r"E0518.*did you mean `person`"):
        handed_out(Made("reader", "csv", (("path", "rows.csv"), ("together", "persons"))), Places(tmp_path))


def test_names_of_pictures_say_who_is_on_them(folder: Path) -> None:
    data = read("points", folder, names="{person}_[0-9][0-9].png")
    person: Any = data.columns["person"]
    assert person.classes == ("ann", "bob") and person.values.tolist() == [0, 0, 1]
    assert "person" in data.optional
