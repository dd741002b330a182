"""The loss of a detector: where objects are, that they are there, and what they are."""

from __future__ import annotations

from collections.abc import Sequence

from graphdsl.ir import (
    Builder,
    Fraction,
    NonNegative,
    OneOrMore,
    Operator,
    Positive,
    TypeRuleError,
    Value,
    loss,
)
from graphdsl.ops import expression as e
from graphdsl.ops.assign import FOUND, AssignBoxes, Candidates, Grid
from graphdsl.ops.assign_free import AssignCells
from graphdsl.ops.concat import Concat, sliced_axis
from graphdsl.ops.elementwise import formula
from graphdsl.ops.overlap import Form, overlap_of
from graphdsl.ops.reduce import DimNumber, sum_over

FAINT = 1e-7
"""How near to 0 a probability counts when its logarithm is taken."""


@loss()
def detection(
    b: Builder,
    xs: OneOrMore,
    *,
    box: NonNegative = 5.0,
    object: NonNegative = 1.0,
    empty: NonNegative = 0.5,
    label: NonNegative = 1.0,
    form: Form = "ciou",
    alike: Fraction = 1.0,
    ignore: Fraction = 0.6,
    near: Positive = 1.5,
    span: Positive = 8.0,
) -> Value:
    """What a detector gets wrong: `[large, small, things] -> detection`, its heads and the true boxes.

    xs  candidates of one head or several, as `detect` or `detect_free` gives them, then a target `box(n)[m]`: the mean
        over pictures of the sum over candidates of

            box * (1 - overlap)                         where a candidate is to show an object
            object * -log(object)                       there too
            label * the sum over classes of binary crossentropy    there too
            empty * -log(1 - object)                    where it is to show nothing

    With anchors, the cell that an object's centre lies in shows it, by the anchor of the most similar shape, whichever
    head that is in; of two objects that want one anchor of one cell the first in the list gets it, and the other one
    the next best anchor there. Without anchors, the cells around its centre show it, and the smallest object comes
    first.
    True boxes without area are none: rows of zeros fill up pictures with few objects.

    box, object, empty, label  what each part counts
    form    of the overlap: `iou`, `giou`, `diou`, `ciou`
    alike   anchors whose shape overlaps the box's by at least this show it too; 1: only the best one
    ignore  a candidate that overlaps a true box by more than this need not be empty
    near    without anchors: how many cells from the object's centre cells show it, as far as they are in its box
    span    without anchors: how many cells the longer side of an object has at most, where a head with fewer cells is
            there to show it

    E0303  the last is no `box(n)[m]` of as many classes, another is no head, or only some of the heads have anchors
    Source: Redmon and Farhadi 2018; Zheng et al. 2020 (overlap); Tian et al. 2019 (cells without anchors).
    """
    *heads, true = xs
    grids = _grids(b, heads, true)
    found = heads[0] if len(heads) == 1 else b.emit(Concat(1), *heads)
    goal, asked = b.emit_all(_assignment(grids, alike, near, span, ignore), found, true)
    classes = true.type.kind.classes

    def cut(x: Value, start: int, size: int) -> Value:
        return sliced_axis(b, x, 2, start, size)

    shown, nothing = cut(asked, 0, 1), cut(asked, 1, 1)
    overlap = overlap_of(b, cut(found, 0, 4), cut(goal, 0, 4), form)

    def places(o: e.Expression, p: e.Expression, s: e.Expression, n: e.Expression) -> e.Expression:
        there, gone = e.log(e.maximum(p, FAINT)), e.log(e.maximum(1 - p, FAINT))
        return s * (box * (1 - o) - object * there) - empty * n * gone

    def kinds(p: e.Expression, t: e.Expression, s: e.Expression) -> e.Expression:
        right, wrong = e.log(e.maximum(p, FAINT)), e.log(e.maximum(1 - p, FAINT))
        return -label * s * (t * right + (1 - t) * wrong)

    parts = [formula(b, places, overlap, cut(found, 4, 1), shown, nothing, title="places")]
    told = cut(found, FOUND, classes), cut(goal, FOUND, classes)
    parts.append(formula(b, kinds, *told, shown, title="kinds"))
    sums = [sum_over(b, part, (0, 1, 2)) for part in parts]
    samples = b.emit(DimNumber(found.type.shape[0], found.type.dtype), name="samples")
    return formula(b, lambda p, k, n: (p + k) / n, *sums, samples, title="detection")


def _assignment(grids: Sequence[Grid], alike: float, near: float, span: float, ignore: float) -> Operator:
    rows, columns, anchors = zip(*((g.rows, g.columns, g.anchors) for g in grids), strict=True)
    if grids[0].free:
        return AssignCells(rows, columns, near, span, ignore)
    return AssignBoxes(rows, columns, anchors, alike, ignore)


def _grids(b: Builder, heads: Sequence[Value], true: Value) -> list[Grid]:
    grids = [_grid(b, head, true) for head in heads]
    if len({grid.free for grid in grids}) > 1:
        message = "some heads have anchors and some have none, and an object can go to one sort only"
        raise TypeRuleError(message, code="E0303", operand=0, help="`detect` for all of them, or `detect_free`")
    return grids


def _grid(b: Builder, head: Value, true: Value) -> Grid:
    op, classes = b.operation(head), true.type.kind.classes
    if true.type.kind.name != "boxes":
        message = f"the last is the target, `box(n)[m]`; got {true.type.describe()}"
        raise TypeRuleError(message, code="E0303", operand=0, help="`[large, small, things] -> detection`")
    if not isinstance(op, Candidates) or not op.grid.count:
        message = f"needs what `detect` gives, got {head.type.describe()}"
        help = "`[large, small, things] -> detection`: heads as they are, before `nms`"
        raise TypeRuleError(message, code="E0303", operand=0, help=help)
    if head.type.channels != FOUND + classes:
        message = f"the head knows {op.made.kind.classes} classes, the target {true.type.describe()} has {classes}"
        raise TypeRuleError(message, code="E0303", operand=0, help=f"give the head {classes} classes")
    return op.grid
