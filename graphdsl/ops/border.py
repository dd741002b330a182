"""The layers that cut tensors and put borders around them: slice, reverse, crop, pad."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from graphdsl.ir import (
    Builder,
    Choice,
    Constant,
    Count,
    Either,
    Number,
    Sides,
    SidesDomain,
    SizeDomain,
    Symbolic,
    TensorType,
    TypeRuleError,
    Value,
    layer,
)
from graphdsl.ops.concat import known_along, padded, sliced, sliced_axis
from graphdsl.ops.elementwise import formula
from graphdsl.ops.expression import equal, where
from graphdsl.ops.mask import mask_steps
from graphdsl.ops.shape import written_axis
from graphdsl.ops.taps import picked
from graphdsl.ops.window import Pads, demand_float, sides

Border = Annotated[int | tuple[int, ...] | Sides, Either((SizeDomain(0), SidesDomain()))]
End = Annotated[int | tuple[int, ...], SizeDomain(0)]
PadMode = Annotated[str, Choice(("constant", "edge", "reflect", "symmetric", "wrap"))]


@layer("slice")
def slice_layer(b: Builder, x: Value, start: int = 0, end: int | None = None, axis: int = -1, step: Count = 1) -> Value:
    """The elements from start on and before end: `slice(0, 10)` are the first ten features.

    x           any shape
    start, end  counted from 0; negative ones from the end; end none: to the end
    axis        counted without the batch axis; -1: the features
    step        every which one; 1: all
    returns     the same with the (end - start) / step elements, rounded up, along axis

    Of a free dimension only the first `start` elements can be left out: its end is different for every sample.
    """
    place = written_axis(x.type, axis)
    if isinstance(x.type.shape[place], Symbolic) and start >= 0 and end is None and step == 1:
        return sliced_axis(b, x, place, start, x.type.shape[place] - start)
    size = known_along(x.type, place, "slice")
    first = start + size if start < 0 else start
    last = size if end is None else end + size if end < 0 else end
    if not 0 <= first < last <= size:
        raise TypeRuleError(
            f"slice from {start} to {'the end' if end is None else end} of {size} elements has nothing, or too much",
            code="E0305",
            attribute="start" if end is None else "end",
            help=f"0 <= start < end <= {size}",
        )
    if step > 1:
        return picked(b, x, place, range(first, last, step), "slice")
    return sliced_axis(b, x, place, first, last - first)


@layer()
def reverse(b: Builder, x: Value, axis: int = 0) -> Value:
    """The last first: turned round along an axis.

    x        any shape, of a known size along axis
    axis     counted without the batch axis
    returns  the same shape
    """
    place = written_axis(x.type, axis)
    size = known_along(x.type, place, "reverse")
    return picked(b, x, place, range(size - 1, -1, -1), "reverse")


@layer()
def crop(b: Builder, x: Value, start: Border, end: End | None = None) -> Value:
    """Cuts off the border of a picture or a sequence.

    x        [..., c] with one or more axes of known sizes before the features, all of them cut
    start    how many in front, for all these axes or one number each: `crop(1)`, `crop(1x2)`; or a list of what is cut
             off before each axis and behind each: `crop([top, left, bottom, right])`
    end      how many behind; none: as many as in front
    returns  every such size - start - end

    E0305  nothing would be left, or the numbers do not fit the axes
    """
    around = _around(x.type, "crop", start, end)
    sizes = [known_along(x.type, a, "crop") - lo - hi for a, (lo, hi) in enumerate(around, 1)]
    if any(s < 1 for s in sizes):
        raise TypeRuleError(f"crop would leave nothing of {x.type.describe()}", code="E0305", attribute="start")
    return sliced(b, x, (0, *(lo for lo, _ in around), 0), (x.type.shape[0], *sizes, x.type.channels))


@layer()
def pad(
    b: Builder,
    x: Value,
    start: Border,
    end: End | None = None,
    *,
    mode: PadMode = "constant",
    value: Number = 0.0,
) -> Value:
    """A border around a picture or a sequence: zeros, unless told otherwise.

    x        [..., c] with one or more axes before the features, all of them padded
    start    how many in front, for all these axes or one number each: `pad(1)`, `pad(1x2)`; or a list of what stands
             before each axis and behind each: `pad([top, left, bottom, right])`
    end      how many behind; none: as many as in front
    mode     of 1 2 3, two on both sides: `constant`: 0 0 1 2 3 0 0. `edge`: 1 1 1 2 3 3 3. `reflect`: 3 2 1 2 3 2 1.
             `symmetric`: 2 1 1 2 3 3 2. `wrap`: 2 3 1 2 3 1 2
    value    what stands there with mode=constant
    returns  every such size + start + end

    E0305  the numbers do not fit the axes
    E0401  a mode or a value over a size that is known only at run time
    """
    around = _around(x.type, "pad", start, end)
    if mode != "constant":
        return _continued(b, x, around, mode)
    before, after = (0, *(lo for lo, _ in around), 0), (0, *(hi for _, hi in around), 0)
    if value:
        return _filled(b, x, before, after, value)
    return padded(b, mask_steps(b, x) if any(after) else x, before, after)


def _filled(b: Builder, x: Value, before: tuple[int, ...], after: tuple[int, ...], value: float) -> Value:
    demand_float("pad", x.type)
    known = [known_along(x.type, a, "pad") for a in range(1, x.type.rank - 1)]
    inside = np.pad(np.ones(known, np.float32), list(zip(before[1:-1], after[1:-1], strict=True)))
    real = b.emit(Constant.array(inside[None, ..., None]), name="inside")
    y = padded(b, x, before, after)
    return formula(b, lambda v, i: where(equal(i, 0), value, v), y, real, title="pad")


def _continued(b: Builder, x: Value, around: Pads, mode: str) -> Value:
    for axis, (lo, hi) in enumerate(around, 1):
        size = known_along(x.type, axis, "pad")
        if mode in ("reflect", "symmetric") and max(lo, hi) > size - (mode == "reflect"):
            raise TypeRuleError(
                f"mode={mode} has at most {size - (mode == 'reflect')} elements to put beside {size}",
                code="E0305",
                attribute="start",
            )
        x = picked(b, x, axis, np.pad(np.arange(size), (lo, hi), mode=mode), "pad")  # type: ignore[call-overload]
    return x


def _around(x: TensorType, title: str, start: int | tuple[int, ...] | Sides, end: int | tuple[int, ...] | None) -> Pads:
    """Before and after, for every axis between batch and features."""
    axes = len(x.spatial)
    if not axes:
        raise TypeRuleError(f"{title} needs a picture or a sequence, got {x.describe()}", operand=0)
    if isinstance(start, Sides):
        if end is not None:
            raise TypeRuleError("a list says what stands behind as well", code="E0305", attribute="end")
        return sides("start", start.values, axes)
    before = _borders(x, start, "start")
    after = before if end is None else _borders(x, end, "end")
    return tuple(zip(before, after, strict=True))


def _borders(x: TensorType, amount: int | tuple[int, ...], attribute: str) -> tuple[int, ...]:
    axes = len(x.spatial)
    amounts = amount if isinstance(amount, tuple) else (amount,) * axes
    if len(amounts) != axes:
        raise TypeRuleError(
            f"{len(amounts)} sizes for the {axes} axes before the features of {x.describe()}",
            code="E0305",
            attribute=attribute,
        )
    return amounts
