"""How good a model is on samples: numbers, of boxes what is to be said of each class, curves."""

from __future__ import annotations

from graphdsl.data import Dataset
from graphdsl.ir import Graph
from graphdsl.learn import Feeder, Judge, Plan, Quality, Rates, quality_files, quality_of, rates_found, roc_files
from graphdsl.model.supply import Supply
from graphdsl.report import dataclass, fail
from graphdsl.runtime import Executor


@dataclass(frozen=True)
class Judged:
    """How good a model is.

    numbers  losses and metrics by name
    boxes    of each metric of boxes what it says of each class
    pairs    of each output that metrics of pairs judge how many pairs are accepted at which distance
    graph    what was computed for all this
    """

    numbers: dict[str, float]
    boxes: dict[str, list[Quality]]
    pairs: dict[str, Rates]
    graph: Graph

    @property
    def files(self) -> dict[str, bytes]:
        """Curves, drawn and as tables, by the names of files: precision over recall of boxes, ROC of pairs."""
        return quality_files(self.boxes) | roc_files(self.pairs)


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
    whole = supply.spec.graph
    tally = Judge(whole, plan, executor, Feeder(supply.spec)).tally(batches)
    observed = tally.observed()
    boxes = quality_of(plan.watches, observed, supply.names, score)
    return Judged(tally.numbers(), boxes, rates_found(plan.watches, observed), plan.judged(whole))
