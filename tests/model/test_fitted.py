"""What steps of `preprocess` learn stays with the model: in training, use, resuming and training on."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from signal import SIGINT
from typing import Any

import numpy as np
import pytest

import graphdsl
from graphdsl.data import Texts
from graphdsl.learn import Action, Callback, EpochDone
from graphdsl.model import Model
from graphdsl.report import Failed

SPEC = """input text: int(40)[T]
target mood: int(2)
preprocess = text -> words(least=1)
output guess = text -> embedding(4) -> global_avg_pool -> dense(2) -> softmax
train {
  data   = csv("films.csv", text="text", batch=4, valid=0.25)
  loss   = [guess, mood] -> categorical_crossentropy
  epochs = 2
}
"""
WORDS = ["good", "bad", "film", "plot", "dull", "fine", "odd", "bright", "dark", "long", "short", "tale"]


def write(path: Path, rows: list[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "mood"], *([row, i % 2] for i, row in enumerate(rows))])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve rows, each with a word that no other has."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "films.csv", [f"a {word} one" for word in WORDS])
    (tmp_path / "films.dag").write_text(SPEC)
    return tmp_path


def trained(runs: Path) -> Model:
    model = graphdsl.compile("films.dag")
    model.fit(runs=runs, shown=False)
    return model


def test_what_is_learned_comes_from_the_training_split_alone(folder: Path) -> None:
    model = trained(folder / "runs")
    known = model.vocabularies["text"]
    feeds = model._supply.feeds(model.plans[0])
    assert feeds.valid is not None
    seen = {known.decode(row) for batch in feeds.train.epoch() for row in batch.arrays["text"]}
    kept = {known.decode(row) for batch in feeds.valid.epoch() for row in batch.arrays["text"]}
    assert len(known) == 2 + 2 + 9, "padding, unknown, `a`, `one`, and a word of each row that is trained on"
    assert len(seen) == 9 and kept == {"a \N{REPLACEMENT CHARACTER} one"}


def test_the_file_of_weights_knows_it(folder: Path) -> None:
    model = trained(folder / "runs")
    (folder / "films.csv").unlink()
    again = graphdsl.compile("runs/films-1/weights.safetensors")
    again.load()
    assert again.vocabularies["text"] == model.vocabularies["text"]
    rows = {"text": ["one film a", "tale"]}
    assert np.array_equal(again.predict(rows)["guess"], model.predict(rows)["guess"])


def test_training_on_keeps_the_numbers_of_the_weights(folder: Path) -> None:
    model = trained(folder / "runs")
    write(folder / "films.csv", [f"some new {word} words" for word in WORDS])
    (folder / "more.dag").write_text(SPEC.replace("epochs = 2", 'load = "runs/films-1"\n  epochs = 1'))
    more = graphdsl.compile("more.dag")
    more.fit(runs=None, shown=False)
    assert more.vocabularies == model.vocabularies
    fresh = graphdsl.compile("films.dag")
    fresh.fit(runs=None, shown=False)
    assert fresh.vocabularies != model.vocabularies


def test_a_spec_inside_brings_what_its_steps_have_learned(folder: Path) -> None:
    model = trained(folder / "runs")
    model.save("films.safetensors")
    write(folder / "films.csv", [f"some new {word} words" for word in WORDS])
    (folder / "around.dag").write_text("""input text: int(40)[T]
target mood: int(2)
preprocess = text -> words
output guess = text -> model("films.dag", weights="films.safetensors", freeze=true) -> dense(2) -> softmax
train {
  data   = csv("films.csv", text="text", batch=4)
  loss   = [guess, mood] -> categorical_crossentropy
  epochs = 1
}
""")
    around = graphdsl.compile("around.dag")
    around.fit(runs=None, shown=False)
    assert around.vocabularies == model.vocabularies


def test_a_run_that_goes_on_takes_it_from_its_checkpoint(folder: Path) -> None:
    class Stop(Callback):
        def on_epoch(self, event: EpochDone, memory: dict[str, Any]) -> Iterable[Action]:
            os.kill(os.getpid(), SIGINT)
            return ()

    model = graphdsl.compile("films.dag")
    with pytest.raises(KeyboardInterrupt):
        model.fit(callbacks=[Stop()], shown=False)
    write(folder / "films.csv", [f"some new {word} words" for word in WORDS])
    on = graphdsl.compile("films.dag")
    on.fit(callbacks=[Callback()], resume="runs/films-1", shown=False)
    assert on.vocabularies == model.vocabularies


def test_a_state_that_makes_no_sense_counts_as_none(folder: Path) -> None:
    model = trained(folder / "runs")
    for wrong in ({"tokens": (1.0, 2.0)}, {"other": ("a",)}, {}):
        model._supply.states = {"text/words": wrong}
        model.save("odd.safetensors")
        odd = graphdsl.compile("odd.safetensors")
        odd.load()
        with pytest.raises(Failed, match="E0520"):
            odd.predict({"text": ["film"]})


def test_targets_are_prepared_too_and_read_back(folder: Path) -> None:
    (folder / "letters.dag").write_text("""input text: int(20)[T]
target next: int(20)[T]
preprocess = [text, next] -> characters
output guess = text -> embedding(4) -> dense(20) -> softmax
train {
  loss = [guess, next] -> categorical_crossentropy
}
""")
    model = graphdsl.compile("letters.dag")
    rows = ("abc", "bca")
    model.fit({"text": Texts(rows).values}, {"next": [row[1:] + "d" for row in rows]}, runs=None, shown=False)
    known = model.vocabularies["next"]
    assert known == model.vocabularies["text"]
    assert known.decode(known.encode("dab")) == "dab"
    assert set(model.classes["guess"].of(model.predict({"text": ["ab"]})["guess"])[0]) <= {*"abcd", "<unknown>"}


@pytest.mark.triggers("E0518")
@pytest.mark.parametrize(
    ("declared", "steps", "words"),
    [
        ("float[3]", "words", "texts become rows of whole numbers"),
        ("int(9)", "characters", "texts become rows of whole numbers"),
        ("int(9)[T]", "words(limit=10)", "makes numbers below 10"),
        ("int(9)[T]", 'characters("abcdefghij")', "makes numbers below 10"),
        ("int(9)[T]", 'characters("aba")', "has `a` twice"),
        ("int(9)[T]", 'characters("")', "is empty"),
        ("int(255)[T]", "bytes", "makes numbers below 256"),
        ("int(9)[8]", "words -> pad(7)", "makes sequences of 7"),
        ("int(9)", "truncate(3)", "is for sequences"),
        ("int(9)[T]", "words -> scale(2)", "`scale` is for numbers"),
    ],
)
def test_what_does_not_go_together_is_told_before_any_data(
    tmp_path: Path, declared: str, steps: str, words: str
) -> None:
    (tmp_path / "wrong.dag").write_text(f"input x: {declared}\npreprocess = x -> {steps}\noutput y = x\n")
    with pytest.raises(Failed, match=f"E0518.*{words}"):
        graphdsl.compile(tmp_path / "wrong.dag")
