"""`graphdsl fmt`"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from graphdsl.cli import app

UNTIDY = "input   x : float[ 4 ]\noutput y=x->dense( 2 )\n"
BROKEN = "input x: float[4\n"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "a.dag"
    path.write_text(UNTIDY)
    return path


def test_a_file_is_laid_out_once(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["fmt", str(spec)]) == 0
    assert capsys.readouterr().out == f"laid out {spec}\n"
    assert "float[4]" in spec.read_text()
    assert app.run(["fmt", str(spec)]) == 0
    assert capsys.readouterr().out == ""


def test_checking_changes_nothing(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["fmt", "--check", str(spec)]) == 1
    assert capsys.readouterr().out == f"would lay out {spec}\n"
    assert spec.read_text() == UNTIDY


def test_a_broken_spec_is_left_alone_and_hides_no_other(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = spec.with_name("broken.dag")
    broken.write_text(BROKEN)
    assert app.run(["fmt", str(broken), str(spec)]) == 1
    assert "error[E01" in capsys.readouterr().err
    assert broken.read_text() == BROKEN
    assert spec.read_text() != UNTIDY


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(UNTIDY.encode())))
    assert app.run(["fmt", "-"]) == 0
    assert "float[4]" in capsys.readouterr().out


def test_a_link_stays_a_link(spec: Path) -> None:
    link = spec.with_name("link.dag")
    link.symlink_to(spec.name)
    assert app.run(["fmt", str(link)]) == 0
    assert link.is_symlink()
    assert spec.read_text() != UNTIDY


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["fmt", str(tmp_path / "none.dag")]) == 1
    assert "none.dag" in capsys.readouterr().err
