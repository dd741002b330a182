"""Specs with mistakes in `tests/cases`: each says on the very line what is wrong there.

`#! E0104` marks a line that E0104 points into, `#! E0104@7 E0106` two mistakes, the first at column 7. A file must give
exactly what it is marked with.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from graphdsl.lang import parse, read_source
from graphdsl.report import Diagnostic, Reporter

CASES = Path(__file__).parent / "cases"
MARKS = re.compile(r"#!((?:\s+E\d{4}(?:@\d+)?)+)\s*$")


def diagnose(path: Path) -> tuple[Diagnostic, ...]:
    """Everything that is told about a spec."""
    reporter = Reporter()
    parse(read_source(path), reporter)
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


@pytest.mark.parametrize("path", sorted(CASES.rglob("*.dag")), ids=lambda p: str(p.relative_to(CASES)))
def test_case(path: Path) -> None:
    marks = expected(path.read_text(encoding="utf-8"))
    assert told(diagnose(path), marks) == marks
