"""Models that write: from numbers to texts, on the command line and from Python."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphdsl
from graphdsl.cli import app
from graphdsl.data import Vocabulary
from graphdsl.data.vocabulary import PADDING, UNKNOWN, Bytes, Characters, Words
from graphdsl.model.writing import cut, spelled, until
from graphdsl.report import Failed

LETTERS = """
input  text: int(5)[T]
target next: int(5)[T]
preprocess = [text, next] -> characters("ab .;")
output said = text -> embedding(4) -> lstm(8, sequence=true) -> dense(5) -> softmax
"""
SECTION = 'sample { start = "ab" length = 30 temperature = [0.5, 1] }\n'
TRAIN = "train { loss = [said, next] -> categorical_crossentropy steps = 2 }\n"


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    path = tmp_path / "letters.dag"
    path.write_text(LETTERS + SECTION)
    return path


@pytest.fixture
def weights(letters: Path) -> Path:
    return graphdsl.compile(letters).save(letters.with_suffix(".safetensors"))


def ran(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = app.run(list(map(str, arguments)))
    return code, *capsys.readouterr()


# --- texts -----------------------------------------------------------------------------------------------------------


def told(words: Vocabulary, before: Sequence[int], numbers: Sequence[int]) -> list[str]:
    return list(spelled(words, before, iter(numbers)))


def test_words_are_joined_as_they_come() -> None:
    words = Vocabulary((PADDING, UNKNOWN, "hello", "world", ",", "(", ")"), Words(), unknown=1)
    assert told(words, [2], [4, 3, 5, 2, 6]) == [",", " world", " (", "hello", ")"]


def test_bytes_of_one_character_come_together() -> None:
    words = Vocabulary(tuple(map(chr, range(256))), Bytes())
    numbers = [int(n) for n in words.encode("aé€😀b")]
    assert told(words, [], numbers) == ["a", "é", "€", "😀", "b"]


def test_bytes_that_are_no_text_do_not_stop_it() -> None:
    words = Vocabulary(tuple(map(chr, range(256))), Bytes())
    made = "".join(told(words, [], [0xFF, 0xFF, 0xFF, 0xFF, 97, 98]))
    assert made.endswith("ab")


@pytest.mark.parametrize(
    ("stop", "pieces", "expected"),
    [
        ("", ["ab", "c"], "abc"),
        (".", ["ab", "c.d"], "abc"),
        ("<s>", ["ab", "<", "s", ">", "cd"], "ab"),
        ("<s>", ["ab", "<", "s", "<", "s>"], "ab<s"),
        ("<s>", ["ab", "<s"], "ab<s"),
    ],
)
def test_a_text_ends_before_its_stop(stop: str, pieces: list[str], expected: str) -> None:
    assert "".join(until(stop, iter(pieces))) == expected


def test_nothing_is_shown_that_may_be_the_stop() -> None:
    def pieces() -> Iterator[str]:
        yield "a<"
        yield "s"
        raise AssertionError("what was certain is there before the next piece is asked for")

    assert next(until("<s>", pieces())) == "a"


def test_marks_of_several_letters_are_one_piece() -> None:
    words = Vocabulary((UNKNOWN, "a", "<", "s", ">", "<s>"), Characters(), unknown=0)
    assert [n for piece in cut(words, "<s>a<a<s>") for n in words.numbers(piece)] == [5, 1, 2, 1, 5]
    assert list(cut(Vocabulary(("a", "b"), Characters()), "ab")) == [["a", "b"]]


# --- models ----------------------------------------------------------------------------------------------------------


def test_sample_is_an_iterator_of_texts(letters: Path) -> None:
    model = graphdsl.compile(letters)
    found = list(model.sample("ab", length=40, seed=3))
    assert all(found)
    assert len("".join(found)) == 40
    assert found == list(model.sample("ab", length=40, seed=3))
    assert found != list(model.sample("ab", length=40, seed=4))
    assert set("".join(model.sample(length=20, top_k=1, temperature=2))) == set(
        "".join(model.sample(length=20, method="greedy"))
    )


def test_what_stands_for_nothing_is_never_written(tmp_path: Path) -> None:
    (tmp_path / "s.dag").write_text(LETTERS.replace('("ab .;")', ""))
    model = graphdsl.compile(tmp_path / "s.dag")
    model._supply.states["text+next/characters"] = {"tokens": (UNKNOWN, "a", "b")}
    assert set("".join(model.sample("a", length=300, temperature=50))) == {"a", "b"}


@pytest.mark.triggers("E0618")
@pytest.mark.parametrize(
    "settings",
    [
        {"length": 0},
        {"temperature": 0},
        {"temperature": float("inf")},
        {"tempo": 1},
        {"method": "wild"},
        {"method": "greedy", "seed": 1},
        {"top_p": 2},
    ],
)
def test_settings_are_checked(letters: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(Failed, match="E0618"):
        graphdsl.compile(letters).sample("a", **settings)


@pytest.mark.parametrize(("text", "start"), [(LETTERS, "x"), (LETTERS.replace("preprocess", "# preprocess"), "a")])
def test_starts_that_cannot_be_read(text: str, start: str, tmp_path: Path) -> None:
    (tmp_path / "s.dag").write_text(text)
    with pytest.raises(Failed, match="E0619"):
        graphdsl.compile(tmp_path / "s.dag").sample(start)


def test_training_leaves_samples(letters: Path, tmp_path: Path) -> None:
    letters.write_text(LETTERS + TRAIN + SECTION)
    model = graphdsl.compile(letters)
    given = {"text": np.array(["ab .", ".;ab"] * 8)}, {"next": np.array(["b .a", ";ab "] * 8)}
    done = model.fit(*given, runs=tmp_path / "runs", shown=False)
    assert done.folder is not None
    text = (done.folder / "samples.txt").read_text(encoding="utf-8")
    sampling = model.writing.samplings({})[0]
    first, second = ("ab" + "".join(model.writing.author(sampling).text(sampling, t)) for t in (0.5, 1.0))
    assert text == f"# sample, temperature 0.5\n{first}\n\n# sample, temperature 1\n{second}\n"


WORDS = """
input  text: int(30)[6]
target next: int(30)[6]
preprocess = [text, next] -> words
output said = text -> embedding(16) -> gru(32, sequence=true) -> dense(30) -> softmax
train {
  data      = text("rhyme.txt", length=6, batch=4, stride=1)
  loss      = [said, next] -> categorical_crossentropy
  metrics   = [said, next] -> perplexity
  optimizer = adam(lr=0.02)
  epochs    = 12
}
sample { start = "The cat"  length = 13  method = greedy }
"""
RHYME = "The cat sat on the mat, and the dog sat by the log. The cow saw the moon, and the moon saw the cow. "


def test_words_learned_from_a_text_are_written_again(tmp_path: Path) -> None:
    """Learned by heart, and by the file of weights alone."""
    (tmp_path / "words.dag").write_text(WORDS)
    (tmp_path / "rhyme.txt").write_text(RHYME * 4)
    done = graphdsl.compile(tmp_path / "words.dag").fit(runs=tmp_path / "runs", shown=False)
    assert done.metrics["train"]["said.perplexity"] < 3
    assert done.folder is not None
    expected = "The cat sat on the mat, and the dog sat by the log."
    assert (done.folder / "samples.txt").read_text() == f"# sample, greedy\n{expected}\n"
    again = graphdsl.compile(done.folder / "weights.safetensors")
    assert "The cow" + "".join(again.sample("The cow", length=5, method="greedy")) == "The cow saw the moon, and"


def test_training_does_not_begin_where_texts_could_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "s.dag").write_text(LETTERS.replace("sequence=true", "sequence=true, reverse=true") + TRAIN + SECTION)
    given = {"text": np.array(["ab ."])}, {"next": np.array(["b .a"])}
    with pytest.raises(Failed, match="E0409"):
        graphdsl.compile(tmp_path / "s.dag").fit(*given, runs=tmp_path / "runs", shown=False)
    assert not (tmp_path / "runs").exists()


# --- the command -----------------------------------------------------------------------------------------------------


def test_command_writes_what_the_section_says(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ran(capsys, "sample", weights)
    lines = out.splitlines()
    assert code == 0, err
    assert lines[0] == "# temperature 0.5"
    assert lines[1].startswith("ab")
    assert len(lines[1]) == 32
    assert err.splitlines()[-1] == "step by step"


def test_command_as_json(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = ran(capsys, "sample", weights, "--temperature", 1, "--length", 5)[1]
    code, out, _ = ran(capsys, "sample", weights, "--temperature", 1, "--length", 5, "--format", "json")
    told = json.loads(out.splitlines()[-1])
    assert code == 0
    assert told["how"] == "step by step"
    assert [s["temperature"] for s in told["samples"]] == [1.0]
    assert plain == told["samples"][0]["text"] + "\n"


@pytest.mark.parametrize("option", [["--temperature", "2"], ["--top-k", "3"], ["--seed", "1"]])
def test_greedy_draws_nothing(weights: Path, option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(capsys, "sample", weights, "--greedy", *option)[0] == app.USAGE
    assert ran(capsys, "sample", weights, "--greedy")[0] == 0


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.dag").write_text(LETTERS.replace("ab .;", "a\x1b .;"))
    saved = graphdsl.compile(tmp_path / "s.dag").save(tmp_path / "s.safetensors")
    out = ran(capsys, "sample", saved, "--temperature", 50, "--length", 200)[1]
    assert "\x1b" not in out
    assert "␛" in out


@pytest.mark.parametrize("method", ["greedy", "stochastic"])
def test_what_has_no_name_is_not_written_even_where_nothing_else_is_probable(method: str, tmp_path: Path) -> None:
    (tmp_path / "sure.dag").write_text(
        "input text: int(3)[T]\npreprocess = text -> characters\n"
        "output said = text -> embedding(4) -> lstm(4, sequence=true) -> dense(3) -> softmax\n"
    )
    model = graphdsl.compile(tmp_path / "sure.dag")
    model.writing.spell((UNKNOWN, "a", "b"))
    model.executor.weights["said/dense_1/bias"] = np.array([1000, 0, 0], np.float32)
    made = "".join(model.sample("a", length=30, method=method))
    assert set(made) == ({"a"} if method == "greedy" else {"a", "b"})
