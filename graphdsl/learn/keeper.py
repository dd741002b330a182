"""What a run leaves behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from graphdsl.learn.checkpoint import State, save_state
from graphdsl.learn.curves import curves
from graphdsl.learn.files import write_table
from graphdsl.learn.folder import CHECKPOINT, WEIGHTS
from graphdsl.report import dataclass, write_whole
from graphdsl.runtime import STATES, WeightStore, save_weights


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
    def rows(self, rows: Sequence[Mapping[str, object]]) -> None:
        """The numbers of all epochs so far."""

    @abstractmethod
    def finish(self, weights: WeightStore) -> None:
        """The run is over."""


class KeepsNothing(Keeper):
    """For runs of a Python program that wants no files."""

    @property
    def folder(self) -> Path | None:
        return None

    def weights(self, name: str, weights: WeightStore) -> None:
        return

    def checkpoint(self, state: State, weights: WeightStore) -> None:
        return

    def rows(self, rows: Sequence[Mapping[str, object]]) -> None:
        return

    def finish(self, weights: WeightStore) -> None:
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
        save_state(self.path / CHECKPOINT, state, self.identity)

    def rows(self, rows: Sequence[Mapping[str, object]]) -> None:
        write_table(self.path / "metrics.csv", rows)
        write_whole(self.path / "curves.svg", curves(rows).encode())

    def finish(self, weights: WeightStore) -> None:
        self.weights(Path(WEIGHTS).stem, weights)
        (self.path / CHECKPOINT).unlink(missing_ok=True)
