"""How good boxes are, class by class: average precision, and precision over recall as a curve and at one score."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np

from graphdsl.ir import Array
from graphdsl.learn.boxes import TRUTH, OfBoxes, curve
from graphdsl.learn.plan import Watch
from graphdsl.learn.square import Curve, Square, squares
from graphdsl.report import dataclass

FILES = "precision_recall.svg", "precision_recall.csv"
"""What a run and `evaluate -o` leave."""

Qualities = Mapping[str, Sequence["Quality"]]
"""By the name of the metric, `found.map_50`, what it says of each class."""


@dataclass(frozen=True)
class Quality:
    """How well the boxes of one class were found.

    number             of the class, from 0
    boxes              how many there are
    ap                 average precision by the rule of the metric; NaN where there are no boxes
    precision, recall  of what was found with a score that is high enough; NaN of nothing
    score, …           the curve, by falling score, a point for each box that was found rightly: score, recall and
                       precision of all that scores as much; right at the first overlap that the metric asks for
    """

    label: str
    number: int
    boxes: int
    ap: float
    precision: float
    recall: float
    scores: Array
    recalls: Array
    precisions: Array

    @property
    def data(self) -> dict[str, object]:
        """For programs."""
        return {"boxes": self.boxes, "ap": self.ap, "precision": self.precision, "recall": self.recall}


def quality_of(
    watches: Sequence[Watch], observed: Mapping[str, Array], names: Mapping[str, Sequence[str]], score: float = 0.5
) -> dict[str, list[Quality]]:
    """For each metric of boxes what it says of each class; see `qualities`.

    observed  what all metrics have counted, by name
    names     of classes, by target
    """
    found = [(w, w.metric) for w in watches if isinstance(w.metric, OfBoxes) and w.name in observed]
    return {w.name: qualities(m, observed[w.name], names.get(w.target.node, ()), score) for w, m in found}


def quality_files(found: Qualities) -> dict[str, bytes]:
    """FILES and what they hold; none where there is nothing to say."""
    if not any(found.values()):
        return {}
    return dict(zip(FILES, (quality_curves(found).encode(), quality_table(found).encode()), strict=True))


def qualities(metric: OfBoxes, observed: Array, names: Sequence[str], score: float = 0.5) -> list[Quality]:
    """Of each class that there are boxes of, or that was found, in the order of their numbers.

    names  of the classes; their numbers where they have none
    score  from which on boxes count for `precision` and `recall`
    """
    aps = metric.by_class(observed)
    known = np.unique(observed[:, 0]).astype(int).tolist()
    return [_of_class(observed[observed[:, 0] == c], c, _label(c, names), aps.get(c, np.nan), score) for c in known]


def _label(number: int, names: Sequence[str]) -> str:
    return names[number] if number < len(names) else str(number)


def _of_class(rows: Array, number: int, label: str, ap: float, score: float) -> Quality:
    found, boxes = rows[rows[:, 1] != TRUTH], int((rows[:, 1] == TRUTH).sum())
    order = np.argsort(-found[:, 1], kind="stable")
    scores, right = found[order, 1], found[order, 2] > 0
    recalls, precisions = curve(right, scores, max(boxes, 1))
    sure = int((scores >= score).sum())
    reached = (precisions[sure - 1], recalls[sure - 1]) if sure else (np.nan, 0.0)
    precision, recall = reached if boxes else (reached[0], np.nan)
    kept = scores[right], recalls[right], precisions[right]
    return Quality(label, number, boxes, ap, float(precision), float(recall), *kept)


def quality_lines(found: Sequence[Quality], score: float) -> list[str]:
    """A table for people: a line a class."""
    width = max([len("class"), *(len(q.label) for q in found)])
    head = f"  {'class':<{width}}  {'boxes':>7}  {'AP':>6}  at scores from {score:g}: precision  recall"
    return [head, *(_line(q, width) for q in found)]


def _line(q: Quality, width: int) -> str:
    return f"  {q.label:<{width}}  {q.boxes:>7,}  {_told(q.ap):>6}  {_told(q.precision):>27}  {_told(q.recall):>6}"


def _told(number: float) -> str:
    return "-" if np.isnan(number) else f"{number:.4f}"


def quality_table(found: Qualities) -> str:
    """Curves as csv: metric, class, score, recall, precision; a line for each box that was found rightly."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["metric", "class", "score", "recall", "precision"])
    for name, classes in found.items():
        for q in classes:
            points = zip(q.scores, q.recalls, q.precisions, strict=True)
            writer.writerows([name, q.label, f"{s:.6g}", f"{r:.6g}", f"{p:.6g}"] for s, r, p in points)
    return out.getvalue()


def quality_curves(found: Qualities) -> str:
    """Curves as SVG: a chart for each metric, a curve for each class, with its average precision beside it."""
    return squares([Square(name, "recall", "precision", _curves(classes)) for name, classes in found.items()])


def _curves(classes: Sequence[Quality]) -> list[Curve]:
    """Those with the most boxes first: not all may have room."""
    most = sorted(classes, key=lambda q: -q.boxes)
    return [Curve(f"{q.label[:16]} {_told(q.ap)}", q.recalls, q.precisions, q.number) for q in most]
