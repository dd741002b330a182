"""Tables that begin with vectors of words from a file."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import graphdsl
from graphdsl.model import Model
from graphdsl.report import Failed

SPEC = """input text: int(9)[T]
target mood: int(2)
preprocess = text -> words
vectors = text -> embedding(3, init=vectors(VECTORS))
output guess = vectors -> global_avg_pool -> dense(2) -> softmax
train {
  data   = csv("films.csv", text="text", batch=2)
  loss   = [guess, mood] -> categorical_crossentropy
  freeze = vectors
  epochs = 1
}
"""
KNOWN = {"good": [1.0, 2, 3], "bad": [-1.0, -2, -3], "strange": [9.0, 9, 9]}
TABLE = "".join(f"{word} {' '.join(map(str, numbers))}\n" for word, numbers in KNOWN.items())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "films.csv").write_text("text,mood\na good film,1\na bad film,0\n")
    (tmp_path / "glove.txt").write_text(TABLE)
    (tmp_path / "word2vec.txt").write_text(f"3 3\n{TABLE}")
    (tmp_path / "glove.txt.gz").write_bytes(gzip.compress(TABLE.encode()))
    (tmp_path / "words.txt").write_text("\n".join(KNOWN))
    np.save(tmp_path / "glove.npy", np.array(list(KNOWN.values()), np.float32))
    save_file({"table": np.array(list(KNOWN.values()), np.float32)}, tmp_path / "glove.safetensors")
    return tmp_path


def fitted(setting: str, text: str = SPEC) -> Model:
    Path("films.dag").write_text(text.replace("VECTORS", setting))
    model = graphdsl.compile("films.dag")
    model.fit(runs=None, shown=False)
    return model


def row(model: Model, word: str) -> list[float]:
    (table,) = (name for name in model.executor.weights if name.endswith("/table"))
    found: list[float] = model.executor.weights[table][int(model.vocabularies["text"].encode(word)[0])].tolist()
    return found


@pytest.mark.parametrize(
    "setting",
    [
        '"glove.txt"',
        '"word2vec.txt"',
        '"glove.txt.gz"',
        '"glove.npy", words="words.txt"',
        '"glove.safetensors", words="words.txt"',
    ],
)
def test_words_that_have_vectors_begin_with_them_and_others_at_random(folder: Path, setting: str) -> None:
    model = fitted(setting)
    assert (row(model, "good"), row(model, "bad")) == ([1, 2, 3], [-1, -2, -3]), "frozen, so still there"
    film = np.array(row(model, "film"))
    assert film.any() and (np.abs(film) < 0.05).all()
    assert model.told == [f"{setting.split(chr(34))[1]}: vectors for 2 of 4 words; the others begin at random"]


def test_they_learn_unless_frozen_and_are_taken_once(folder: Path) -> None:
    model = fitted('"glove.txt"', SPEC.replace("freeze = vectors\n", ""))
    learned = row(model, "good")
    assert learned != [1, 2, 3] and np.allclose(learned, [1, 2, 3], atol=0.1)
    (folder / "glove.txt").unlink()
    model.fit(runs=None, shown=False)
    model.save("films.safetensors")
    again = graphdsl.compile("films.safetensors")
    again.fit(runs=None, shown=False)
    assert np.allclose(row(again, "good"), [1, 2, 3], atol=0.2), "the file of weights holds the table"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("good 1 2\n", "E0518.*have 2 numbers, those of the embedding 3"),
        ("good 1 2 3 4\n", "E0518.*have 4 numbers, those of the embedding 3"),
        ("good 1 2 x\n", "E0502.*line 1 holds something other"),
        ("good 1 2 nan\n", "E0502.*line 1 holds something other"),
        ("what is this\n\n", "E0518|E0502"),
        ("good\n", "E0502.*line 1 is no word"),
    ],
)
def test_files_that_are_none(folder: Path, content: str, words: str) -> None:
    (folder / "odd.txt").write_text(content)
    with pytest.raises(Failed, match=words):
        fitted('"odd.txt"')


@pytest.mark.parametrize(
    ("setting", "change", "words"),
    [
        ('"none.txt"', ("", ""), "E0501"),
        ('"glove.npy", words="word2vec.txt"', ("", ""), r"E0518.*float32\[3, 3\], and `word2vec.txt` has 4 lines"),
        ('"films.csv", words="words.txt"', ("", ""), "E0502"),
        ('"glove.txt"', ("embedding(3", "one_hot -> dense(3"), "embeddings that an input flows into"),
        ('"glove.txt"', ('text="text"', 'ignore="text"'), "E0510"),
    ],
)
def test_what_does_not_go_together(folder: Path, setting: str, change: tuple[str, str], words: str) -> None:
    with pytest.raises(Failed, match=words):
        fitted(setting, SPEC.replace(*change))


def test_two_inputs_need_one_vocabulary(folder: Path) -> None:
    text = SPEC.replace("text: int(9)[T]", "text, more: int(9)[T]").replace(
        "text -> embedding(3, init=vectors(VECTORS))", "[text -> table, more -> table] -> add"
    )
    text = text.replace("vectors =", "shared table = embedding(3, init=vectors(VECTORS))\nvectors =")
    text = text.replace('text="text"', 'text=["text", "more"]').replace("freeze = vectors", "freeze = table")
    (folder / "films.csv").write_text("text,more,mood\na good film,film one a,1\na bad film,bad film a,0\n")
    with pytest.raises(Failed, match="have words of their own"):
        fitted('"glove.txt"', text)
    fitted('"glove.txt"', text.replace("preprocess = text", "preprocess = [text, more]"))
