"""Learning rates, and weights of losses, that change while training goes on: plain functions of the moment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import cos, pi
from typing import Annotated, Any

from graphdsl.ir import Choice, Count, Either, EntryOf, NonNegative, Positive, Real, Registry
from graphdsl.report import dataclass

SCHEDULES = Registry("schedule")


@dataclass(frozen=True)
class Moment:
    """How far a section has come.

    step       steps done so far
    per_epoch  steps of an epoch
    total      steps of the whole section
    """

    step: int
    per_epoch: int
    total: int

    @property
    def epoch(self) -> int:
        """Epochs that are over."""
        return self.step // self.per_epoch

    @property
    def fraction(self) -> float:
        """0 before the first step, 1 after the last; training that goes on beyond stays at 1."""
        return min(self.step / self.total, 1.0)


class Schedule(ABC):
    """A learning rate. Concrete ones are frozen dataclasses whose fields are settings."""

    @abstractmethod
    def rate(self, now: Moment) -> float:
        """The rate of the step about to be made."""


@dataclass(frozen=True)
class Fixed(Schedule):
    """Always the same: what a plain number in a spec means."""

    base: float

    def rate(self, now: Moment) -> float:
        return self.base


Rate = Annotated[Any, Either((Real(0.0, low_open=True), EntryOf("schedule")))]
"""The annotation of a setting that takes a number or a schedule."""

Unit = Annotated[str, Choice(("epochs", "steps"))]


@SCHEDULES.register("steps")
@dataclass(frozen=True)
class Steps(Schedule):
    """base, multiplied by factor at each of the given epochs (or steps): `steps(0.1, at=[30, 60, 80])`.

    at   how many epochs are over when the rate falls
    by   what `at` counts: epochs or steps
    """

    base: Positive
    at: tuple[Count, ...]
    factor: Positive = 0.1
    by: Unit = "epochs"

    def rate(self, now: Moment) -> float:
        done = now.epoch if self.by == "epochs" else now.step
        return self.base * self.factor ** sum(done >= place for place in self.at)


@SCHEDULES.register("linear")
@dataclass(frozen=True)
class Linear(Schedule):
    """From start to end along a straight line: `linear(0, 1, lasting=10)`; then it stays at end.

    lasting  epochs, or steps, until the end; none: the whole training
    """

    start: NonNegative
    end: NonNegative
    lasting: Count | None = None
    by: Unit = "epochs"

    def rate(self, now: Moment) -> float:
        steps = now.total if self.lasting is None else self.lasting * (now.per_epoch if self.by == "epochs" else 1)
        return self.start + (self.end - self.start) * min(1.0, now.step / steps)


@SCHEDULES.register("cosine")
@dataclass(frozen=True)
class Cosine(Schedule):
    """From base to floor along half a cosine, step by step over the whole training.

    Source: Loshchilov and Hutter 2017, without restarts.
    """

    base: Positive
    floor: NonNegative = 0.0

    def rate(self, now: Moment) -> float:
        return self.floor + (self.base - self.floor) * (1 + cos(pi * now.fraction)) / 2


@SCHEDULES.register("exponential")
@dataclass(frozen=True)
class Exponential(Schedule):
    """base * factor^(epochs over // every): the rate is multiplied by factor after every so many epochs (or steps)."""

    base: Positive
    factor: Positive
    every: Count = 1
    by: Unit = "epochs"

    def rate(self, now: Moment) -> float:
        done = now.epoch if self.by == "epochs" else now.step
        return float(self.base * self.factor ** (done // self.every))


@SCHEDULES.register("poly")
@dataclass(frozen=True)
class Poly(Schedule):
    """base * (1 - fraction of the training done)^power; 1 is a straight line to 0.

    Darknet's and Caffe's `poly`; Darknet's usual power is 4.
    """

    base: Positive
    power: Positive = 1.0

    def rate(self, now: Moment) -> float:
        return float(self.base * (1 - now.fraction) ** self.power)


@SCHEDULES.register("warmup")
@dataclass(frozen=True)
class Warmup(Schedule):
    """The rate of `then`, reached along a straight line over the first epochs (or steps): `warmup(cosine(0.1), 5)`.

    then     a number or a schedule, which counts from the start of training
    lasting  epochs, or steps, until the full rate
    """

    then: Rate
    lasting: Count = 1
    by: Unit = "epochs"

    def rate(self, now: Moment) -> float:
        steps = self.lasting * (now.per_epoch if self.by == "epochs" else 1)
        return schedule_of(self.then).rate(now) * min(1.0, (now.step + 1) / steps)


def schedule_of(rate: Schedule | float) -> Schedule:
    """A schedule as it is; a number as one that never changes."""
    return rate if isinstance(rate, Schedule) else Fixed(float(rate))
