"""Files that are not there, and those that were meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphdsl.lang import elaborate, read_source
from graphdsl.report import Failed, Source
from tests.support.language import VOCABULARY


def test_a_missing_spec_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "model.dag").write_text("input x: float[3]\n")
    (tmp_path / "modem.txt").write_text("")
    with pytest.raises(Failed) as caught:
        read_source(tmp_path / "modle.dag")
    assert caught.value.diagnostics[0].help == f"did you mean `{tmp_path / 'model.dag'}`?"
    for odd in (tmp_path / "other" / "modle.dag", tmp_path / "unlike.dag", tmp_path / "model.dag" / "model.dag"):
        with pytest.raises(Failed) as caught:
            read_source(odd)
        assert not caught.value.diagnostics[0].help


def test_a_missing_part_too(tmp_path: Path) -> None:
    (tmp_path / "blocks.dag").write_text("block part = in -> relu\n")
    with pytest.raises(Failed) as caught:
        elaborate(Source(str(tmp_path / "spec.dag"), 'use "block.dag"\n'), VOCABULARY)
    (told,) = caught.value.diagnostics
    assert told.code == "E0216"
    assert told.help == f"did you mean `{tmp_path / 'blocks.dag'}`?"
