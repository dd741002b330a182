"""Specs with mistakes in `tests/cases`: each says on the very line what is wrong there.

`#! E0104` marks a line that E0104 points into, `#! E0104@7 E0106` two mistakes, the first at column 7. A file must give
exactly what it is marked with.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from graphdsl.lang import elaborate, parse, read_source, unread
from graphdsl.report import CODES, Diagnostic, Reporter
from tests.support.language import VOCABULARY

CASES = Path(__file__).parent / "cases"
SPECS = sorted(p for p in CASES.rglob("*.dag") if not p.is_relative_to(CASES / "commands"))
"""Those in `commands` belong to commands that go wrong, and may not even be text."""
MARKS = re.compile(r"#!((?:\s+E\d{4}(?:@\d+)?)+)\s*$")


def diagnose(path: Path) -> tuple[Diagnostic, ...]:
    """Everything that is told about a spec; those in `syntax` make no sense, so they are parsed only."""
    reporter = Reporter()
    if path.is_relative_to(CASES / "syntax"):
        parse(read_source(path), reporter)
    else:
        spec = elaborate(read_source(path), VOCABULARY, reporter=reporter)
        return reporter.diagnostics or unread(spec)
    return reporter.diagnostics


def expected(text: str) -> Counter[tuple[int, str]]:
    """Line and mark (`E0104`, `E0104@7`) of all marks."""
    lines = enumerate(text.splitlines(), 1)
    return Counter((n, mark) for n, line in lines if (found := MARKS.search(line)) for mark in found[1].split())


def told(diagnostics: tuple[Diagnostic, ...], marks: Counter[tuple[int, str]]) -> Counter[tuple[int, str]]:
    """The same from what was told; columns only where a mark names one."""
    found: Counter[tuple[int, str]] = Counter()
    for diagnostic in diagnostics:
        line, column = (diagnostic.span.line, diagnostic.span.column) if diagnostic.span else (0, 0)
        exact = (line, f"{diagnostic.code}@{column}")
        found[exact if marks[exact] else (line, diagnostic.code)] += 1
    return found


@pytest.mark.parametrize("path", SPECS, ids=lambda p: str(p.relative_to(CASES)))
def test_case(path: Path) -> None:
    marks = expected(path.read_text(encoding="utf-8"))
    assert told(diagnose(path), marks) == marks


def test_every_code_of_the_language_has_a_case() -> None:
    """Those that only commands can trigger say so on their page, and have a test elsewhere."""
    texts = [path.read_text(encoding="utf-8") for path in SPECS]
    found = {mark.split("@")[0] for text in texts for _, mark in expected(text)}
    wanted = {code for code, page in CODES.items() if code < "E05" and page.language == "dag"}
    assert not wanted - found
