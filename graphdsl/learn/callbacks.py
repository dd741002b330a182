"""What else happens while training goes on.

A callback is settings (a frozen dataclass) and hooks. A hook gets an event and the callback's memory, a dict that it
may change and that is saved with every checkpoint, so that a resumed run remembers as if it had never stopped; it
answers with actions. Nothing in a spec is ever run as code: callbacks of your own are Python classes, registered from a
file that the command line names (`graphdsl run spec.dag --callbacks mine.py`) or handed to `Model.train`.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable
from math import isnan, nan
from pathlib import Path
from typing import Annotated, Any

from graphdsl.ir import Choice, Count, Flag, Natural, NonNegative, Real, Registry, Size, TensorDomain, Value, Words
from graphdsl.learn.events import Action, Begun, Ended, EpochDone, Keep, Restore, Save, ScaleRate, Show, StepDone, Stop
from graphdsl.learn.files import write_table
from graphdsl.report import dataclass, did_you_mean, fail

CALLBACKS = Registry("callback")

Memory = dict[str, Any]
"""What a callback remembers: texts, numbers, lists and dicts of them, for it is saved as JSON."""


class Callback(ABC):  # noqa: B024 - every hook may stay as it is
    """Override the hooks you need; each answers with actions, or with nothing at all."""

    def on_begin(self, event: Begun, memory: Memory) -> Iterable[Action]:
        return ()

    def on_step(self, event: StepDone, memory: Memory) -> Iterable[Action]:
        return ()

    def on_epoch(self, event: EpochDone, memory: Memory) -> Iterable[Action]:
        return ()

    def on_end(self, event: Ended, memory: Memory) -> Iterable[Action]:
        return ()


@CALLBACKS.register("checkpoint")
@dataclass(frozen=True)
class Checkpoint(Callback):
    """Writes the weights into the run's folder: `checkpoint("best")`, `checkpoint(every=5)`.

    which    "best": best.safetensors, whenever the monitored number has never been better
    every    epoch_5.safetensors, epoch_10.safetensors …
    monitor  the number to judge by; none: valid.loss where there is validation, else loss
    """

    which: Annotated[str | None, Choice(("best",))] = None
    every: Count | None = None
    monitor: Words | None = None

    def __post_init__(self) -> None:
        if self.which is None and self.every is None:
            raise fail(
                "E0611", "`checkpoint` is not told when", help='write `checkpoint("best")` or `checkpoint(every=5)`'
            )

    def on_epoch(self, event: EpochDone, memory: Memory) -> Iterable[Action]:
        if self.every and event.number % self.every == 0:
            yield Save(f"epoch_{event.number}")
        if self.which == "best" and _improved(event, memory, self.monitor, 0.0):
            yield Save("best")


@CALLBACKS.register("early_stop")
@dataclass(frozen=True)
class EarlyStop(Callback):
    """Ends training when the monitored number stops getting better, and goes back to the best weights.

    patience   how many epochs in a row without improvement end training
    monitor    the number to judge by; none: valid.loss where there is validation, else loss
    least      an improvement must be larger than this
    restore    whether the best weights are put back when training ends, in whatever way
    """

    patience: Count
    monitor: Words | None = None
    least: NonNegative = 0.0
    restore: Flag = True

    def on_epoch(self, event: EpochDone, memory: Memory) -> Iterable[Action]:
        if _improved(event, memory, self.monitor, self.least):
            memory["waited"] = 0
            if self.restore:
                yield Keep("early_stop")
            return
        memory["waited"] += 1
        if memory["waited"] >= self.patience:
            name = _monitored(event, self.monitor)
            yield Stop(f"{name} has not become better than {memory['best']:.4g} since epoch {memory['epoch']}")

    def on_end(self, event: Ended, memory: Memory) -> Iterable[Action]:
        if self.restore and memory.get("waited", 0) > 0:
            yield Restore("early_stop")


@CALLBACKS.register("reduce_on_plateau")
@dataclass(frozen=True)
class ReduceOnPlateau(Callback):
    """Multiplies the learning rate by factor when the monitored number stops getting better.

    patience   how many epochs in a row without improvement lead to a reduction
    monitor    the number to judge by; none: valid.loss where there is validation, else loss
    cooldown   epochs after a reduction in which nothing is counted
    least      an improvement must be larger than this
    floor      below this rate nothing is reduced any more
    """

    factor: Annotated[float, Real(0.0, 1.0, low_open=True, high_open=True)] = 0.1
    patience: Count = 10
    monitor: Words | None = None
    least: NonNegative = 1e-4
    cooldown: Natural = 0
    floor: NonNegative = 0.0

    def on_epoch(self, event: EpochDone, memory: Memory) -> Iterable[Action]:
        improved = _improved(event, memory, self.monitor, self.least)
        cooling = memory.get("cooling", 0)
        memory["cooling"] = max(0, cooling - 1)
        if improved or cooling:
            memory["waited"] = 0
            return
        memory["waited"] += 1
        if memory["waited"] >= self.patience and event.numbers["rate"] * self.factor >= self.floor:
            memory.update(waited=0, cooling=self.cooldown)
            yield ScaleRate(self.factor)


@CALLBACKS.register("csv_log")
@dataclass(frozen=True)
class CsvLog(Callback):
    """Writes the numbers of every epoch to this file; each run leaves a metrics.csv of its own anyway."""

    path: Words

    def on_epoch(self, event: EpochDone, memory: Memory) -> Iterable[Action]:
        write_table(Path(self.path), event.history)
        return ()


@CALLBACKS.register("pictures")
@dataclass(frozen=True)
class Pictures(Callback):
    """Writes what a tensor looks like into the run's folder: `pictures(made, every=5)` leaves made_005.png …

    what    pictures [height, width, channels] of 1, 3 or 4 channels, from 0 to 1; or a `weight` that is one
    every   epochs from one file to the next
    grid    rows x columns: so many samples side by side

    They are made as in use, always of the same samples (the first to validate on, or else to test on, or else to learn
    from) and the same noise, so that the files show one thing getting better.
    Raises E0305 for a tensor that is no picture.
    """

    what: Annotated[Value, TensorDomain()]
    every: Count = 1
    grid: Size = (8, 8)

    def __post_init__(self) -> None:
        type = self.what.type
        shape = type.shape[1:] if type.batched else type.shape
        if len(shape) != 3 or shape[-1] not in (1, 3, 4) or not type.dtype.is_float:
            help = "pictures are float[height, width, channels] of 1, 3 or 4 channels: `reshape` makes them of features"
            raise fail("E0305", f"`pictures` draws no {type.describe()}", help=help)

    def on_epoch(self, event: EpochDone, memory: Memory) -> Iterable[Action]:
        if event.number % self.every == 0:
            rows, columns = self.grid if isinstance(self.grid, tuple) else (self.grid, self.grid)
            yield Show(self.what, rows, columns)


def _monitored(event: EpochDone, monitor: str | None) -> str:
    """The name of the number to judge by. Raises E0610 when there is no such number."""
    name = monitor or ("valid.loss" if "valid.loss" in event.numbers else "loss")
    if name not in event.numbers:
        known = ", ".join(f"`{n}`" for n in event.numbers)
        raise fail(
            "E0610",
            f"there is no `{name}` to monitor",
            help=did_you_mean(name, event.numbers) or f"there are {known}",
        )
    return name


def _improved(event: EpochDone, memory: Memory, monitor: str | None, least: float) -> bool:
    """Whether the monitored number is better than ever; memory then holds it as `best`, with its epoch.

    NaN is never better than anything.
    """
    name = _monitored(event, monitor)
    number, best = event.numbers[name], memory.get("best", nan)
    gain = number - best if name in event.higher else best - number
    first, recovered = "best" not in memory, isnan(best) and not isnan(number)
    if not (first or recovered or gain > least):
        return False
    memory.update(best=number, epoch=event.number)
    return True
