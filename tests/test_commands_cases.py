"""Commands that go wrong, in `tests/cases/commands`: a folder for each code, with all the files it takes.

The file `command` in it is the command line. Run in a copy of the folder, it must end with exit code 1 and tell that
code and no other. Nothing is made here: the few files that are not text were written once, by `numpy.save` (E0502,
E0503, E0509), `numpy.savez` (E0408) and `safetensors.numpy.save` (weights).
"""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from graphdsl.cli import app
from graphdsl.report import CODES
from tests.report.test_codes import marked_codes
from tests.test_cases import CASES, SPECS, expected

COMMANDS = sorted((CASES / "commands").iterdir())

WITHOUT_A_CASE = {
    "E0618": "of arguments that a Python program gives: the command line checks its own",
    "E0603": "commands bind their data, which tells E0510 or E0513 first: only `graphdsl.runtime` takes bare arrays",
    "E0806": "of a machine without compiled kernels, or of a variable of the environment that names others",
    "E0807": "of a compiler for GPUs that refuses our kernels",
    "E0808": "of a machine without a GPU, or with one that cannot be used",
    "E0904": "of a machine without a package that reads a format",
}
"""Codes that no files and one command can trigger, and why; each has a test marked with it instead."""

MAY_BE_LEFT = {"runs", "__pycache__"}
"""What a command that failed may leave in its working directory."""


def inside(folder: Path) -> set[Path]:
    """All files, by their paths in the folder."""
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", COMMANDS, ids=lambda case: case.name)
def test_command(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(case, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split((case / "command").read_text(encoding="utf-8"))
    assert program == "graphdsl"

    code = app.run(arguments)

    out, err = capsys.readouterr()
    assert code == app.MISTAKE, out + err
    assert set(re.findall(r"error\[(E\d{4})\]", err)) == {case.name}, err
    assert "Traceback" not in out + err
    left = inside(tmp_path) - inside(case)
    assert not [path for path in left if path.parts[0] not in MAY_BE_LEFT or path.name.startswith(".")]


def test_every_code_has_a_case() -> None:
    """A marked line of a spec, a folder of commands, or an entry in WITHOUT_A_CASE and a marked test."""
    marks = [mark for path in SPECS for _, mark in expected(path.read_text(encoding="utf-8"))]
    cases = {mark.split("@")[0] for mark in marks} | {case.name for case in COMMANDS}
    assert cases | WITHOUT_A_CASE.keys() == set(CODES)
    assert not WITHOUT_A_CASE.keys() & cases
    assert not WITHOUT_A_CASE.keys() - marked_codes()
