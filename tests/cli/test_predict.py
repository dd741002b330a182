"""`graphdsl predict` on pictures sorted into folders: names, not numbers."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from graphdsl import compile
from graphdsl.cli import app

MANY = """
input  image: float[4, 4, 1]
target label: int(2)
output pet = image -> flatten -> dense(2) -> softmax
train {
  data = folder("pets", batch=4)
  loss = [pet, label] -> categorical_crossentropy
  optimizer = adam(lr=0.05)
  epochs = 20
}
"""
ONE = MANY.replace("dense(2) -> softmax", "dense(1) -> sigmoid").replace("categorical", "binary")
"""The same, told by one probability."""


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Black cats, white dogs, as the working directory."""
    monkeypatch.chdir(tmp_path)
    for name, grey in (("cat", 0), ("dog", 255)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(np.full((4, 4), grey, np.uint8)).save(tmp_path / "pets" / name / f"{i}.png")
    return tmp_path


def predict(text: str, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    Path("pet.dag").write_text(text)
    compile("pet.dag").fit(shown=False)
    capsys.readouterr()
    assert app.run(["predict", "pet.dag", "pets/dog/0.png", "pets/cat/1.png", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("text", [MANY, ONE])
def test_rows_are_files_and_classes_have_names(text: str, pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, dog, cat = predict(text, capsys).splitlines()
    assert "pets/dog/0.png  dog: " in dog
    assert "pets/cat/1.png  cat: " in cat


@pytest.mark.parametrize("text", [MANY, ONE])
def test_json_names_classes_beside_the_numbers(text: str, pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer: dict[str, Any] = json.loads(predict(text, capsys, "--format", "json").splitlines()[-1])
    assert answer["classes"] == {"pet": ["cat", "dog"]}
    assert answer["predicted"] == {"pet": ["dog", "cat"]}
    assert [Path(file).name for file in answer["files"]] == ["0.png", "1.png"]
    assert np.asarray(answer["outputs"]["pet"]).shape[0] == 2


def test_the_program_knows_them_too(pets: Path) -> None:
    Path("pet.dag").write_text(MANY)
    model = compile("pet.dag")
    assert model.classes == {}
    model.fit(shown=False, runs=None)
    assert model.classes["pet"].names == ("cat", "dog")
    assert model.classes["pet"].of(np.array([[0.2, 0.8]])) == ["dog"]


def test_the_best_classes_in_columns(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, dog, cat = predict(MANY, capsys, "--top", "1").splitlines()
    assert re.fullmatch(r"  pets/dog/0.png  dog: [01]\.\d{4}", dog)
    assert re.fullmatch(r"  pets/cat/1.png  cat: [01]\.\d{4}", cat)
    _, dog, _ = predict(MANY, capsys).splitlines()
    assert re.fullmatch(r"  pets/dog/0.png  dog: [01]\.\d{4}  cat: 0\.\d{4}", dog)


def test_csv_on_the_screen_and_in_a_file(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = predict(MANY, capsys, "--format", "csv", "-o", "answers.csv")
    assert said == Path("answers.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(said)))
    assert [(row["file"], row["pet_1"], row["pet_2"]) for row in rows] == [
        ("pets/dog/0.png", "dog", "cat"),
        ("pets/cat/1.png", "cat", "dog"),
    ]
    assert float(rows[0]["pet_1_score"]) + float(rows[0]["pet_2_score"]) == pytest.approx(1, abs=1e-5)


def test_numbers_become_columns(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(predict(ONE, capsys, "--format", "csv"))))
    assert float(rows[0]["pet_0"]) > 0.5 > float(rows[1]["pet_0"])


def test_json_has_the_best_classes(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer: dict[str, Any] = json.loads(predict(MANY, capsys, "--format", "json", "--top", "1").splitlines()[-1])
    assert [[best["class"] for best in row] for row in answer["top"]["pet"]] == [["dog"], ["cat"]]
    assert answer["top"]["pet"][0][0]["score"] == pytest.approx(answer["outputs"]["pet"][0][1])


def test_names_from_a_file(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("names.txt").write_text("0,Katze\n1,Hund\n")
    said = predict(MANY, capsys, "--classes", "names.txt")
    assert "Hund: " in said
    assert "dog: " not in said
    Path("names.txt").write_text("Katze, Kater\nHund\n")
    assert "  Katze: " in predict(MANY, capsys, "--classes", "names.txt")
    assert '"Katze, Kater"' in predict(MANY, capsys, "--classes", "names.txt", "--format", "csv")
    Path("names.txt").write_text("Katze\nHund\nMaus\n")
    assert app.run(["predict", "pet.dag", "pets/dog/0.png", "--classes", "names.txt"]) == 1
    assert "3 names of classes fit no output: `pet` has 2 classes" in capsys.readouterr().err


def test_folders_and_patterns(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(MANY, capsys)
    assert app.run(["predict", "pet.dag", "pets"]) == 0
    whole = capsys.readouterr().out
    assert len(whole.splitlines()) == 9
    assert app.run(["predict", "pet.dag", "pets/*/0.png"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == [
        "pets/cat/0.png",
        "pets/dog/0.png",
    ]


def test_a_file_of_weights_is_enough(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = predict(MANY, capsys)
    Path("pet.dag").unlink()
    arguments = ["runs/pet-1/weights.safetensors", "pets/dog/0.png", "pets/cat/1.png"]
    assert app.run(["predict", *arguments]) == 0
    assert capsys.readouterr().out == said


def test_features_and_labels_for_another_spec(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(MANY, capsys)
    assert app.run(["predict", "pet.dag", "pets", "--features", "pet/dense_1", "-o", "features.npz"]) == 0
    assert "dense_1 [8, 2], label [8] in features.npz" in capsys.readouterr().out
    Path("head.dag").write_text(
        """input dense_1: float[2]
target label: int(2)
output pet = dense_1 -> dense(2) -> softmax
train {
  data = npz("features.npz")
  test = npz("features.npz")
  loss = [pet, label] -> categorical_crossentropy
  metrics = [pet, label] -> accuracy
  optimizer = adam(lr=0.1)
}
"""
    )
    head = compile("head.dag")
    assert head.fit(shown=False, runs=None).metrics["test"]["pet.accuracy"] == 1.0
    assert head.classes["pet"].names == ("cat", "dog")


@pytest.mark.triggers("E0519")
def test_answers_that_cannot_be_written(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(MANY, capsys)
    assert app.run(["predict", "pet.dag", "pets", "-o", "answers.xls"]) == 1
    assert "end it in .npz" in capsys.readouterr().err
    text = "input image: float[4, 4, 1]\noutput y = image -> conv(2, 3)\n"
    Path("map.dag").write_text(text)
    compile("map.dag").save("map.safetensors")
    assert app.run(["predict", "map.dag", "pets", "--format", "csv"]) == 1
    assert "`y` is [2, 2, 2] for each sample" in capsys.readouterr().err
