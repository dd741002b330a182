"""Finding and opening the files a spec names, within stated bounds."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path

from graphdsl.report import Failed, Source, Span, dataclass, fail, nearest

GIBIBYTE = 1 << 30
LARGEST_UNPACKED = 8 * GIBIBYTE
LARGEST_TEXT = 2 * GIBIBYTE


@dataclass(frozen=True)
class Places:
    """Where a relative path may lie: beside the spec first, then in the working directory."""

    spec: Path = field(default_factory=Path)
    working: Path = field(default_factory=Path)

    def find(self, path: str, what: str = "file or folder") -> Path:
        """What has that name. Raises E0501, which says what is missing and lists every place tried."""
        tried = list(dict.fromkeys(folder / Path(path).expanduser() for folder in (self.spec, self.working)))
        for candidate in tried:
            if candidate.exists():
                return candidate
        places = " and ".join(f"`{place}`" for place in tried)
        raise fail("E0501", f"there is no {what} `{path}`: tried {places}", help=_near(tried))


def read_bytes(path: Path, largest: int = LARGEST_UNPACKED) -> bytes:
    """The content of a file, unpacked when its name ends in .gz.

    Raises E0502 (cannot be read, damaged gzip) and E0504 (more than `largest` bytes).
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(largest + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, reason(error)) from error
    if len(content) > largest:
        raise too_large(path, "more than the limit", largest)
    return content


def decoded(path: Path, largest: int) -> str:
    """The text of a file in UTF-8. Raises E0502, with line and byte where it is none, and what `read_bytes` raises."""
    content = read_bytes(path, largest)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, place, byte = wrong_byte(content, error)
        why = f"line {line} is no text in UTF-8: byte {place:,} is 0x{byte:02x}"
        raise unreadable(path, why, "save the file as UTF-8") from error


def wrong_byte(content: bytes, error: UnicodeDecodeError) -> tuple[int, int, int]:
    """Where content could not be decoded: the line, from 1; the place in the file, from 0; the byte there.

    Python counts error.start in error.object, which lacks the byte order mark where the codec takes that off.
    """
    place = len(content) - len(error.object) + error.start
    return content.count(b"\n", 0, place) + 1, place, content[place]


def unreadable(path: Path, why: str, expected: str = "") -> Failed:
    """E0502: the file is there and is not what it should be."""
    return fail("E0502", f"cannot read `{path}`: {why}", help=expected)


def too_large(path: Path, size: str, limit: int) -> Failed:
    """E0504: the content would not fit the bound we keep."""
    return fail("E0504", f"`{path}` unpacks to {size}; at most {limit:,} bytes are accepted", help="split the file")


def reason(error: Exception) -> str:
    """The system's words for an error, without its number and the path that we say ourselves."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(words)[:200]


def line_span(path: Path, number: int, line: str) -> Span:
    """A whole line of a data file as a place that can be drawn; lines before it are left blank, unseen."""
    before = "\n" * (number - 1)
    return Span(Source(str(path), before + line), len(before), len(before) + max(1, len(line)))


def _near(tried: Sequence[Path]) -> str:
    """The name somebody may have meant in one of these folders, or how paths are read."""
    for path in tried:
        found = nearest(path.name, (entry.name for entry in path.parent.iterdir())) if path.parent.is_dir() else None
        if found:
            return f"did you mean `{path.with_name(found)}`?"
    return "paths are taken from the folder of the spec, then from the working directory" if len(tried) > 1 else ""
