"""`graphdsl explain`"""

from __future__ import annotations

import pytest

from graphdsl.cli import app
from graphdsl.report import CODES


def test_all_codes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["explain"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{code}  {page.title}" for code, page in CODES.items()]


@pytest.mark.parametrize("code", CODES)
def test_every_page_is_shown(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["explain", code.lower()]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{code}: {CODES[code].title}\n")
    assert all(line.strip() in out for line in CODES[code].example.splitlines())


@pytest.mark.parametrize("code", ["410", "0410", "E0410"])
def test_the_number_is_enough(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["explain", code]) == 0
    assert capsys.readouterr().out.startswith("E0410: ")


def test_an_unknown_code_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["explain", "E9999"]) == 2
    assert "no error code `E9999`" in capsys.readouterr().err
