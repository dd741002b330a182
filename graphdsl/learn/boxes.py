"""How good boxes are that were found: matched with the true ones, counted over all pictures, worked out at the end.

    sorted by score:  hit  hit  miss  hit  miss ...       and so many true boxes
    precision         hits so far / found so far          recall  hits so far / true boxes

Average precision is the area under precision over recall, precision being the best that is reached at that recall or a
higher one. The rules differ in how they match and in where they read the curve:

    voc07   precision at recalls 0, 0.1 .. 1, averaged
    voc12   the whole area
    coco    precision at recalls 0, 0.01 .. 1; a box that was found takes the best true one that is still free, and
            only the 100 best of a picture and class count. VOC gives it the best true one: if that is taken, a miss

Source: Everingham et al. 2010 and the devkits of VOC2007 and VOC2012; Lin et al. 2014 and pycocotools.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar

import numpy as np

from graphdsl.ir import Array, Choice, Fraction, Natural
from graphdsl.learn.metrics import Metric, metric
from graphdsl.learn.reading import Pair, Reading
from graphdsl.ops import overlaps
from graphdsl.report import dataclass

VOC07, VOC12, COCO = "voc07", "voc12", "coco"
Rule = Annotated[str, Choice((VOC07, VOC12, COCO))]

STEPS_07 = np.linspace(0.0, 1.0, 11)
"""As the programs of VOC in Python have them: rounded up, 0.6 is a little more, and 9 of 15 do not reach it."""

STEPS_COCO = np.linspace(0.0, 1.0, 101)
THRESHOLDS_COCO = np.linspace(0.5, 0.95, 10)
MOST_COCO = 100
"""Boxes of one class that count in one picture."""

TRUTH = -1.0
"""Where a row of observations has its score: the row counts a true box."""


def hits(overlap: Array, threshold: float, rule: str) -> Array:
    """bool [found]: which of the boxes of one class in one picture are right, the best score first.

    overlap  [found, true]. Every true box is found once at most. Of equal overlaps VOC takes the first true box, COCO
             the last, as their programs do
    """
    free = np.ones(overlap.shape[1], bool)
    right = np.zeros(len(overlap), bool)
    for i, row in enumerate(overlap if overlap.size else ()):
        known = np.where(free, row, -1.0)[::-1] if rule == COCO else row
        best = len(row) - 1 - int(known.argmax()) if rule == COCO else int(known.argmax())
        right[i] = free[best] and row[best] >= min(threshold, 1 - 1e-10)
        free[best] &= not right[i]
    return right


def average_precision(right: Array, scores: Array, true: int, rule: str) -> float:
    """Of one class: whether each box that was found is right, its score, and how many true boxes there are.

    Of equal scores the box that stands first counts first. NaN where there are no true boxes.
    """
    if not true:
        return float("nan")
    recall, precision = curve(right, scores, true)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    if rule == VOC12:
        return float(np.sum(np.diff(recall, prepend=0.0) * best))
    steps = STEPS_07 if rule == VOC07 else STEPS_COCO
    places = np.searchsorted(recall, steps, side="left")
    return float(np.append(best, 0.0)[places].mean())


def curve(right: Array, scores: Array, true: int) -> tuple[Array, Array]:
    """Recall and precision after each box that was found, the best score first."""
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    found = np.cumsum(np.asarray(right, np.float64)[order])
    return found / true, found / np.arange(1, len(found) + 1)


class OfBoxes(Metric):
    """A metric of boxes. A row of what it observed is class, score, and for each threshold whether the box is right;
    a true box is a row whose score is TRUTH.
    """

    readings: ClassVar[tuple[Reading, ...]] = (Reading.BOXES,)

    @property
    @abstractmethod
    def matching(self) -> str:
        """The rule by which boxes are matched and the curve is read."""

    @property
    @abstractmethod
    def thresholds(self) -> Sequence[float]:
        """What overlap with a true box makes a box right; several are averaged."""

    def observe(self, pair: Pair) -> Array:
        rows = [self._of_picture(f, t) for f, t in zip(pair.prediction, pair.target, strict=True)]
        return np.concatenate(rows) if rows else np.zeros((0, 2 + len(self.thresholds)))

    def merge(self, observed: Sequence[Array]) -> Array:
        return np.concatenate(observed)

    def by_class(self, observed: Array) -> dict[int, float]:
        """The average precision of each class that there are true boxes of."""
        known = np.unique(observed[observed[:, 1] == TRUTH, 0]).astype(int)
        return {c: self._of_class(observed[observed[:, 0] == c]) for c in known.tolist()}

    def value(self, observed: Array) -> float:
        found = list(self.by_class(observed).values())
        return float(np.mean(found)) if found else float("nan")

    def _of_class(self, rows: Array) -> float:
        true = rows[:, 1] == TRUTH
        found, many = rows[~true], int(true.sum())
        several = [average_precision(column, found[:, 1], many, self.matching) for column in found[:, 2:].T]
        return float(np.mean(several))

    def _of_picture(self, found: Array, true: Array) -> Array:
        """found: rows as `nms` gives them; true: rows of a target `box(n)[m]`. Rows without area are none."""
        found, true = found[found[:, 4] > 0].astype(np.float64), true[(true[:, 2:4] > 0).all(axis=1)]
        return np.concatenate([np.zeros((0, 2 + len(self.thresholds))), *self._rows(found, true)])

    def _rows(self, found: Array, true: Array) -> Iterator[Array]:
        for c in np.union1d(found[:, 5], true[:, 4]):
            mine, own = found[found[:, 5] == c], true[true[:, 4] == c]
            mine = mine[np.argsort(-mine[:, 4], kind="stable")]
            mine = mine[:MOST_COCO] if self.matching == COCO else mine
            overlap = overlaps(mine, own)
            right = [hits(overlap, threshold, self.matching) for threshold in self.thresholds]
            yield np.column_stack([np.full(len(mine), c), mine[:, 4], *right])
            blank = np.zeros((len(own), len(self.thresholds)))
            yield np.column_stack([np.full(len(own), c), np.full(len(own), TRUTH), blank])


@metric("mean_average_precision")
@dataclass(frozen=True)
class MeanAveragePrecision(OfBoxes):
    """The area under precision over recall of boxes that were found, averaged over classes: mAP.

    iou   a box is right where intersection / union with a true box of its class is at least this
    rule  `voc12`: the whole area; `voc07`: at eleven recalls; `coco`: at 101 recalls, matched as COCO does
    of    only this class, counted from 0

    The prediction comes out of `nms`, the target is `box(n)[m]`. Classes without true boxes do not count; with none at
    all it is NaN. Let `nms` keep boxes of low scores, `score=0.01`: they can only help.

    Source: Everingham et al. 2010.
    """

    iou: Fraction = 0.5
    rule: Rule = VOC12
    of: Natural | None = None

    @property
    def label(self) -> str:
        return f"map_{100 * self.iou:g}" + ("" if self.of is None else f"_class_{self.of}")

    @property
    def matching(self) -> str:
        return self.rule

    @property
    def thresholds(self) -> Sequence[float]:
        return (self.iou,)

    def value(self, observed: Array) -> float:
        rows = observed if self.of is None else observed[observed[:, 0] == self.of]
        found = list(self.by_class(rows).values())
        return float(np.mean(found)) if found else float("nan")


@metric("coco_map")
@dataclass(frozen=True)
class CocoMap(OfBoxes):
    """COCO's mAP: average precision at 101 recalls, averaged over classes and over overlaps of 0.5, 0.55 .. 0.95.

    The prediction comes out of `nms`, the target is `box(n)[m]`. At most 100 boxes count in a picture and class.

    Source: Lin et al. 2014; pycocotools (area=all, maxDets=100).
    """

    @property
    def label(self) -> str:
        return "map"

    @property
    def matching(self) -> str:
        return COCO

    @property
    def thresholds(self) -> Sequence[float]:
        return tuple(THRESHOLDS_COCO)
