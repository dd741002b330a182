"""A run at a moment, whole: written after every epoch and on Ctrl+C, so that it can go on as if it had never stopped.

One safetensors file: arrays under `weights/`, `kept/` and `observed/`, everything else as JSON in its metadata. Nothing
in it is ever executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Any

from graphdsl.ir import Array
from graphdsl.learn.callbacks import Memory
from graphdsl.report import dataclass, fail
from graphdsl.runtime import STATES, read_weights, save_weights

FORMAT = "1"
ARRAYS = ("weights", "kept", "observed")


@dataclass
class State:
    """Where training stands.

    section   how many sections are over; that many, counted from 0, is the one that runs
    epoch     epochs of it that are over
    batch     batches of the running epoch that are over
    step      steps of the section
    factor    what callbacks have multiplied the learning rate with
    sums      losses of the running epoch, as the tally adds them up
    observed  what metrics have counted in it
    memories  of the callbacks, in their order
    kept      weights that callbacks have asked to remember, as NAME:WEIGHT; epochs: when
    history   the numbers of every epoch of the section
    rows      of metrics.csv, sections that are over included
    metrics   the result so far: train, valid, test
    """

    section: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0
    factor: float = 1.0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    observed: dict[str, Array] = field(default_factory=dict)
    memories: list[Memory] = field(default_factory=list)
    kept: dict[str, Array] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    rows: list[dict[str, object]] = field(default_factory=list)
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    weights: dict[str, Array] = field(default_factory=dict)

    def next_section(self) -> State:
        """The beginning of the section after this one."""
        return State(self.section + 1, seconds=self.seconds, rows=self.rows, metrics=self.metrics)


def save_state(path: Path, state: State, identity: str, metadata: Mapping[str, str] | None = None) -> None:
    """Writes the file, whole or not at all. Raises E0701.

    identity  of what is trained; see `load_state`
    metadata  as files of weights have it
    """
    plain = {f.name: getattr(state, f.name) for f in fields(state) if f.name not in ARRAYS}
    arrays = {f"{kind}/{n}": array for kind in ARRAYS for n, array in getattr(state, kind).items()}
    save_weights(arrays, path, {**(metadata or {}), "format": FORMAT, "identity": identity, "state": json.dumps(plain)})


def load_state(path: Path, identity: str) -> State:
    """The state in the file. Raises E0614 where there is none or of another spec, E0604 where it is damaged."""
    if not path.exists():
        ended = "a run that came to its end has none: to train on, begin a new one with --weights"
        help = ended if path.parent.is_dir() else f"there is no folder `{path.parent}`"
        raise fail("E0614", f"there is nothing to go on with: no `{path}`", help=help)
    arrays, metadata = read_weights(path)
    if metadata.get("identity") != identity or metadata.get("format") != FORMAT:
        help = "go on with the spec and the settings that the run began with, or begin a new one with --weights"
        raise fail("E0614", f"`{path}` is of another spec, or of the same with other settings", help=help)
    parts: dict[str, Any] = {
        k: {n.removeprefix(f"{k}/"): a for n, a in arrays.items() if n.startswith(f"{k}/")} for k in ARRAYS
    }
    return State(**json.loads(metadata["state"]), **parts)


def read_weights_or_checkpoint(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """A file of weights, read; of a checkpoint, the weights in it. Raises E0604."""
    arrays, metadata = read_weights(path)
    if "state" not in metadata:
        return arrays, metadata
    start = f"{ARRAYS[0]}/"
    weights = {n.removeprefix(start): array for n, array in arrays.items() if n.startswith(start)}
    return {n: array for n, array in weights.items() if not n.startswith(STATES)}, metadata
