"""`graphdsl ops`"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from graphdsl.cli import app
from graphdsl.lang import PAGES, SAME, parse
from graphdsl.model import VOCABULARY
from graphdsl.report import Reporter, Source

ROOT = Path(__file__).parents[2]
WORDS = [(kind, name) for kind, registry in VOCABULARY.registries.items() for name in registry]
WORDS += [("language", name) for name in PAGES]
WORDS += [("section", name) for name in ("train", "step", "predict", "sample", "dream")]


def test_every_word_is_listed_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["ops"]) == 0
    listed = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert sorted(line[0] for line in listed) == sorted(name for _, name in WORDS)
    assert not [line for line in listed if len(line) < 2], "each word's docstring begins with a line that informs"


@pytest.mark.parametrize(("kind", "name"), WORDS)
def test_every_word_has_a_page(kind: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["ops", name, "--kind", kind]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{kind} ")
    assert "object at 0x" not in out
    assert "…(" not in out.splitlines()[0]


def test_a_page_is_written_as_a_spec_would(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["ops", "conv"]) == 0
    head = capsys.readouterr().out.splitlines()[0]
    assert "x -> conv(filters, size, stride=1, pad=valid" in head
    assert "init=glorot_uniform" in head


def test_a_misspelt_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["ops", "cnov"]) == 2
    assert "did you mean `conv`?" in capsys.readouterr().err
    assert app.run(["ops", "--kind", "layr"]) == 2


@pytest.mark.parametrize("word", PAGES)
def test_words_of_the_language_have_an_example(word: str) -> None:
    """That is well formed, and has the word in it."""
    reporter = Reporter()
    parse(Source("example.dag", PAGES[word].example), reporter)
    assert not reporter.diagnostics and word in re.split(r"\W", PAGES[word].example)


def test_every_reserved_word_has_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    """Also words that another page tells of; beside those of a registry."""
    text = (ROOT / "specs" / "LANGUAGE.md").read_text().partition("## Reserved words")[2]
    literals = {"true", "false", "none"}
    words = set(text.strip().strip("`").split()) - literals
    assert words <= {*PAGES, *SAME} and not {*SAME} & {*PAGES} and {*SAME.values()} <= {*PAGES}
    assert {"model", "slide", "box", "point"} <= {*PAGES}
    for word in (*sorted(words), "slide"):
        assert app.run(["ops", word]) == 0
        assert capsys.readouterr().out.startswith(f"language {PAGES[SAME.get(word, word)].example}\n\n")


def test_the_keys_of_a_section(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["ops", "train"]) == 0
    out = capsys.readouterr().out
    assert "\n  valid " in out and "inside it: `step`" in out
    assert app.run(["ops", "conv", "--kind", "section"]) == 2
    assert app.run(["ops", "--kind", "language"]) == 0
    assert "\n  slide " in capsys.readouterr().out
