"""What a run leaves behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from graphdsl.learn.checkpoint import State, save_state
from graphdsl.learn.curves import curves
from graphdsl.learn.files import metrics_lines, write_table
from graphdsl.learn.folder import CHECKPOINT, METRICS_FILE, SUMMARY, WEIGHTS
from graphdsl.report import dataclass, json_text, write_whole
from graphdsl.runtime import STATES, WeightStore, save_weights

Metrics = Mapping[str, Mapping[str, float]]

RESULTS = "\nresults\n"
"""What stands above the final numbers in the summary."""


class Keeper(ABC):
    """Writes, or does not."""

    @property
    @abstractmethod
    def folder(self) -> Path | None:
        """Where; None: nowhere."""

    @abstractmethod
    def weights(self, name: str, weights: WeightStore) -> None:
        """The weights as they are, as NAME.safetensors."""

    @abstractmethod
    def checkpoint(self, state: State, weights: WeightStore) -> None:
        """All that is needed to go on from here."""

    @abstractmethod
    def file(self, name: str, content: bytes) -> None:
        """A file of this name, in place of one that is there."""

    @abstractmethod
    def rows(self, rows: Sequence[Mapping[str, object]]) -> None:
        """The numbers of all epochs so far."""

    @abstractmethod
    def finish(self, weights: WeightStore, metrics: Metrics, seconds: float) -> None:
        """The run is over. metrics: of train, valid and test, by name."""


class KeepsNothing(Keeper):
    """For runs of a Python program that wants no files."""

    @property
    def folder(self) -> Path | None:
        return None

    def weights(self, name: str, weights: WeightStore) -> None:
        return

    def checkpoint(self, state: State, weights: WeightStore) -> None:
        return

    def file(self, name: str, content: bytes) -> None:
        return

    def rows(self, rows: Sequence[Mapping[str, object]]) -> None:
        return

    def finish(self, weights: WeightStore, metrics: Metrics, seconds: float) -> None:
        return


@dataclass(frozen=True)
class KeepsFolder(Keeper):
    """Writes into the folder of the run. Every file is whole or not there (E0701 where the system refuses).

    identity  of what is trained: a checkpoint belongs to it alone
    metadata  kept in every file of weights: the spec, the names behind class numbers
    """

    path: Path
    identity: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path | None:
        return self.path

    def weights(self, name: str, weights: WeightStore) -> None:
        own = {w: weights[w] for w in weights if not w.startswith(STATES)}
        save_weights(own, self.path / f"{name}.safetensors", self.metadata)

    def checkpoint(self, state: State, weights: WeightStore) -> None:
        state.weights = weights.snapshot()
        save_state(self.path / CHECKPOINT, state, self.identity, self.metadata)

    def file(self, name: str, content: bytes) -> None:
        write_whole(self.path / name, content)

    def rows(self, rows: Sequence[Mapping[str, object]]) -> None:
        write_table(self.path / "metrics.csv", rows)
        write_whole(self.path / "curves.svg", curves(rows).encode())

    def finish(self, weights: WeightStore, metrics: Metrics, seconds: float) -> None:
        self.weights(Path(WEIGHTS).stem, weights)
        write_whole(self.path / METRICS_FILE, json_text({"metrics": metrics, "seconds": seconds}).encode() + b"\n")
        self._sum_up(metrics, seconds)
        (self.path / CHECKPOINT).unlink(missing_ok=True)

    def _sum_up(self, metrics: Metrics, seconds: float) -> None:
        """Puts the final numbers at the end of the summary, in place of those that are there."""
        path = self.path / SUMMARY
        before = path.read_text(encoding="utf-8").partition(RESULTS)[0] if path.exists() else ""
        lines = [*metrics_lines(metrics), f"{seconds:.1f} s"]
        write_whole(path, (before + RESULTS + "".join(f"{line}\n" for line in lines)).encode())
