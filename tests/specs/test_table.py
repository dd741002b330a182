"""specs/README.md: what its tables say of our specs is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import graphdsl
from graphdsl.draw import summary_data, summary_text
from graphdsl.ir import Weight

SPECS = Path(__file__).parents[2] / "specs"
TABLES = (SPECS / "README.md").read_text(encoding="utf-8")
FOUND = re.findall(r"^\| \[[^]]+\]\((\S+\.dag)\) \| (.*) \|$", TABLES, re.MULTILINE)
ROWS = {name: row.split(" | ") for name, row in FOUND}


def lines(path: Path) -> int:
    """Lines that are neither blank nor comment."""
    return len(re.findall(r"^\s*[^#\s]", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_spec_has_a_row() -> None:
    paths = [*SPECS.glob("*.dag"), *SPECS.glob("zoo/*.dag")]
    assert sorted(name for name, _ in FOUND) == sorted(p.relative_to(SPECS).as_posix() for p in paths)


@pytest.mark.parametrize("name", ROWS)
def test_row(name: str) -> None:
    path = SPECS / name
    used = re.findall(r'^use "(.*)"$', path.read_text(encoding="utf-8"), re.MULTILINE)
    row = ROWS[name]
    assert row[0] == " + ".join(str(lines(p)) for p in [path, *(path.parent / u for u in used)])
    graph = graphdsl.compile(path).graph
    learned = summary_data(graph)["parameters"]["trainable"]
    assert row[1] == f"{learned:,}"
    if name.startswith("zoo/"):
        averages = sum(node.op.made.count for _, node in graph.items() if isinstance(node.op, Weight) and node.op.state)
        assert row[2] == f"{learned + averages:,}"
        assert f"FLOPs for one sample: {row[3]}\n" in summary_text(graph)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", TABLES))))
def test_what_is_linked_is_there_and_small(link: str) -> None:
    assert (SPECS / link).stat().st_size < 150_000
