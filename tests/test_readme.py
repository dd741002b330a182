"""What the README says to type is what is tested."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_finds_the_test_command() -> None:
    """Runs the line of .ci/run that reads the README, and compares with what a reader sees."""
    line = next(
        x for x in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines() if x.startswith("test_command=")
    )
    script = f'{line}\nprintf "%s" "$test_command"'
    found = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"<!-- tests -->\n```sh\n{found}\n```\n" in README
    assert "pytest" in found


def test_files_that_the_readme_names_exist() -> None:
    """Links, pictures and specs."""
    linked = re.findall(r"\]\(([^):]+)\)", README)
    specs = re.findall(r"\bspecs/\w+\.dag\b", README)
    assert specs
    missing = [name for name in {*linked, *specs} if not (ROOT / name).exists()]
    assert not missing
