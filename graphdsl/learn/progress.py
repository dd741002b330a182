"""What people see while training runs: a bar and a line an epoch on a terminal, the lines alone elsewhere."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import isnan
from typing import TYPE_CHECKING, TextIO

from graphdsl.learn.events import StepDone

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

UNSEEN = frozenset({"section", "epoch", "step", "rate", "seconds"})


class Progress(ABC):
    """Watches a run. steps: how many there are in an epoch."""

    @abstractmethod
    def step(self, done: StepDone, steps: int) -> None:
        """A step was made; done.step counts over the section."""

    @abstractmethod
    def epoch(self, row: Mapping[str, object], epochs: int) -> None:
        """An epoch is over; row is that of metrics.csv."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Something people should know."""

    @abstractmethod
    def close(self) -> None:
        """Training is over, in whatever way."""


class Silent(Progress):
    """Says nothing."""

    def step(self, done: StepDone, steps: int) -> None:
        return

    def epoch(self, row: Mapping[str, object], epochs: int) -> None:
        return

    def say(self, text: str) -> None:
        return

    def close(self) -> None:
        return


class Lines(Progress):
    """A line an epoch."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def step(self, done: StepDone, steps: int) -> None:
        return

    def epoch(self, row: Mapping[str, object], epochs: int) -> None:
        self.say(epoch_line(row, epochs))

    def say(self, text: str) -> None:
        print(text, file=self._out, flush=True)

    def close(self) -> None:
        return


class Bars(Progress):
    """A bar for the epoch that runs, above it the lines of those that are over."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar: Bar = Progress(*columns, transient=True)
        self._task = self._bar.add_task("", total=None)
        self._bar.start()

    def step(self, done: StepDone, steps: int) -> None:
        place = (done.step - 1) % steps + 1
        text = f"epoch {done.epoch}" + ("" if isnan(done.loss) else f"  loss {done.loss:.4g}")
        self._bar.update(self._task, description=text, completed=place, total=steps)

    def epoch(self, row: Mapping[str, object], epochs: int) -> None:
        self.say(epoch_line(row, epochs))

    def say(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        self._bar.stop()


def progress(shown: bool) -> Progress:
    """What suits standard output; Silent when nothing is to be shown."""
    if not shown:
        return Silent()
    return Bars() if sys.stdout.isatty() else Lines(sys.stdout)


def epoch_line(row: Mapping[str, object], epochs: int) -> str:
    """`epoch  3/20  loss 0.213  digit.accuracy 0.941  |  valid  loss 0.25  digit.accuracy 0.93  0.8 s`"""
    numbers = {name: value for name, value in row.items() if name not in UNSEEN and isinstance(value, int | float)}
    train = [f"{n} {v:.4g}" for n, v in numbers.items() if not n.startswith("valid.")]
    valid = [f"{n.removeprefix('valid.')} {v:.4g}" for n, v in numbers.items() if n.startswith("valid.")]
    parts = [f"epoch {row['epoch']!s:>{len(str(epochs))}}/{epochs}", *train]
    parts += ["|", "valid", *valid] if valid else []
    return "  ".join([*parts, f"{row['seconds']:.1f} s"])
