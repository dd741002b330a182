"""What was measured on this machine, kept between runs: small text files in the cache folder."""

from __future__ import annotations

import os
from functools import cache
from hashlib import blake2b
from pathlib import Path

from graphdsl.backends.cpu.library import Library, processor


def folder() -> Path:
    """GRAPHDSL_CACHE, or graphdsl in the user's cache folder."""
    given = os.environ.get("GRAPHDSL_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "graphdsl"


@cache
def name_of(library: Library) -> str:
    """Of the file for this processor, these kernels and so many threads."""
    known = blake2b(Path(library.c._name).read_bytes(), digest_size=8)
    known.update(f"{processor()} {library.isa} {library.threads}".encode())
    return f"rates-{known.hexdigest()}.json"


def text(name: str) -> str | None:
    """What was kept under this name; None where nothing was."""
    try:
        return (folder() / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def writable() -> bool:
    """Whether anything can be kept."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder(), os.W_OK)


def keep(name: str, what: str) -> bool:
    """Whether it could be kept. Another process never reads half of it."""
    fresh = folder() / f"{name}.{os.getpid()}"
    try:
        fresh.write_text(what, encoding="utf-8")
        fresh.replace(folder() / name)
    except OSError:
        return False
    return True
