"""Running text as windows, and texts a line each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphdsl
from graphdsl.data import Bound, Dataset, Lines, Places, Preprocess, RunningText, Wanted, bind
from graphdsl.data.column import Labels
from graphdsl.data.dataset import Feed
from graphdsl.data.preprocess_text import BytesStep, CharactersStep, Tokeniser, WordsStep
from graphdsl.ir import BATCH, DType, TensorType, indices, symbol
from graphdsl.report import Failed
from tests.support.shared import DATA, needs


def running(folder: Path, text: str, **settings: object) -> Dataset:
    (folder / "t.txt").write_text(text, encoding="utf-8", newline="")
    return RunningText(("t.txt",), **{"length": 4, **settings}).read(Places(folder))  # type: ignore[arg-type]


def bound(data: Dataset, step: Tokeniser, valid: float = 0.0) -> tuple[Bound, Feed]:
    kind = TensorType((BATCH, symbol("T")), DType.INT32, indices(256))
    wanted = [Wanted("text", "input", kind), Wanted("next", "target", kind)]
    recipe = Preprocess((step,), keys=("both",))
    feed = Feed(data, valid=valid)
    made = bind(
        data, wanted, preprocess={"text": recipe, "next": recipe}, training=lambda count: feed.parts(count, 0)[0]
    )
    return made, feed


def read(found: Bound, rows: np.ndarray | None = None) -> list[tuple[str, str]]:
    arrays = found.take(np.arange(len(found)) if rows is None else rows).arrays
    texts, after = ([found.vocabularies[name].decode(row) for row in arrays[name]] for name in ("text", "next"))
    return list(zip(texts, after, strict=True))


def test_windows_and_what_comes_next(tmp_path: Path) -> None:
    found, _ = bound(running(tmp_path, "abcdefghij"), CharactersStep())
    assert read(found) == [("abcd", "bcde"), ("efgh", "fghi")]
    found, _ = bound(running(tmp_path, "abcdefg", stride=1), CharactersStep())
    assert read(found) == [("abcd", "bcde"), ("bcde", "cdef"), ("cdef", "defg")]


def test_the_tokeniser_says_what_a_piece_is(tmp_path: Path) -> None:
    found, _ = bound(running(tmp_path, "The cat, the dog; the end.", length=3), WordsStep())
    assert read(found) == [("the cat,", "cat, the"), ("the dog;", "dog; the")]
    found, _ = bound(running(tmp_path, "aéb", length=3), BytesStep())
    assert len(found) == 1 and read(found)[0][0] == "aé"


def test_validation_is_the_end_and_shares_nothing_with_training(tmp_path: Path) -> None:
    data = running(tmp_path, "abcdefghijklmnopqrstuvwxyz", stride=2)
    found, feed = bound(data, CharactersStep(), valid=0.25)
    train, valid, _ = feed.parts(len(found), 7)
    windows = data.columns["text"]
    assert windows.take(valid).tolist() == ["qrst", "stuv", "uvwx"], "in order, from the end"
    assert windows.take(train)[-1] == "mnop", "`opqr` overlaps with what validates"
    assert read(found, valid)[0] == ("q" + 3 * "\N{REPLACEMENT CHARACTER}", 4 * "\N{REPLACEMENT CHARACTER}")
    assert "q" in found.states["both"]["tokens"] and "r" not in found.states["both"]["tokens"], "learned from training"


def test_a_text_shorter_than_a_window(tmp_path: Path) -> None:
    assert len(bound(running(tmp_path, "abcde"), CharactersStep())[0]) == 1
    with pytest.raises(Failed, match=r"E0508.*4 pieces, and one window takes 5"):
        bound(running(tmp_path, "abcd"), CharactersStep())


def test_nothing_says_what_a_piece_is(tmp_path: Path) -> None:
    kind = TensorType((BATCH, symbol("T")), DType.INT32, indices(256))
    with pytest.raises(Failed, match=r"E0518.*nothing says what it is made of"):
        bind(running(tmp_path, "abcdefgh"), [Wanted("text", "input", kind)])


def test_a_spec_learns_the_alphabet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "input.txt").write_text("abcdefgh" * 200)
    (tmp_path / "next.dag").write_text("""input now: int(9)[T]
target after: int(9)[T]
preprocess = [now, after] -> characters
output guess = now -> embedding(8) -> dense(9) -> softmax
train {
  data      = text("input.txt", length=16, stride=5, batch=8, valid=0.1)
  loss      = [guess, after] -> categorical_crossentropy
  metrics   = [guess, after] -> accuracy
  optimizer = adam(lr=0.1)
  epochs    = 4
}
""")
    model = graphdsl.compile("next.dag")
    got = model.fit(runs=None, shown=False).metrics
    assert got["valid"]["guess.accuracy"] == 1.0
    scores = model.predict({"now": ["abc"]})["guess"][0]
    assert model.vocabularies["after"].decode(scores.argmax(-1)) == "bcd"


# --- lines -----------------------------------------------------------------------------------------------------------


def lines(folder: Path, **settings: object) -> Dataset:
    (folder / "good.txt").write_text("fine film\n\n  lovely \n")
    (folder / "bad.en.txt").write_text("dull\r\n")
    return Lines(**{"path": ("good.txt", "bad.en.txt"), **settings}).read(Places(folder))  # type: ignore[arg-type]


def test_one_file_a_class(tmp_path: Path) -> None:
    found = lines(tmp_path)
    label = found.columns["label"]
    assert isinstance(label, Labels)
    assert (label.classes, label.values.tolist()) == (("bad", "good"), [1, 1, 0])
    assert found.columns["text"].take(np.arange(3)).tolist() == ["fine film", "lovely", "dull"]


def test_the_first_word_is_the_class(tmp_path: Path) -> None:
    found = lines(tmp_path, path=("good.txt",), label="none")
    assert list(found.columns) == ["text"] and found.place(1) == "good.txt:3"
    (tmp_path / "mixed.txt").write_text("1 fine film\n0 dull\n")
    found = lines(tmp_path, path=("mixed.txt",), label="first")
    label = found.columns["label"]
    assert isinstance(label, Labels) and label.values.tolist() == [1, 0]
    assert found.columns["text"].take(np.arange(2)).tolist() == ["fine film", "dull"]
    with pytest.raises(Failed, match=r"E0518.*good.txt:3 holds one word"):
        lines(tmp_path, path=("good.txt",), label="first")


def test_other_encodings(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_bytes("caf\xe9\nnext".encode("latin-1"))
    with pytest.raises(Failed, match=r"E0502.*line 1 has the byte 0xe9"):
        lines(tmp_path, path=("old.txt",))
    (tmp_path / "mark.txt").write_bytes("\ufeffcafé\n".encode() + b"\xe9t\xe9")
    with pytest.raises(Failed, match=r"E0502.*line 2 has the byte 0xe9"):
        lines(tmp_path, path=("mark.txt",))
    found = lines(tmp_path, path=("old.txt",), encoding="latin1")
    assert found.columns["text"].take(np.arange(1)).tolist() == ["café"]
    (tmp_path / "none.txt").write_text("\n \n")
    with pytest.raises(Failed, match="E0508"):
        lines(tmp_path, path=("none.txt",))


@needs("text")
def test_the_sentence_sets() -> None:
    folder = DATA / "text" / "sent_conv"
    counts = {"rt-polarity.all": (10662, 2), "TREC.train.all": (5452, 6)}
    for name, expected in counts.items():
        found = Lines((name,), label="first", encoding="latin1").read(Places(folder))
        label = found.columns["label"]
        assert isinstance(label, Labels) and (len(found), len(label.classes)) == expected
