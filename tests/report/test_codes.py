"""Every code has a page, every page has a code, and the example on it goes wrong in just that way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import graphdsl
from graphdsl.report import CODES, Diagnostic, Failed, explanation
from graphdsl.report.explain import parse_explanation

ROOT = Path(__file__).parents[2]
RANGES = {"E01", "E02", "E03", "E04", "E05", "E06", "E07", "E08", "E09"}

PAGE = """# E0301: the shapes differ

Say why.

And more.

```dag
y = a + b  #! E0301
```
"""


def used_codes() -> set[str]:
    """Codes that the source raises."""
    texts = (p.read_text(encoding="utf-8") for p in (ROOT / "graphdsl").rglob("*.py"))
    return {code for text in texts for code in re.findall(r'"(E\d{4})"', text)}


def marked_codes() -> set[str]:
    """Codes that a test says it triggers: @pytest.mark.triggers("E0501")."""
    texts = (p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("*.py"))
    return {code for text in texts for code in re.findall(r'triggers\("(E\d{4})"\)', text)}


def test_every_code_is_explained() -> None:
    assert not used_codes() - set(CODES)


def test_every_page_is_about_a_code_in_use() -> None:
    assert not set(CODES) - used_codes()


def test_pages_of_commands_have_a_test_elsewhere() -> None:
    assert not {c for c, page in CODES.items() if page.language == "sh"} - marked_codes()


@pytest.mark.parametrize("code", CODES)
def test_page_is_whole(code: str) -> None:
    page = explanation(code)
    assert page.code == code
    assert code[:3] in RANGES
    assert page.title[0].islower() or not page.title[0].isalpha(), "titles read like messages: lower case"
    assert not page.title.endswith(".")
    assert len(page.text) > 80, "say what it means and what to do"
    if page.language == "dag":
        assert f"#! {code}" in page.example


def test_a_page_comes_apart() -> None:
    page = parse_explanation(PAGE)
    assert (page.code, page.title, page.language) == ("E0301", "the shapes differ", "dag")
    assert page.text == "Say why.\n\nAnd more."
    assert page.example == "y = a + b  #! E0301\n"


@pytest.mark.parametrize(
    "broken", ["", "# no code\n", PAGE.replace("```dag", "```"), PAGE.replace("Say why.\n\nAnd more.\n\n", "")]
)
def test_a_page_without_its_parts_is_refused(broken: str) -> None:
    with pytest.raises(ValueError, match="not a page"):
        parse_explanation(broken)


def test_an_unknown_code_has_no_page() -> None:
    with pytest.raises(KeyError):
        explanation("E9999")


@pytest.mark.parametrize("code", [code for code, page in CODES.items() if page.language == "dag"])
def test_the_example_goes_wrong_in_just_that_way(code: str, tmp_path: Path) -> None:
    lines = explanation(code).example.split("\n")
    expected = {(code, number) for number, line in enumerate(lines, 1) if line.endswith(f"#! {code}")}
    spec = tmp_path / "example.dag"
    spec.write_text("\n".join(lines), encoding="utf-8")
    assert {(d.code, d.span.line) for d in told(str(spec)) if d.span} == expected


def told(spec: str) -> tuple[Diagnostic, ...]:
    """Mistakes, or warnings where there are none."""
    try:
        return graphdsl.compile(spec).warnings
    except Failed as failed:
        return failed.diagnostics
