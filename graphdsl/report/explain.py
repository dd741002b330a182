"""Every error code, explained: one file each in `codes/`, read when asked for.

A file is `# E0301: title`, what it means and what to do, then one fenced example: a ```dag text whose offending line
ends in `#! E0301`, or ```sh commands where a spec alone cannot go wrong in this way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = re.compile(
    r"# (?P<code>E\d{4}): (?P<title>[^\n]+)\n+(?P<text>.+?)\n+"
    r"```(?P<language>dag|sh)\n(?P<example>.*?)```\s*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means. language is `dag` when the example is a spec, `sh` when it is a command."""

    code: str
    title: str
    text: str
    example: str
    language: str


def explanation(code: str) -> Explanation:
    """The page of a code. Raises KeyError when there is none."""
    return CODES[code]


def parse_explanation(page: str) -> Explanation:
    """A page taken apart. Raises ValueError where it is not laid out as the head of this file says."""
    found = _FILE.fullmatch(page)
    if found is None:
        raise ValueError(f"not a page about an error code: {page[:60]!r}")
    return Explanation(**found.groupdict())


@cache
def _pages() -> dict[str, Explanation]:
    # Path, not importlib.resources: importing that costs 10 ms at every start, and wheels are unpacked anyway.
    files = sorted(Path(__file__).with_name("codes").glob("E*.md"))
    return {f.stem: parse_explanation(f.read_text(encoding="utf-8")) for f in files}


class _Codes(Mapping[str, Explanation]):
    """Reads the pages on first use: most runs meet no error."""

    def __getitem__(self, code: str) -> Explanation:
        return _pages()[code]

    def __iter__(self) -> Iterator[str]:
        return iter(_pages())

    def __len__(self) -> int:
        return len(_pages())


CODES: Mapping[str, Explanation] = _Codes()
