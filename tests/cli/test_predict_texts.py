"""`graphdsl predict` on texts: from the command line, lines of a file, a column of a csv file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import graphdsl
from graphdsl.cli import app

SPEC = """input text: int(20)[T]
target mood: int(2)
output guess = text -> embedding(4) -> global_avg_pool -> dense(2) -> softmax
train {
  data      = lines(["good.txt", "bad.txt"], batch=4)
  loss      = [guess, mood] -> categorical_crossentropy
  optimizer = adam(lr=0.1)
  epochs    = 30
}
"""


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.txt").write_text("fine film\nlovely tale\nfine, lovely\n")
    (tmp_path / "bad.txt").write_text("dull film\nsad tale\ndull and sad\n")
    (tmp_path / "mood.dag").write_text(SPEC)
    graphdsl.compile("mood.dag").fit(shown=False)
    capsys.readouterr()
    return "runs/mood-1/weights.safetensors"


def test_texts_of_the_command_line(trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["predict", trained, "--text", "a fine film", "--text", "dull, " * 20]) == 0
    head, good, bad = capsys.readouterr().out.splitlines()
    assert head == "guess [2, 2]"
    assert good.startswith("  a fine film ") and good.split("film", 1)[1].split()[0] == "good:"
    assert bad.startswith(f"  {('dull, ' * 20)[:47]}…") and bad.split("…")[1].split()[0] == "bad:"


def test_lines_of_a_file_and_a_column(trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("new.txt").write_text("a sad film\n\na lovely one\n")
    Path("new.csv").write_text("text\na sad film\na lovely one\n")
    for file in ("new.txt", "new.csv"):
        assert app.run(["predict", trained, file, "--format", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["predicted"] == {"guess": ["bad", "good"]}


def test_several_inputs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.dag").write_text("""input left, right: int(99)[T]
preprocess = [left, right] -> characters("abc=")
output y = [left -> embedding(2) -> global_avg_pool, right -> embedding(2) -> global_avg_pool] -> concat
""")
    graphdsl.compile("two.dag").save("two.safetensors")
    assert app.run(["predict", "two.safetensors", "--text", "left=ab", "--text", "right=c="]) == 0
    assert app.run(["predict", "two.safetensors", "--text", "left=ab"]) == app.MISTAKE
    assert app.run(["predict", "two.safetensors", "new.csv", "--text", "left=ab"]) == 2
