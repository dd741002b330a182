"""What a picture shows in each of some boxes, in one size."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod

import numpy as np

from graphdsl.ir import Builder, Constant, Count, DType, Flag, Positive, Size, TensorType, TypeRuleError, Value, layer
from graphdsl.ops import expression as e
from graphdsl.ops.argmax import taken
from graphdsl.ops.avg_pool import AvgPool
from graphdsl.ops.concat import known_along, pieces
from graphdsl.ops.elementwise import formula
from graphdsl.ops.expression import Expression
from graphdsl.ops.grid import MOST_PLACES
from graphdsl.ops.reduce import broadcast_to
from graphdsl.ops.shape import reshape
from graphdsl.ops.take import Cast, within
from graphdsl.ops.window import demand_float, per_axis


@layer()
def roi_align(
    b: Builder,
    x: Value,
    boxes: Value,
    size: Size,
    *,
    scale: Positive = 1.0,
    samples: Count = 2,
    half_pixel: Flag = True,
) -> Value:
    """What the picture shows in each box, brought to one size: `[picture, boxes] -> roi_align(7)`.

    x           [height, width, channels], of known sizes
    boxes       [n, 4]: left, top, right, bottom of each box
    size        of the results
    scale       what the boxes' numbers are multiplied by: 1/16 where x is 16 times smaller than what they count in
    samples     each result is the mean of samples x samples places, read on straight lines between numbers
    half_pixel  whether number i stands at i + 1/2 (PyTorch's aligned); else at i, and no box is smaller than 1
    returns     [n, height, width, channels]

    Places more than 1 outside of the picture count as 0, others outside as its border. The picture and the boxes learn.

    E0301  x is no picture, boxes are no boxes, or x has more than 16,777,216 places
    E0401  a size of x is known only at run time

    Source: He et al. 2017 (Mask R-CNN).
    """
    _demand_boxes(x.type, boxes.type)
    height, width = (known_along(x.type, a, "roi_align") for a in (1, 2))
    if height * width > MOST_PLACES:
        raise TypeRuleError(f"roi_align reads at most {MOST_PLACES:,} places, got {x.type.describe()}", operand=0)
    down, across = per_axis("size", size, 2)
    batch, count, _ = boxes.type.shape
    ends = [reshape(b, side, (batch, count, 1, 1)) for side in pieces(b, boxes, 2, [1] * 4)]
    sides = (down * samples, across * samples)
    whole = [np.arange(n, dtype=boxes.type.dtype.numpy) + 0.5 for n in sides]
    steps = [whole[0][:, None], whole[1][None]]
    inner = [b.emit(Constant.array(step), name="steps") for step in steps]
    rows = formula(b, _place(scale, half_pixel, sides[0]), ends[1], ends[3], inner[0], title="rows")
    columns = formula(b, _place(scale, half_pixel, sides[1]), ends[0], ends[2], inner[1], title="columns")
    total = _read(b, x, rows, columns, (height, width))
    channels = x.type.channels
    fine = reshape(b, total, (batch * count, *sides, channels))
    mean = b.emit(AvgPool((samples, samples), (samples, samples), ((0, 0), (0, 0)), False), fine)
    return reshape(b, mean, (batch, count, down, across, channels))


def _place(scale: float, half_pixel: bool, steps: int) -> Callable[[Expression, Expression, Expression], Expression]:
    """Where a place is that lies so many of these steps behind the first end of two."""

    def at(start: Expression, end: Expression, step: Expression) -> Expression:
        first, length = start * scale - 0.5 * half_pixel, (end - start) * scale
        return first + step * (length if half_pixel else e.maximum(length, 1)) / steps

    return at


def _read(b: Builder, x: Value, rows: Value, columns: Value, sizes: tuple[int, int]) -> Value:
    """x at every row and column of every box: [batch, boxes * rows * columns, channels]."""
    batch, channels = x.type.shape[0], x.type.channels
    flat = reshape(b, x, (batch, prod(sizes), channels))
    parts: list[Value] = []
    for (y, p), (z, q) in product(*(_taps(e.Operand(i), n) for i, n in enumerate(sizes))):
        where = formula(b, lambda *_, place=y * sizes[1] + z: place, rows, columns, title="place")
        share = formula(b, lambda *_, weight=p * q: weight, rows, columns, title="weight")
        places = (batch, TensorType(where.type.shape[1:]).count)
        chosen = b.emit(Cast(DType.INT32, prod(sizes)), reshape(b, where, (*places, 1)))
        read = taken(b, flat, broadcast_to(b, chosen, (*places, channels)), 1)
        parts.append(formula(b, lambda v, w: v * w, read, reshape(b, share, (*places, 1)), title="share"))
    return formula(b, lambda *vs: sum(vs[1:], vs[0]), *parts, title="read")


def _taps(at: Expression, size: int) -> list[tuple[Expression, Expression]]:
    """The two numbers around a place along an axis, with their weights."""
    inside = e.both(at >= -1, at <= size)
    place = e.minimum(e.maximum(at, 0), size - 1)
    first = e.floor(place)
    near, far = 1 - (place - first), place - first
    return [(within(first, size), e.where(inside, near, 0)), (within(first + 1, size), e.where(inside, far, 0))]


def _demand_boxes(x: TensorType, boxes: TensorType) -> None:
    demand_float("roi_align", x)
    demand_float("roi_align", boxes, 1)
    if x.rank != 4:
        raise TypeRuleError(f"roi_align needs float[height, width, channels], got {x.describe()}", operand=0)
    if boxes.rank != 3 or boxes.channels != 4:
        raise TypeRuleError(f"boxes are float[n, 4], got {boxes.describe()}", operand=1)
