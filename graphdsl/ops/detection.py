"""The loss of a detector: where objects are, that they are there, and what they are."""

from __future__ import annotations

from graphdsl.ir import (
    Builder,
    Fraction,
    NonNegative,
    OneOrMore,
    TypeRuleError,
    Value,
    loss,
)
from graphdsl.ops import expression as e
from graphdsl.ops.assign import FOUND, AssignBoxes, Candidates, Grid
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
) -> Value:
    """What a detector gets wrong: `[large, small, things] -> detection`, its heads and the true boxes.

    xs  candidates of one head or several, as `detect` gives them, then a target `box(n)[m]`: the mean over pictures of
        the sum over candidates of

            box * (1 - overlap)                         where a candidate is to show an object
            object * -log(object)                       there too
            label * the sum over classes of binary crossentropy    there too
            empty * -log(1 - object)                    where it is to show nothing

    The cell that an object's centre lies in shows it, by the anchor of the most similar shape, whichever head that is
    in. True boxes without area are none: rows of zeros fill up pictures with few objects.

    box, object, empty, label  what each part counts
    form    of the overlap: `iou`, `giou`, `diou`, `ciou`
    alike   anchors whose shape overlaps the box's by at least this show it too; 1: only the best one
    ignore  a candidate that overlaps a true box by more than this need not be empty

    E0303  the last is no `box(n)[m]` of as many classes, or another is no head with anchors
    Source: Redmon and Farhadi 2018; Zheng et al. 2020 (overlap).
    """
    *heads, true = xs
    grids = [_grid(b, head, true) for head in heads]
    found = heads[0] if len(heads) == 1 else b.emit(Concat(1), *heads)
    rows, columns, anchors = ([getattr(g, part) for g in grids] for part in ("rows", "columns", "anchors"))
    assign = AssignBoxes(tuple(rows), tuple(columns), tuple(anchors), alike, ignore)
    goal, asked = b.emit_all(assign, found, true)
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


def _grid(b: Builder, head: Value, true: Value) -> Grid:
    op, classes = b.operation(head), true.type.kind.classes
    if true.type.kind.name != "boxes":
        message = f"the last is the target, `box(n)[m]`; got {true.type.describe()}"
        raise TypeRuleError(message, code="E0303", operand=0, help="`[large, small, things] -> detection`")
    if not isinstance(op, Candidates) or not op.anchors:
        message = f"needs what `detect` gives, got {head.type.describe()}"
        help = "`[large, small, things] -> detection`: heads as they are, before `nms`"
        raise TypeRuleError(message, code="E0303", operand=0, help=help)
    if head.type.channels != FOUND + classes:
        message = f"the head knows {op.made.kind.classes} classes, the target {true.type.describe()} has {classes}"
        raise TypeRuleError(message, code="E0303", operand=0, help=f"`detect({classes}, …)`")
    return op.grid
