"""The examples: their generators run, their specs learn from what these make."""

from __future__ import annotations

import csv
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import graphdsl
from tests.support.shared import DATA, needs

ROOT = Path(__file__).parents[2]


def made(example: str, target: Path, **settings: int) -> Path:
    """Runs the example's generator; it writes into target."""
    generator = runpy.run_path(str(ROOT / "examples" / example / "make_data.py"))
    generator["main"](target, **settings)
    return target


def trained(spec: str, settings: Mapping[str, Any], epochs: int | None = None) -> dict[str, dict[str, float]]:
    model = graphdsl.compile(ROOT / "specs" / f"{spec}.dag", settings)
    return model.fit(runs=None, shown=False, epochs=epochs).metrics


def test_question_answering(tmp_path: Path) -> None:
    data = made("question_answering", tmp_path / "data.csv", rows=6000, test_rows=500)
    settings = {"data": str(data), "test": str(tmp_path / "test.csv"), "words": 60, "answers": 22}
    assert trained("question_answering", settings, epochs=12)["test"]["reply.accuracy"] > 0.8


def test_stories_of_the_test_are_new_and_answers_are_in_them(tmp_path: Path) -> None:
    data = made("question_answering", tmp_path / "data.csv", rows=500, test_rows=100)
    train, test = (list(csv.DictReader(path.read_text().splitlines())) for path in (data, tmp_path / "test.csv"))
    assert len(test) == 100
    assert not {(row["text"], row["question"]) for row in train} & {(row["text"], row["question"]) for row in test}
    assert all(row["answer"] in row["text"] for row in test)


@needs("text")
def test_text_cnn() -> None:
    folder = DATA / "text" / "sent_conv"
    settings = {"data": str(folder / "stsa.binary.train"), "test": str(folder / "stsa.binary.dev"), "filters": 24}
    got = trained("text_cnn", settings, epochs=2)
    assert got["test"]["verdict.accuracy"] > 0.7, "half of the sentences are kind"


def test_siamese(tmp_path: Path) -> None:
    data = made("siamese", tmp_path / "data.npz")
    assert trained("siamese", {"data": str(data)}, epochs=6)["valid"]["similar.accuracy"] > 0.99


def test_author_profile(tmp_path: Path) -> None:
    data = made("author_profile", tmp_path / "data.csv", test_count=100)
    got = trained("author_profile", {"data": str(data), "test": str(tmp_path / "test.csv"), "words": 100}, epochs=3)
    assert got["test"]["gender_guess.accuracy"] > 0.9
    assert got["test"]["age_guess.mae"] < 1.2, "one answer for everybody is off by 1.4"


def test_sliding(tmp_path: Path) -> None:
    """Trained a little: in one pass and crop by crop the same."""
    data = made("sliding", tmp_path, pictures=300, streets=5)
    crop = graphdsl.compile(ROOT / "specs" / "sliding_crop.dag", {"data": str(data / "crops.npz")})
    learned = crop.fit(runs=None, shown=False, epochs=4).metrics
    assert learned["train"]["loss"] < 1.6, "1.84 is what knowing how often each comes is worth"
    weights = crop.save(tmp_path / "crop.safetensors")
    settings = {"weights": str(weights), "data": str(data / "streets.csv")}
    slid = graphdsl.compile(ROOT / "specs" / "sliding.dag", settings)
    both = slid.slides()
    assert [each.windows.picture for each in both] == [(96, 128), (64, 85)]
    assert all(each.largest < 1e-5 for each in both)
    assert set(slid.evaluate()) == {"found.map_50"}


def test_shapes(tmp_path: Path) -> None:
    data = made("shapes", tmp_path / "pictures", each=48)
    assert sorted(p.name for p in data.iterdir()) == ["circle", "cross", "square", "triangle"]
    got = trained("separable", {"data": str(data)}, epochs=8)
    assert got["train"]["loss"] < 1.3, "1.386 is what one answer for all of four shapes is worth"


def test_localisation(tmp_path: Path) -> None:
    data = made("localisation", tmp_path, count=240)
    rows = (data / "places.csv").read_text().splitlines()
    assert rows[4].endswith(",0 ? ? ? ? ? ? ?") and len(rows) == 241
    got = trained("localisation", {"data": str(data / "places.csv")}, epochs=6)
    assert got["train"]["loss"] < 0.75, "one answer for all is worth 1.0"


@pytest.mark.parametrize("spec", ["mlp", "residual", "inception_block", "batch_norm"])
def test_specs_on_the_digits_that_come_with_graphdsl_learn(spec: str) -> None:
    got = trained(spec, {}, epochs=3)
    assert got["test"]["digit.accuracy"] > (0.3 if spec == "mlp" else 0.6)
