"""Long statements in several lines."""

from __future__ import annotations

LONGEST = 112
"""Characters of a statement, without its indentation."""


def wrapped(line: str) -> list[str]:
    """A statement in lines of at most LONGEST characters where breaking its first brackets does that."""
    begin = line.find("(")
    end = _partner(line, begin)
    if len(line) <= LONGEST or begin < 0 or end <= begin + 1:
        return [line]
    return [line[: begin + 1], f"    {line[begin + 1 : end]}", line[end:]]


def _partner(line: str, begin: int) -> int:
    """Where the bracket that opens at begin is closed."""
    depth = 0
    for place in range(max(begin, 0), len(line)):
        depth += (line[place] in "([{") - (line[place] in ")]}")
        if depth == 0:
            return place
    return -1
