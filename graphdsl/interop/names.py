"""Names of a source as names of a spec: letters, digits and underscores, each once."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

RESERVED = frozenset(
    (
        *("input", "target", "weight", "output", "block", "shared", "param", "use", "assert", "in", "out", "train"),
        *("if", "then", "else", "and", "or", "not", "true", "false", "none"),
    )
)
LONGEST = 40


class Namer:
    """Gives each name once. taken: names that must not be given."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {*RESERVED, *taken}

    def name(self, wanted: str, besides: Container[str] = ()) -> str:
        """A legal name like wanted; with a number behind it where that is taken, or one of besides."""
        stem = legal(wanted)
        found, number = stem, 2
        while found in self._taken or found in besides:
            found, number = f"{stem}_{number}", number + 1
        self._taken.add(found)
        return found


def legal(wanted: str) -> str:
    """`conv1/7x7_s2` is `conv1_7x7_s2`; what is very long keeps its end, which tells more."""
    name = re.sub(r"[^0-9a-zA-Z]+", "_", wanted.rsplit(":", 1)[0] if wanted.endswith(":0") else wanted).strip("_")
    name = name[-LONGEST:].lstrip("_")
    return (f"t_{name}" if name[:1].isdigit() else name).lower() or "x"
