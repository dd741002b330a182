"""How much two boxes share: intersection over union, and what was added to it so that boxes apart learn too.

    iou    intersection / union: 0 for all boxes that do not touch, near or far
    giou   iou - (hull - union) / hull, hull being the smallest box around both
    diou   iou - distance² of the centres / diagonal² of the hull
    ciou   diou - a term for the difference of their proportions

Boxes are rows of centre x, centre y, width, height. Source: Rezatofighi et al. 2019 (giou); Zheng et al. 2020.
"""

from __future__ import annotations

from math import pi
from typing import Annotated

import numpy as np

from graphdsl.ir import Array, Builder, Choice, TypeRuleError, Value, layer, loss
from graphdsl.ops import expression as e
from graphdsl.ops.concat import pieces
from graphdsl.ops.elementwise import formula
from graphdsl.ops.known import demand_known
from graphdsl.ops.loss import mean_loss
from graphdsl.report import dataclass

SIDES = 4
TINY = 1e-9
"""Keeps quotients defined for boxes without area."""

Form = Annotated[str, Choice(("iou", "giou", "diou", "ciou"))]


@dataclass(frozen=True)
class _Box:
    """Expressions of one box."""

    x: e.Expression
    y: e.Expression
    width: e.Expression
    height: e.Expression

    @property
    def area(self) -> e.Expression:
        return self.width * self.height

    def low(self, side: str) -> e.Expression:
        return self.x - self.width / 2 if side == "x" else self.y - self.height / 2

    def high(self, side: str) -> e.Expression:
        return self.x + self.width / 2 if side == "x" else self.y + self.height / 2


def overlap_of(b: Builder, first: Value, second: Value, form: str) -> Value:
    """[…, 4] and [the same, 4] -> [the same, 1]: how much each box of one shares with its partner."""
    axis = first.type.rank - 1
    columns = [*pieces(b, first, axis, (1,) * SIDES), *pieces(b, second, axis, (1,) * SIDES)]

    def shared(*numbers: e.Expression) -> e.Expression:
        return _shared(_Box(*numbers[:SIDES]), _Box(*numbers[SIDES:]), form)

    return formula(b, shared, *columns, title=form)


def overlaps(first: Array, second: Array) -> Array:
    """Intersection over union of every box of first with every box of second, [n, m]; 0 where the union has no area.

    Boxes are rows that begin with centre x, centre y, width, height.
    """
    a, b = (np.asarray(boxes, np.float64)[:, :4] for boxes in (first, second))
    low = np.maximum((a[:, :2] - a[:, 2:] / 2)[:, None], (b[:, :2] - b[:, 2:] / 2)[None])
    high = np.minimum((a[:, :2] + a[:, 2:] / 2)[:, None], (b[:, :2] + b[:, 2:] / 2)[None])
    common = np.maximum(high - low, 0).prod(-1)
    union = a[:, 2:].prod(-1)[:, None] + b[:, 2:].prod(-1)[None] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def _shared(a: _Box, t: _Box, form: str) -> e.Expression:
    inner = [e.maximum(e.minimum(a.high(s), t.high(s)) - e.maximum(a.low(s), t.low(s)), 0) for s in "xy"]
    outer = [e.maximum(a.high(s), t.high(s)) - e.minimum(a.low(s), t.low(s)) for s in "xy"]
    common = inner[0] * inner[1]
    union = a.area + t.area - common
    iou = common / (union + TINY)
    if form == "iou":
        return iou
    if form == "giou":
        hull = outer[0] * outer[1]
        return iou - (hull - union) / (hull + TINY)
    apart = ((a.x - t.x) * (a.x - t.x) + (a.y - t.y) * (a.y - t.y)) / (outer[0] * outer[0] + outer[1] * outer[1] + TINY)
    if form == "diou":
        return iou - apart
    angle = e.atan(t.width / (t.height + TINY)) - e.atan(a.width / (a.height + TINY))
    skew = 4 / pi**2 * angle * angle
    return iou - apart - skew * skew / (1 - iou + skew + TINY)


@layer()
def box_overlap(b: Builder, first: Value, second: Value, *, form: Form = "iou") -> Value:
    """How much pairs of boxes share: `[found, true] -> box_overlap`.

    first, second  [n, 4]: centre x, centre y, width, height
    returns        [n, 1]: 1 for equal boxes

    form  `iou`: intersection / union. `giou`, `diou`, `ciou`: less where boxes are apart, down to -1 (ciou: a little
          below), so that there is a slope

    E0304  other shapes
    Source: Rezatofighi et al. 2019; Zheng et al. 2020.
    """
    _demand("box_overlap", first, second)
    return overlap_of(b, first, second, form)


@loss()
def overlap_loss(b: Builder, prediction: Value, target: Value, *, form: Form = "ciou") -> Value:
    """1 - how much boxes share with the true ones: the mean over boxes.

    prediction, target  [4] or [n, 4]: centre x, centre y, width, height
    form                as for `box_overlap`

    A true box without area counts like any other: for boxes that may be missing there is `detection`.

    E0304  other shapes
    Source: Zheng et al. 2020.
    """
    _demand("overlap_loss", prediction, target)
    demand_known("overlap_loss", target)
    each = formula(b, lambda o: 1 - o, overlap_of(b, prediction, target, form), title="overlap_loss")
    return mean_loss(b, each, None)


def _demand(title: str, first: Value, second: Value) -> None:
    if first.type.shape != second.type.shape or first.type.shape[-1:] != (SIDES,):
        both = f"{first.type.describe()} and {second.type.describe()}"
        raise TypeRuleError(
            f"{title} compares boxes, float[4] or float[n, 4]; got {both}",
            code="E0304",
            operand=0,
            help="a box is centre x, centre y, width, height; `slice(0, 4)` cuts them out",
        )
