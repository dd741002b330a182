"""Files left with people: what is said where they cannot be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from graphdsl.report import Failed, advice, write_whole


@pytest.mark.triggers("E0701")
def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with pytest.raises(Failed, match=r"E0701.*is a directory \(help: that is a folder: name a file in it"):
        write_whole(tmp_path / "runs", b"")
    assert list(tmp_path.iterdir()) == [tmp_path / "runs"], "nothing is left beside it"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "free some space or choose another place"),
        (errno.EACCES, "choose a place that you may write to"),
        (errno.ENOENT, "choose another place"),
    ],
)
def test_help_suits_the_reason(number: int, said: str) -> None:
    assert advice(OSError(number, os.strerror(number))) == said
