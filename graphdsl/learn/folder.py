"""The folder of a run: made when there is something to put in, never one that exists."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from graphdsl.report import advice, fail

WEIGHTS = "weights.safetensors"
CHECKPOINT = "checkpoint.safetensors"
SUMMARY = "summary.txt"
METRICS_FILE = "metrics.json"


def new_folder(runs: Path, stem: str) -> Path:
    """Makes `runs/STEM-N` with the first N after all that are there. Raises E0701."""
    number = max((n for n, _ in _numbered(runs, stem)), default=0) + 1
    folder = runs / f"{stem}-{number}"
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        # Another run began at the same moment.
        return new_folder(runs, stem)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise fail("E0701", f"cannot make `{folder}`: {reason}", help=advice(error)) from error
    return folder


def newest_weights(runs: Path, stem: str) -> Path | None:
    """What the newest run of this spec that has some weights has left of them."""
    found = [(number, weights) for number, folder in _numbered(runs, stem) if (weights := weights_of_run(folder))]
    return max(found)[1] if found else None


def weights_of_run(folder: Path) -> Path | None:
    """The weights that a run has left; of one that has not come to its end, its checkpoint."""
    return next((folder / name for name in (WEIGHTS, CHECKPOINT) if (folder / name).exists()), None)


def _numbered(runs: Path, stem: str) -> Iterable[tuple[int, Path]]:
    if not runs.is_dir():
        return
    for folder in runs.iterdir():
        found = re.fullmatch(re.escape(stem) + r"-(\d{1,9})", folder.name)
        if found:
            yield int(found[1]), folder
