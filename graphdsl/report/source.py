"""Where a thing was written: a text and a stretch of it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath


@dataclass(frozen=True)
class Source:
    """A text people wrote and the path they know it by.

    path  as given; it is not opened here
    held  the path of a file that holds this text beside other things, as weights hold their spec; path is then where
          the text would stand beside it
    """

    path: str
    text: str
    held: str = ""

    @property
    def title(self) -> str:
        """What messages call it: its path, or what it is inside of the file that holds it."""
        if not self.held:
            return self.path
        inner = PurePath(self.path)
        return f"{'the spec' if inner.stem == PurePath(self.held).stem else inner.name} in {self.held}"

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        """Offset of the first character of each line."""
        return (0, *(i + 1 for i, c in enumerate(self.text) if c == "\n"))

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of a character offset, both from 1."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line (numbered from 1) without its line break."""
        start = self.line_starts[number - 1]
        end = self.line_starts[number] - 1 if number < len(self.line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r")

    def __hash__(self) -> int:
        return hash((self.path, len(self.text)))


@dataclass(frozen=True, slots=True)
class Span:
    """The characters [start, end) of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The stretch from the start of this one to the end of other."""
        return Span(self.source, self.start, other.end)

    def __str__(self) -> str:
        return f"{self.source.title}:{self.line}:{self.column}"
