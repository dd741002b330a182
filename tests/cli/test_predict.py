"""`graphdsl predict` on pictures sorted into folders: names, not numbers."""

from __future__ import annotations

import json
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
