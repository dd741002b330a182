"""The loss of a classifier that also says where its object is, and the layer that makes a box of what it says."""

from __future__ import annotations

import numpy as np

from graphdsl.ir import Builder, Constant, TypeRuleError, Value, layer, loss
from graphdsl.ops import expression as e
from graphdsl.ops.concat import Concat, pieces
from graphdsl.ops.detect import BOX, candidates
from graphdsl.ops.elementwise import Elementwise, formula
from graphdsl.ops.expression import Operand
from graphdsl.ops.loss import demand_numbers
from graphdsl.ops.reduce import DimNumber, sum_over
from graphdsl.ops.shape import reshape


@loss()
def localisation(b: Builder, prediction: Value, target: Value) -> Value:
    """Whether there is something, and where and what it is: squared errors, of which only those that are asked count.

    prediction, target  [1 + n]: p, then n numbers about what is there, as in `[p, x, y, width, height, car, bicycle]`
    returns             the sum of squared errors of a sample, averaged over samples

    Where the true p is 1 (above 1/2) all entries count, where it is 0 only p does. What a target `float?[1 + n]` leaves
    unknown, `?`, reaches neither the loss nor the gradient; a sample whose p is unknown counts for nothing.

    E0303  the prediction or the target is no float
    E0304  they differ in shape, or are no vectors of at least two numbers
    Source: Ng 2017, "Convolutional Neural Networks", object localization.
    """
    demand_numbers("localisation", prediction, target, unknown=True)
    channels = target.type.channels
    if target.type.rank != 2 or not isinstance(channels, int) or channels < 2:
        raise TypeRuleError(
            f"localisation reads p and what is said of an object, float?[1 + n]; got {target.type.describe()}",
            code="E0304",
            operand=1,
        )
    there, _ = pieces(b, target, 1, (1, channels - 1))
    first = b.emit(Constant.array(np.eye(1, channels, dtype=target.type.dtype.numpy)), name="first")

    def each(y: e.Expression, t: e.Expression, p: e.Expression, f: e.Expression) -> e.Expression:
        asked = e.both(e.equal(t, t), e.maximum(f, p) > 0.5)
        return e.where(asked, (y - t) * (y - t), 0)

    errors = formula(b, each, prediction, target, there, first, title="localisation")
    samples = b.emit(DimNumber(target.type.shape[0], target.type.dtype), name="samples")
    return formula(b, lambda s, n: s / n, sum_over(b, errors, (0, 1)), samples, title="mean")


@layer()
def located(b: Builder, x: Value) -> Value:
    """What a network says of its one object as a candidate that `nms` reads: `said -> located -> nms(score=0.5)`.

    x        [5 + classes]: whether there is an object, its centre x, centre y, width, height, its classes
    returns  [1, 5 + classes]: centre x, centre y, width, height, object, classes

    E0301  x is no vector of at least six numbers
    """
    channels = x.type.channels if x.type.rank == 2 else 0
    if not isinstance(channels, int) or channels <= BOX:
        help = "whether there is an object, its centre x, centre y, width, height, and a number a class"
        raise TypeRuleError(f"located reads float[5 + classes], got {x.type.describe()}", operand=0, help=help)
    there, box, kinds = pieces(b, x, 1, (1, BOX - 1, channels - BOX))
    row = reshape(b, b.emit(Concat(1), box, there, kinds), (x.type.shape[0], 1, channels))
    return b.emit(Elementwise(Operand(0), 1, candidates(channels - BOX), "located"), row, name="located")
