"""Darknet's INI dialect: sections in order, each with `key=value` lines; the text of a file as records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from graphdsl.interop.refusal import malformed, read_text
from graphdsl.report import Failed, Source, Span, dataclass, fail

LONGEST_TEXT = 8_000_000
"""Characters of a cfg file; the largest that we have met has 60,000."""
MOST_SECTIONS = 10_000

WHOLE = re.compile(r"[+-]?\d+")
REAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
BETWEEN = re.compile(r"[,\s]+")
SHORT = {"convolutional": "conv", "connected": "dense", "network": "net", "deconvolutional": "deconv"}


@dataclass(frozen=True)
class Section:
    """`[convolutional]` and the lines below it.

    kind     the word in brackets
    number   how Darknet counts it: the first section behind [net] is 0; [net] itself is -1
    options  values by key, without comments. Of a key given twice the first counts, as for Darknet
    lines    where each key stands
    span     the head line
    """

    kind: str
    number: int
    options: Mapping[str, str]
    lines: Mapping[str, Span]
    span: Span

    @property
    def name(self) -> str:
        """What the layer is called here, where Darknet only counts: `conv_12`."""
        return f"{SHORT.get(self.kind, self.kind).lower()}_{self.number}"

    def refuse(self, why: str, *, key: str = "", code: str = "E0901", help: str = "") -> Failed:
        """An error that names the layer, at its line or that of one of its keys."""
        what = f"layer {self.number} [{self.kind}]" if self.number >= 0 else f"[{self.kind}]"
        return fail(code, f"{what}: {why}", self.lines.get(key, self.span), help=help)

    def has(self, key: str) -> bool:
        return key in self.options

    def text(self, key: str, default: str = "") -> str:
        return self.options.get(key, default)

    def whole(self, key: str, default: int = 0, low: int = -(2**31), high: int = 2**31 - 1) -> int:
        """A whole number from low to high. Raises E0902 for anything else; 2.5 is read as 2, as by Darknet."""
        (number,) = self.wholes(key, str(default), low, high)[:1] or (default,)
        return number

    def wholes(self, key: str, default: str = "", low: int = -(2**31), high: int = 2**31 - 1) -> list[int]:
        """`1,2,3`; numbers without a comma between them are two numbers, though Darknet would join them."""
        numbers = [int(self._match(WHOLE, key, part)) for part in self._parts(key, default)]
        for number in numbers:
            if not low <= number <= high:
                raise self.refuse(f"{key} is {number}, which is not from {low} to {high}", key=key, code="E0902")
        return numbers

    def real(self, key: str, default: float = 0.0) -> float:
        return float(self._match(REAL, key, self.text(key, str(default))))

    def reals(self, key: str) -> list[float]:
        return [float(self._match(REAL, key, part)) for part in self._parts(key, "")]

    def flag(self, key: str) -> bool:
        return self.real(key) != 0

    def _parts(self, key: str, default: str) -> list[str]:
        return [part for part in BETWEEN.split(self.text(key, default)) if part]

    def _match(self, pattern: re.Pattern[str], key: str, text: str) -> str:
        found = pattern.match(text)
        if found is None:
            raise self.refuse(f"{key} needs a number, got `{text}`", key=key, code="E0902")
        return found.group()


def read_cfg(path: Path) -> tuple[Section, ...]:
    """The sections of a file, [net] first.

    Raises E0902 where the text is no cfg: too long, a line that is neither a section nor `key=value`, a setting
    before the first section, no [net] first.
    """
    text = read_text(path)
    if len(text) > LONGEST_TEXT:
        raise malformed(path, f"it has more than {LONGEST_TEXT:,} characters, which no cfg has", "it may be no cfg")
    return parse_cfg(text, str(path))


def parse_cfg(text: str, path: str) -> tuple[Section, ...]:
    """As read_cfg, of a text; path is only told in messages."""
    source = Source(path, text)
    sections: list[Section] = []
    for start, raw in zip(source.line_starts, text.split("\n"), strict=True):
        line = raw.split("#")[0].split(";")[0].strip()
        span = Span(source, start, start + len(raw.rstrip()))
        if line.startswith("["):
            sections.append(_head(line, len(sections) - 1, span))
        elif line:
            _option(line, sections, span)
    if not sections or sections[0].kind not in ("net", "network"):
        raise fail("E0902", f"`{path}` does not begin with a [net] section, so it is no Darknet cfg")
    return tuple(sections)


def _head(line: str, number: int, span: Span) -> Section:
    name, bracket, rest = line[1:].partition("]")
    name = name.strip()
    if not bracket or rest or not name:
        raise fail("E0902", f"`{line}` is not a section", span, help="a section is a word in brackets: `[maxpool]`")
    if number >= MOST_SECTIONS:
        raise fail("E0902", f"more than {MOST_SECTIONS:,} sections", span)
    return Section(name, number, {}, {}, span)


def _option(line: str, sections: list[Section], span: Span) -> None:
    key, equals, value = (part.strip() for part in line.partition("="))
    if not equals or not key:
        raise fail("E0902", f"`{line[:80]}` is neither a section nor `key=value`", span)
    if not sections:
        raise fail(
            "E0902",
            f"the setting `{line[:80]}` stands before the first section, which should be `[net]`",
            span,
            help="write a line `[net]` above it",
        )
    section = sections[-1]
    if value and key not in section.options:
        made = Section(
            section.kind, section.number, {**section.options, key: value}, {**section.lines, key: span}, section.span
        )
        sections[-1] = made
