"""How good a model is on samples: numbers, and of boxes what is to be said of each class."""

from __future__ import annotations

from graphdsl.data import Dataset
from graphdsl.learn import Feeder, Judge, Plan, Quality, quality_of
from graphdsl.model.supply import Supply
from graphdsl.report import dataclass, fail
from graphdsl.runtime import Executor


@dataclass(frozen=True)
class Judged:
    """numbers: losses and metrics by name. boxes: of each metric of boxes what it says of each class."""

    numbers: dict[str, float]
    boxes: dict[str, list[Quality]]


def judged(
    supply: Supply, plan: Plan, executor: Executor, given: Dataset | None, on: str | None, score: float
) -> Judged:
    """Of a model on given, or else on the data of a section.

    on     which of those: `test` or `valid`
    score  what boxes must score to count for precision and recall
    Raises E0615 where there are none.
    """
    batches = supply.judging(plan, given, on)
    if batches is None:
        help = "write `test = …` in the train section, or give samples"
        lacks = f"has no {on} data" if on else "has neither `test` nor validation data"
        raise fail("E0615", f"`{plan.name}` {lacks} to judge by", plan.span, help=help)
    tally = Judge(supply.spec.graph, plan, executor, Feeder(supply.spec)).tally(batches)
    return Judged(tally.numbers(), quality_of(plan.watches, tally.observed(), supply.names, score))
