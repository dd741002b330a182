"""The name somebody meant."""

from __future__ import annotations

from collections.abc import Iterable

BEGUN = 3
"""More letters than these are the beginning of one name, where they are of one only."""


def distance(a: str, b: str, limit: int) -> int:
    """Edits (insert, delete, replace, swap of neighbours) from a to b, or limit + 1 when there are more.

    Source: Damerau 1964, the restricted form (no edit inside a swapped pair).
    """
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    older: list[int] = []
    row = list(range(len(b) + 1))
    for i in range(1, len(a) + 1):
        older, row = row, _next_row(a, b, i, older, row)
    return row[-1]


def _next_row(a: str, b: str, i: int, older: list[int], before: list[int]) -> list[int]:
    """Edits from a[:i] to each beginning of b, given those from a[: i - 2] and a[: i - 1]."""
    row = [i]
    for j, y in enumerate(b, 1):
        costs = [before[j] + 1, row[j - 1] + 1, before[j - 1] + (a[i - 1] != y)]
        if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == y:
            costs.append(older[j - 2] + 1)
        row.append(min(costs))
    return row


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate closest to name, or None when none is close: at most a third of its letters differ.

    The name itself is not what was meant. Ties go to the first in alphabetical order.
    """
    if len(name) > 80:
        return None
    limit = max(1, len(name) // 3)
    scored = [(distance(name.lower(), c.lower(), limit), c) for c in sorted(set(candidates) - {name})]
    best = min(scored, default=(limit + 1, ""))
    if best[0] <= limit:
        return best[1]
    stretched = [c for _, c in scored if len(name) > 2 and (name in c.split("_") or c in name.split("_"))]
    begun = stretched or [c for _, c in scored if len(name) > BEGUN and c.startswith(name)]
    return begun[0] if len(begun) == 1 else None


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """A help text, "did you mean `x`?", or the empty string."""
    found = nearest(name, candidates)
    return f"did you mean `{found}`?" if found else ""
