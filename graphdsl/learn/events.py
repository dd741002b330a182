"""What training tells callbacks, and what they may ask of it: records, so that both can be written down and tested."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from graphdsl.ir import Value
from graphdsl.report import dataclass

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Begun:
    """A section begins, or goes on where an earlier run stopped.

    section   its name, `train` when it has none
    epochs    how many there will be
    folder    where this run writes; None when it writes nothing
    """

    section: str
    epochs: int
    folder: Path | None


@dataclass(frozen=True)
class StepDone:
    """A batch was learned from. step counts from 1 over the whole section; loss is that of this batch, NaN for none."""

    step: int
    epoch: int
    loss: float
    rate: float


@dataclass(frozen=True)
class EpochDone:
    """An epoch is over.

    number   from 1
    numbers  by name: `loss`, `digit.accuracy`, `valid.loss`, `valid.digit.accuracy`, `rate`, `seconds`
    higher   names of which more is better
    history  the numbers of every epoch so far, this one last, those before a resume included
    """

    section: str
    number: int
    epochs: int
    step: int
    numbers: Numbers
    higher: frozenset[str]
    history: tuple[Numbers, ...]
    folder: Path | None


@dataclass(frozen=True)
class Ended:
    """A section is over. reason: what a callback stopped it for, empty when all epochs are done."""

    section: str
    epoch: int
    reason: str


Event = Begun | StepDone | EpochDone | Ended


@dataclass(frozen=True)
class Stop:
    """End this section after the epoch."""

    reason: str


@dataclass(frozen=True)
class Save:
    """Write the weights as they are to NAME.safetensors in the run's folder."""

    name: str


@dataclass(frozen=True)
class Keep:
    """Remember the weights as they are, under a name."""

    name: str


@dataclass(frozen=True)
class Restore:
    """Go back to the weights remembered under a name."""

    name: str


@dataclass(frozen=True)
class ScaleRate:
    """From now on multiply every learning rate by factor, once more."""

    factor: float


@dataclass(frozen=True)
class Show:
    """Write a tensor of pictures, or one that is a picture, to NAME_EPOCH.png in the run's folder.

    rows, columns   of the grid
    """

    tensor: Value
    rows: int
    columns: int


Action = Stop | Save | Keep | Restore | ScaleRate | Show
