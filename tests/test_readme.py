"""What the README says to type is what is tested, and what it shows is what comes out."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from graphdsl.cli import app
from tests.support.shared import DATA, needs

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_finds_the_test_command() -> None:
    """Runs the line of .ci/run that reads the README, and compares with what a reader sees."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    line = next(line for line in script.splitlines() if line.startswith("test_command="))
    command = ["bash", "-c", f'{line}\nprintf "%s" "$test_command"']
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"<!-- tests -->\n```sh\n{found}\n```\n" in README
    assert "pytest" in found


def test_files_that_the_readme_names_exist() -> None:
    linked = re.findall(r"\]\(([^):]+)\)", README)
    specs = re.findall(r"\bspecs/[\w/]+\.dag\b", README)
    assert specs
    missing = [name for name in {*linked, *specs} if not (ROOT / name).exists()]
    assert not missing


def test_the_spec_on_top_is_the_one_that_is_trained() -> None:
    """But for its head comment, which in the file names source and parameters."""
    shown = re.search(r"```\n# Handwritten digits\n(.*?)```", README, re.DOTALL)
    shipped = (ROOT / "specs" / "digits.dag").read_text(encoding="utf-8")
    assert shown
    assert re.sub(r"^#.*\n+", "", shipped, flags=re.MULTILINE) == shown[1]


def test_lines_of_googlenet() -> None:
    lines = (ROOT / "specs" / "zoo" / "googlenet.dag").read_text(encoding="utf-8").count("\n")
    assert f"[specs/zoo/googlenet.dag](specs/zoo/googlenet.dag), {lines} lines" in README


def test_mistakes_look_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.search(r"<!-- mistake -->\n```\n(.*?)```\n\n```\n(.*?)```", README, re.DOTALL)
    assert blocks
    (tmp_path / "model.dag").write_text(blocks[1], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    assert app.run(["check", "model.dag"]) == 1
    assert capsys.readouterr().err == blocks[2]


@needs("mobilefacenet")
def test_an_import_looks_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = pytest.importorskip("onnx")
    shown = re.search(
        r"the (\d+) nodes of MobileFaceNet in ONNX become:\n\n<!-- imported -->\n```\n(.*?)```", README, re.DOTALL
    )
    assert shown
    file = DATA / "mobilefacenet" / "MobileFaceNet.onnx"
    monkeypatch.chdir(tmp_path)
    assert app.run(["import", str(file), "--no-check"]) == 0
    assert (tmp_path / "MobileFaceNet.dag").read_text(encoding="utf-8").partition("\n\n")[2] == shown[2]
    assert len(onnx.load(file).graph.node) == int(shown[1])
