"""What was measured or compiled on this machine, kept between runs: files in the cache folder."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from threading import get_native_id


def folder() -> Path:
    """GRAPHDSL_CACHE, or graphdsl in the user's cache folder."""
    given = os.environ.get("GRAPHDSL_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "graphdsl"


def data(name: str) -> bytes | None:
    """What was kept under this name; None where nothing was."""
    try:
        return (folder() / name).read_bytes()
    except OSError:
        return None


def text(name: str) -> str | None:
    """As data, for text in UTF-8; None too where it is anything else."""
    try:
        return (data(name) or b"").decode() or None
    except UnicodeDecodeError:
        return None


def writable() -> bool:
    """Whether anything can be kept."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder(), os.W_OK)


def keep(name: str, what: str | bytes) -> bool:
    """Whether it could be kept. Another process never reads half of it. name: may begin with a folder."""
    place = folder() / name
    fresh = place.with_name(f"{place.name}.{os.getpid()}.{get_native_id()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(what.encode() if isinstance(what, str) else what)
        fresh.replace(place)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        return False
    return True
