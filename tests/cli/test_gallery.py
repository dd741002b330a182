"""`graphdsl gallery`: people by one picture, strangers, other models, and what goes wrong; on pictures made here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import graphdsl
from graphdsl.cli import app
from graphdsl.model import Gallery, read_gallery
from graphdsl.report import Failed
from graphdsl.runtime import save_weights

EYE = """
input  face: float[12, 12, 1]
output code = face -> flatten -> dense(16, bias=false) -> l2_normalize
mean = code -> dense(3)
"""
PEOPLE = ("ada", "ben", "cleo", "dan")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four people, five pictures of each, the same but for some noise; and two models with other weights."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for person in PEOPLE:
        own = random.uniform(60, 200, (12, 12))
        (tmp_path / "photos" / person).mkdir(parents=True)
        for shot in range(1, 6):
            pixels = np.clip(own + random.normal(0, 6, (12, 12)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / person / f"{shot}.png")
    (tmp_path / "eye.dag").write_text(EYE)
    model = graphdsl.compile("eye.dag")
    weights = {n: np.random.default_rng(1).normal(size=w.shape) for n, w in model.executor.weights.items()}
    for name, w in weights.items():
        model.executor.weights[name] = w.astype(np.float32)
    model.save("eye.safetensors")
    graphdsl.compile("eye.dag").save("other.safetensors")
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What the command prints; it ends with this code."""
    found = app.run(["gallery", *arguments])
    seen = capsys.readouterr()
    assert found == code, seen.err
    return seen.out if code in (0, app.MISTAKE + 3) else seen.err


def data(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, object]:
    found: dict[str, object] = json.loads(told(capsys, *arguments, "--format", "json", code=code).splitlines()[-1])
    return found


MODEL = ("people.safetensors", "eye.safetensors")


@pytest.fixture
def known(place: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """With Ada and Ben by one picture each."""
    told(capsys, "add", *MODEL, "ada", "photos/ada/1.png")
    told(capsys, "add", *MODEL, "{who}", "photos/{who:[b]*}/1.png")
    told(capsys, "calibrate", *MODEL, "photos/{who:[c-d]*}/*.png")
    return place / "people.safetensors"


def test_who_is_it(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One picture each is enough for their others; strangers are nobody."""
    assert read_gallery(known).people == {"ada": 1, "ben": 1}
    found = data(capsys, "identify", *MODEL, "photos/ada/2.png", "photos/ben/3.png", "photos/cleo/1.png")
    assert [p["name"] for p in found["pictures"]] == ["ada", "ben", None]  # type: ignore[attr-defined]
    text = told(capsys, "identify", *MODEL, "photos/cleo")
    assert text.count("not recognized") == 5 and "nearest" in text
    assert "added Dan: 5 pictures" in told(capsys, "add", *MODEL, "Dan", "photos/dan")
    people = ["ada  1 picture", "ben  1 picture", "Dan  5 pictures"]
    assert told(capsys, "list", "people.safetensors").splitlines()[1:] == people
    told(capsys, "remove", "people.safetensors", "ada")
    assert "not recognized" in told(capsys, "identify", *MODEL, "photos/ada/2.png")


def test_how_often_it_is_right(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = {"known": 10, "recognised": 10, "confused": 0, "missed": 0, "strangers": 10, "accepted": 0}
    assert data(capsys, "identify", *MODEL, "photos/{who}/*.png", "--truth", "who")["judged"] == counts
    wide = data(capsys, "identify", *MODEL, "photos/{who}/*.png", "--truth", "who", "--threshold", "99")["judged"]
    assert wide == counts | {"accepted": 10}
    csv = told(capsys, "identify", *MODEL, "photos/ada/2.png", "--format", "csv").splitlines()
    assert csv[0] == "file,distance,threshold,name,nearest" and csv[1].endswith(",ada,ada")


def test_is_it_she(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is an answer."""
    assert "yes  distance 0.0" in told(capsys, "verify", *MODEL, "ada", "photos/ada/4.png")
    said = told(capsys, "verify", *MODEL, "ada", "photos/ada/4.png", "photos/ben/4.png", code=4)
    assert [line.split()[1] for line in said.splitlines()] == ["yes", "no"]


def test_a_threshold_is_measured(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = data(capsys, "calibrate", *MODEL, "photos/{who}/*.png", "--far", "0")
    assert found["genuine"] == 40 and found["impostors"] == 150 and found["false_accept"] == 0.0
    assert read_gallery(known).threshold == found["threshold"] and len(read_gallery(known).names) == 2


@pytest.mark.triggers("E0622")
@pytest.mark.triggers("E0623")
@pytest.mark.triggers("E0624")
@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("identify", "people.safetensors", "other.safetensors", "photos/ada/1.png"), "E0623.*made by another model"),
        (("add", "people.safetensors", "other.safetensors", "Cleo", "photos/cleo/1.png"), "E0623.*another model"),
        (("calibrate", "people.safetensors", "other.safetensors", "photos/{who}/*.png"), "E0623.*another model"),
        (("add", "eye.safetensors", "people.safetensors", "Cleo", "photos/cleo/1.png"), "E0623.*is no gallery"),
        (("add", *MODEL, "Cleo", "photos/cleo/1.png", "--features", "face"), "E0623.*an embedding is a vector"),
        (("add", *MODEL, " ", "photos/cleo/1.png"), "E0624.*is no name"),
        (("add", *MODEL, "{person}", "photos/{who}/1.png"), "E0624.*say no `person`"),
        (("verify", *MODEL, "Bne", "photos/ada/1.png"), "E0624.*nobody in the gallery is called `Bne`"),
        (("remove", "people.safetensors", "Ad"), "E0624.*did you mean `ada`"),
        (("add", *MODEL, "Cleo", "nowhere.png"), "E0501"),
        (("list", "nowhere.safetensors"), "E0623"),
        (
            ("calibrate", *MODEL, "photos/{who}/1.png"),
            "E0622.*no pair of one person among 4 pictures of 4 people.*{person}",
        ),
        (("calibrate", *MODEL, "photos/{who}/{shot}.png"), "E0624.*may each say who it is"),
        (("calibrate", *MODEL), "E0615"),
    ],
)
def test_what_goes_wrong(
    arguments: tuple[str, ...], wanted: str, known: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = known.read_bytes()
    said = " ".join(told(capsys, *arguments, code=1).split())
    assert re.search(wanted, said), said
    assert known.read_bytes() == before


def test_the_same_picture_counts_once(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also beside others, under another file's name, and twice at once."""
    (known.parent / "copy.png").write_bytes((known.parent / "photos/ada/2.png").read_bytes())
    pictures = ("photos/ada/1.png", "photos/ada/2.png", "copy.png")
    said = told(capsys, "add", *MODEL, "ada", *pictures)
    assert "added ada: 1 picture; 2 pictures the gallery has already, left out\n" in said
    assert data(capsys, "add", *MODEL, "ada", *pictures)["added"] == {"ada": 0}
    assert read_gallery(known).people == {"ada": 2, "ben": 1}
    assert data(capsys, "add", *MODEL, "twin", "copy.png")["people"] == {"ada": 2, "ben": 1, "twin": 1}


def test_a_run_is_a_model(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its folder; one that has left nothing says so."""
    (known.parent / "runs/eye-1").mkdir(parents=True)
    with_folder = ("identify", "people.safetensors", "runs/eye-1", "photos/ada/2.png")
    assert "E0616" in told(capsys, *with_folder, code=1)
    (known.parent / "eye.safetensors").rename(known.parent / "runs/eye-1/weights.safetensors")
    assert "  ada  " in told(capsys, *with_folder)
    assert app.run(["predict", "runs/eye-1", "photos/ada/2.png"]) == 0


def test_several_are_removed_at_once(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All or none."""
    told(capsys, "add", *MODEL, "dan", "photos/dan/1.png")
    told(capsys, "remove", "people.safetensors", "ada", "nobody", code=1)
    assert len(read_gallery(known).people) == 3
    said = told(capsys, "remove", "people.safetensors", "ada", "dan", "ada")
    assert said == "removed ada, dan; 1 person is left\n"
    assert told(capsys, "list", "people.safetensors").startswith("1 person, threshold")


def test_without_a_threshold(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no threshold yet" in told(capsys, "add", *MODEL, "ada", "photos/ada/1.png")
    assert "E0624" in told(capsys, "identify", *MODEL, "photos/ada/2.png", code=1)
    assert "  ada  " in told(capsys, "identify", *MODEL, "photos/ada/2.png", "--threshold", "0.1")


@pytest.mark.parametrize("option", [("--threshold", "nan"), ("--threshold", "inf"), ("--threshold", "-1")])
def test_a_threshold_is_a_number(option: tuple[str, str], place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--threshold" in told(capsys, "identify", *MODEL, "photos/ada/2.png", *option, code=app.MISTAKE + 1)


def test_a_large_gallery_answers_at_once() -> None:
    """Of as many people as there may be; each is counted once, however many there are."""
    codes = np.random.default_rng(0).normal(size=(100_000, 4)).astype(np.float32)
    known = Gallery(tuple(f"p{i // 2}" for i in range(100_000)), codes, "m", 1.0)
    found = known.identify(codes[::20_000])
    apart = np.square(codes.astype(np.float64) - codes[20_000]).sum(axis=1).reshape(-1, 2).mean(axis=1)
    assert found[1].name == f"p{apart.argmin()}" and found[1].distance == pytest.approx(apart.min())
    assert len(known.people) == 50_000 and known.people["p7"] == 2


def test_which_layer_is_the_embedding(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An output that stands alone, or the one that is named; another one is another model."""
    (place / "two.dag").write_text(EYE + "output second = mean\n")
    graphdsl.compile("two.dag").save("two.safetensors")
    two = ("people.safetensors", "two.safetensors", "ada", "photos/ada/1.png")
    assert "several outputs are vectors: `code`, `second`" in told(capsys, "add", *two, code=1)
    told(capsys, "add", *two, "--features", "mean")
    assert read_gallery(place / "people.safetensors").embeddings.shape == (1, 3)
    assert "E0623" in told(capsys, "add", *two, "--features", "code", code=1)


def test_a_person_is_as_far_as_the_mean_of_all_pictures() -> None:
    rows = np.array([[0.0, 0], [2, 0], [5, 0]], np.float32)
    known = Gallery(threshold=3.0).add("a", rows[:2], "m").add("b", rows[2:], "m")
    np.testing.assert_allclose(known.distances(np.array([[1.0, 1]])), [[2, 17]])
    assert known.identify(np.array([[1.0, 1]]))[0].name == "a" and not known.identify(np.array([[8.0, 0]]))[0].known
    assert not Gallery(threshold=1.0).identify(np.zeros((1, 2)))[0].known


@pytest.mark.parametrize(
    "change",
    [
        *({"names": names} for names in ('["a", 3]', '["a"]', '["a", " "]', '["a", "b\\u001b[2J"]', "[" * 99_999)),
        *({"threshold": limit} for limit in ("-1", "[]", "1e999", "9" * 5000)),
        {"kind": "x"},
    ],
)
def test_damaged_galleries(change: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "g.safetensors"
    good = {"kind": "gallery", "names": '["a", "b"]', "model": "m", "threshold": "0.5"}
    rows = {"embeddings": np.ones((2, 3), np.float32)}
    save_weights(rows, path, good)
    assert read_gallery(path).people == {"a": 1, "b": 1}
    save_weights(rows, path, good | change)
    with pytest.raises(Failed, match="E0623"):
        read_gallery(path)
    save_weights({"embeddings": np.full((2, 3), np.nan, np.float32)}, path, good)
    with pytest.raises(Failed, match="E0623"):
        read_gallery(path)


@pytest.mark.parametrize("features", [2, 64])
def test_only_new_pictures_are_added(features: int) -> None:
    """As if every one were compared with every other; a tiny difference is none."""
    random = np.random.default_rng(features)
    known = random.normal(size=(40, features)).astype(np.float32)
    rows = np.concatenate([random.normal(size=(60, features)), known[::3] * (1 + 3e-7), known[:5] * (1 + 1e-4)])
    rows = np.concatenate([rows, rows[::2]])[random.permutation(len(rows) + len(rows[::2]))].astype(np.float32)
    found = list(known)
    for row in rows:
        if not any(np.abs(other - row).max() <= 1e-6 * np.abs(row).max() for other in found):
            found.append(row)
    gallery = Gallery().add("ada", known, "m").add("ada", rows, "m")
    np.testing.assert_array_equal(gallery.embeddings, np.stack(found))
    assert len(found) == 40 + 60 + 5


def test_a_threshold_that_accepts_nobody_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One picture lies there under two names."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name in ("ada_1", "ada_2", "bob_1", "bob_2"):
        Image.fromarray(random.integers(0, 255, (8, 8, 3), np.uint8)).save(f"{name}.png")
    Path("bob_3.png").write_bytes(Path("ada_1.png").read_bytes())
    Path("net.dag").write_text("input x: float[8, 8, 3]\noutput code = x -> flatten -> dense(4) -> l2_normalize\n")
    graphdsl.compile("net.dag").save("net.safetensors")
    asked = ["gallery", "calibrate", "known.safetensors", "net.safetensors", "{person}_[0-9].png", "--far"]
    assert app.run([*asked, "0"]) == 0
    told = capsys.readouterr().err
    assert "accepts nobody: `ada_1.png` of ada and `bob_3.png` of bob are 0 apart" in told.replace(f"{tmp_path}/", "")
    assert "wrong name" in told and "larger `--far`" in told
    assert app.run([*asked, "1"]) == 0
    assert "accepts nobody" not in capsys.readouterr().err
