"""The pooling layers of the language. The rank of what flows in decides whether they run over time or space."""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import Any

import numpy as np

from graphdsl.ir import Builder, Dim, Flag, Padding, Positive, Size, Symbolic, TensorType, TypeRuleError, Value, layer
from graphdsl.ops.avg_pool import AvgPool
from graphdsl.ops.elementwise import formula
from graphdsl.ops.expression import maximum, sqrt, where
from graphdsl.ops.mask import mask_steps
from graphdsl.ops.max_pool import GlobalMaxPool, MaxPool
from graphdsl.ops.pool_window import Windows, windows
from graphdsl.ops.reduce import sum_over
from graphdsl.ops.shape import reshape
from graphdsl.ops.taps import tapped
from graphdsl.ops.window import Pads, demand_spatial, reads_past_end


@layer()
def max_pool(
    b: Builder,
    x: Value,
    size: Size,
    *,
    stride: Size | None = None,
    pad: Padding = "valid",
    ceil: Flag = False,
    dilation: Size = 1,
) -> Value:
    """The largest number of each window, feature by feature.

    x        [time, features], [height, width, channels] or, over volumes, [depth, height, width, channels]
    returns  [out..., features], out(s) = (s + padding - reach) // stride + 1, reach = (size - 1) * dilation + 1

    size      of the window
    stride    how far the window moves; none: its size, so that windows stand side by side
    pad       `valid`, `same`, a number below the size, or a list, as for `conv`
    ceil      round out(s) up: the last window may hang over, if it begins within x or the padding before it (Caffe's
              rule, and PyTorch's ceil_mode)
    dilation  how far apart the window's elements stand

    Padding never wins, nor do steps behind a sequence's end. Of equal numbers in a window the first in row order gets
    all the gradient (with a dilation the last). NaN wins over every number.

    E0301  x is of none of these shapes; the window is larger than the padded input; pad is not below size
    E0401  pad=same with a stride, ceil or a dilation, over a size that is known only at run time

    Source: Riesenhuber and Poggio 1999; Ranzato et al. 2007.
    """
    slide = windows("max_pool", x.type, size, stride, pad, ceil, dilation)
    if slide.dilated:
        return _dilated_max(b, x, slide)
    masked = _reads_unreal(x.type, slide.pads)
    if masked:
        x = mask_steps(b, x, -np.inf)
    y, _ = b.emit_all(MaxPool(slide.size, slide.stride, slide.pads), x)
    return _without_steps_0(b, mask_steps(b, y), x) if masked else y


@layer()
def avg_pool(
    b: Builder,
    x: Value,
    size: Size,
    *,
    stride: Size | None = None,
    pad: Padding = "valid",
    count_padding: Flag = False,
    ceil: Flag = False,
    dilation: Size = 1,
) -> Value:
    """The mean of each window, feature by feature.

    x        [time, features], [height, width, channels] or, over volumes, [depth, height, width, channels]
    returns  [out..., features], out(s) = (s + padding - reach) // stride + 1, reach = (size - 1) * dilation + 1

    size           of the window
    stride         how far the window moves; none: its size
    pad            `valid`, `same`, a number below the size, or a list, as for `conv`
    count_padding  whether padding counts as zeros (PyTorch's default) or not at all (TensorFlow's, and ours)
    ceil           round out(s) up, as for `max_pool`. What hangs over behind the padding never counts
    dilation       how far apart the window's elements stand

    E0301  as `max_pool`
    E0401  as `max_pool`; and padding that does not count, over a size that is known only at run time

    Source: LeCun et al. 1990.
    """
    slide = windows("avg_pool", x.type, size, stride, pad, ceil, dilation)
    if _reads_unreal(x.type, slide.pads) and not count_padding:
        raise TypeRuleError(
            "a mean over real steps only cannot be padded where sequences differ in length",
            code="E0401",
            operand=0,
            attribute="pad",
            help="leave pad out, or write count_padding=true",
        )
    real = mask_steps(b, x) if _reads_unreal(x.type, slide.pads) else x
    if not (slide.dilated or (slide.hangs and count_padding)):
        return b.emit(AvgPool(slide.size, slide.stride, slide.pads, count_padding), real)
    for axis, along in enumerate(slide.along(), 1):
        real = tapped(b, real, axis, along.means(count_padding), "mean")
    return real


@layer()
def lp_pool(
    b: Builder,
    x: Value,
    size: Size,
    *,
    p: Positive = 2.0,
    stride: Size | None = None,
    pad: Padding = "valid",
    ceil: Flag = False,
    dilation: Size = 1,
) -> Value:
    """The length of each window's numbers: (sum |x|^p)^(1/p), feature by feature.

    x        [time, features], [height, width, channels] or, over volumes, [depth, height, width, channels]
    p        1: the sum of what they are without sign; 2: the root of the sum of squares
    returns  as `max_pool`, whose settings the others are; padding counts as 0

    Where all is 0 the gradient is 0.

    E0301, E0401  as `max_pool`
    """
    slide = windows("lp_pool", x.type, size, stride, pad, ceil, dilation)
    total = formula(b, lambda v: abs(v) if p == 1 else v * v if p == 2 else abs(v) ** p, x, title="power")
    for axis, along in enumerate(slide.along(), 1):
        total = tapped(b, total, axis, along.sums(), "sum")
    return total if p == 1 else formula(b, lambda s: root(s, p), total, title="length")


@layer()
def global_max_pool(b: Builder, x: Value) -> Value:
    """The largest number of every feature, over all of time or space.

    x        [time, features], [height, width, channels] or, over volumes, [depth, height, width, channels]
    returns  [features]

    Steps behind a sequence's end do not count; a sequence without steps gives 0. Of equal numbers the first gets all
    the gradient. NaN wins over every number.

    E0301  x is of none of these shapes

    Source: Collobert et al. 2011, over time.
    """
    demand_spatial("global_max_pool", x.type)
    real = mask_steps(b, x, -np.inf)
    steps = reshape(b, real, (x.type.shape[0], prod(x.type.spatial, start=1), x.type.channels))
    y, _ = b.emit_all(GlobalMaxPool(), steps)
    return _without_steps_0(b, reshape(b, y, (x.type.shape[0], x.type.channels)), x)


@layer()
def global_avg_pool(b: Builder, x: Value) -> Value:
    """The mean of every feature, over all of time or space.

    x        [time, features], [height, width, channels] or, over volumes, [depth, height, width, channels]
    returns  [features]

    Steps behind a sequence's end do not count; a sequence without steps gives 0.

    E0301  x is of none of these shapes

    Source: Lin et al. 2013 (Network in Network).
    """
    demand_spatial("global_avg_pool", x.type)
    axes = tuple(range(1, x.type.rank - 1))
    y = sum_over(b, mask_steps(b, x), axes)
    known = prod(size for size in x.type.spatial if isinstance(size, int))

    def mean(total: Any, *lengths: Any) -> Any:
        return total / prod((maximum(n, 1) for n in lengths), start=known)

    return formula(b, mean, y, *_lengths(b, x, y.type.rank), title="mean")


def _without_steps_0(b: Builder, y: Value, x: Value) -> Value:
    """y, with 0 for the samples that have no steps in x: the largest of nothing."""
    for lengths in _lengths(b, x, y.type.rank):
        y = formula(b, lambda v, n: where(n > 0, v, 0), y, lengths, title="no_steps")
    return y


def _lengths(b: Builder, x: Value, rank: int) -> list[Value]:
    """How many steps are real along every free axis of x, each [batch, 1, …] with this many axes."""
    found = [b.lengths(size) for size in x.type.spatial]
    return [reshape(b, n, (x.type.shape[0], *(1,) * (rank - 1))) for n in found if n is not None]


def _dilated_max(b: Builder, x: Value, slide: Windows) -> Value:
    """Axis by axis the largest of what every window has there."""
    for axis, along in enumerate(slide.along(), 1):
        each = [tapped(b, x, axis, pairs, "window") for pairs in along.each()]
        x = formula(b, lambda *vs: reduce(maximum, vs), *each, title="largest")
    return x


def root(total: Any, p: float) -> Any:
    """total^(1/p), whose gradient is 0 where total is."""
    kept = where(total > 0, total, 0)
    return sqrt(kept) if p == 2 else kept ** (1 / p)


def _reads_unreal(x: TensorType, pads: Pads) -> bool:
    """Whether some window reads behind the end of a sequence shorter than its batch."""
    return reads_past_end(tuple(p for p, size in zip(pads, x.spatial, strict=True) if _free(size)))


def _free(size: Dim) -> bool:
    return isinstance(size, Symbolic)
