"""Files left with people: whole or not there at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from graphdsl.report.diagnostic import fail


def write_whole(path: Path, data: bytes | Iterable[bytes]) -> Path:
    """Writes a file under another name beside it and renames it: nobody ever meets half of it. Makes missing folders.

    data: all of it, or piece by piece.
    Raises Failed E0701 where it cannot be written (a full disk, no permission).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _refused(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return path


def _refused(path: Path, error: OSError) -> Exception:
    reason = (error.strerror or str(error)).lower()
    return fail("E0701", f"cannot write `{path}`: {reason}", help=advice(error))


def advice(error: OSError) -> str:
    """What helps when the system refuses to write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space or choose another place"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "choose a place that you may write to"
    if error.errno == errno.EISDIR:
        return "that is a folder: name a file in it"
    return "choose another place"
