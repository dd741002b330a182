"""`graphdsl ops`"""

from __future__ import annotations

import pytest

from graphdsl.cli import app
from graphdsl.model import VOCABULARY

WORDS = [(kind, name) for kind, registry in VOCABULARY.registries.items() for name in registry]


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
