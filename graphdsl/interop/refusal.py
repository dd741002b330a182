"""Saying no to a file from elsewhere, in the same words for every format."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from graphdsl.report import Failed, fail

MOST_BYTES = 4 << 30
"""A file of weights, or one that holds them."""

MOST_TEXT = 64 << 20
"""A description of a network without weights."""


def cannot_say(layer: str, kind: str, why: str, help: str = "") -> Failed:
    """E0901: a layer has no words in our language. layer and kind: as the source writes them."""
    return fail("E0901", f"`{layer}` ({kind}) cannot be expressed: {why}", help=help)


def malformed(path: Path, why: str, help: str = "") -> Failed:
    """E0902: a file is not what it says it is."""
    return fail("E0902", f"`{path}` cannot be read: {why}", help=help or "take the file from its source again")


def unfit(layer: str, why: str, help: str = "") -> Failed:
    """E0903: weights do not fit the layer that they are for."""
    return fail("E0903", f"`{layer}`: {why}", help=help or "take the weights that belong to this network")


def demand_package(package: str, extra: str, what: str) -> None:
    """Raises E0904 where a package that is not installed with graphdsl itself is missing."""
    if find_spec(package) is None:
        raise fail("E0904", f"{what} needs the package `{package}`", help=f'pip install "graphdsl[{extra}]"')


def read_bytes(path: Path, limit: int = MOST_BYTES) -> bytes:
    """A whole file. Raises Failed E0902 where it is larger than limit, or no file."""
    if not path.is_file():
        raise malformed(path, "there is no such file", "look for a mistake in its name")
    size = path.stat().st_size
    if size > limit:
        raise malformed(path, f"it has {size:,} bytes, and at most {limit:,} are read", "it may be no such file")
    return path.read_bytes()


def read_text(path: Path) -> str:
    """A whole text in UTF-8 (or Latin-1, which old tools wrote); at most MOST_TEXT bytes. Raises Failed E0902."""
    data = read_bytes(path, MOST_TEXT)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
