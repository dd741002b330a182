"""Numbers, categories, a text and several pictures in one row: learned together, split in three, used again."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import graphdsl
from graphdsl.cli.app import run
from graphdsl.data import Places
from graphdsl.data.joined import Joined
from graphdsl.report import Failed

SPEC = """input rooms, area: float[1]
input place: float[4]
input note: int(50)[T]
input front, back: float[4, 4, 3]
target price: float[1]
preprocess = [
  rooms -> fill(median) -> standardize, area -> log -> standardize, place -> one_hot, note -> words,
  [front, back] -> resize(4) -> scale(1/255),
]
shared eye = conv(2, 4)
words  = note -> embedding(4) -> global_avg_pool
looks  = [front -> eye -> flatten, back -> eye -> flatten] -> concat
price_per = [rooms, area, place, words, looks] -> concat -> dense(8) -> tanh -> dense(1) -> exp
output guess = 100 * price_per
train {
  data      = table("rows.csv", pictures="photos/{id}_{side}.png", missing=keep, text="note", batch=16,
                    valid=0.2, test=0.1)
  loss      = [guess, price] -> mape
  metrics   = [guess, price] -> mape
  optimizer = adam(lr=cosine(0.03))
  epochs    = 30
}
"""
ROWS = 120
PLACES = {"north": 1.0, "south": 2.0, "east": 0.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prices that rooms, area, place, one word and the light of both pictures decide; some rooms are not told."""
    folder = tmp_path_factory.mktemp("rows")
    chance = random.Random(0)
    (folder / "photos").mkdir()
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "rooms", "area", "place", "note", "price"])
        for i in range(ROWS):
            rooms, area, place = chance.randint(1, 6), chance.uniform(20, 400), chance.choice(list(PLACES))
            word, light = chance.choice(["new", "old"]), [chance.randrange(256) for _ in range(2)]
            for side, level in zip(("front", "back"), light, strict=True):
                Image.new("RGB", (6, 5), (level, level, level)).save(folder / f"photos/h{i}_{side}.png")
            price = area * PLACES[place] * (1 + rooms / 4) * (2 if word == "new" else 1) * (1 + sum(light) / 510)
            writer.writerow([f"h{i}", "" if i % 12 == 0 else rooms, round(area, 1), place, f"a {word} house", price])
    (folder / "houses.dag").write_text(SPEC)
    return folder


def test_everything_about_a_row_is_learned_together(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    model = graphdsl.compile("houses.dag")
    done = model.fit(runs=folder / "runs", shown=False)
    assert [len(model.predict()["guess"]), ROWS] == [12, 120], "without data, on the part kept for the test"
    assert done.metrics["test"]["guess.mape"] < 0.15, "the best price for all of them is off by 0.68"
    assert model.evaluate() == pytest.approx(done.metrics["test"], rel=1e-4)
    assert model.evaluate(on="valid") == pytest.approx(done.metrics["valid"], rel=1e-4)
    assert model.judged_on == "test"

    again = graphdsl.compile(done.folder / "weights.safetensors")
    assert np.array_equal(again.predict()["guess"], model.predict()["guess"])
    rows = Joined("rows.csv", pictures=("photos/{id}_{side}.png",), missing="keep", text=("note",)).read(Places(folder))
    assert len(again.predict(rows)["guess"]) == ROWS

    lines = (folder / "rows.csv").read_text().splitlines()
    (folder / "new.csv").write_text("\n".join(line.rpartition(",")[0] for line in [lines[0], *lines[5:8]]))
    assert run(["predict", str(done.folder / "weights.safetensors"), "new.csv", "-o", "answers.csv"]) == 0
    with (folder / "answers.csv").open(newline="") as file:
        told = [float(row["guess_0"]) for row in csv.DictReader(file)]
    assert told == pytest.approx(again.predict(rows)["guess"][4:7, 0], rel=1e-4), "rows without a price, with pictures"


def test_what_is_learned_comes_from_the_training_part(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    model = graphdsl.compile("houses.dag")
    feeds = model._supply.feeds(model.plans[0])
    assert feeds.valid is not None and feeds.test is not None
    areas = np.concatenate([batch.arrays["area"] for batch in feeds.train.epoch()])
    assert len(areas) == 84
    assert areas.mean() == pytest.approx(0, abs=1e-6) and areas.std() == pytest.approx(1, rel=1e-5)
    others = np.concatenate([batch.arrays["area"] for part in (feeds.valid, feeds.test) for batch in part.epoch()])
    assert len(others) == 36 and abs(others.mean()) > 1e-3


@pytest.mark.triggers("E0612")
@pytest.mark.triggers("E0615")
def test_test_data_are_named_once_and_must_be_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    small = "input rooms: float[1]\ntarget area: float[1]\noutput y = rooms -> dense(1)\n"
    train = 'train { data = csv("t.csv", %s) %s loss = [y, area] -> mse epochs = 1 }'
    (folder / "t.csv").write_text("rooms,area\n" + "1,2\n" * 20)
    (folder / "twice.dag").write_text(small + train % ("test=0.5", 'test = csv("t.csv")'))
    with pytest.raises(Failed, match="`test` is given twice"):
        graphdsl.compile("twice.dag").fit(shown=False)
    (folder / "none.dag").write_text(small + train % ("batch=4", ""))
    model = graphdsl.compile("none.dag")
    with pytest.raises(Failed, match="has no valid data to judge by"):
        model.evaluate(on="valid")


def test_features_of_pictures_beside_what_else_is_known(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "look.dag").write_text(
        "input front, back: float[2, 2, 3]\nviews = [front -> flatten, back -> flatten] -> concat\n"
        "output light = views -> reduce_mean(0)\n"
        'predict { data = table("rows.csv", pictures="photos/{id}_{side}.png", missing=keep, text="note") }\n'
    )
    assert run(["predict", "look.dag", "--features", "views", "-o", "views.npz"]) == 0
    with np.load("views.npz") as found:
        assert found["views"].shape == (ROWS, 24)
        assert set(found) == {"views", "rooms", "area", "price", "place", "id"}
        assert set(found["place"]) == set(PLACES)
    answers = graphdsl.compile("look.dag").predict()["light"]
    assert len(answers) == ROWS and 0 < answers.mean() < 1
