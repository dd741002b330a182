"""The pooling layers of the language. The rank of what flows in decides whether they run over time or space."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from graphdsl.ir import Builder, Dim, Flag, Padding, Size, Symbolic, TensorType, TypeRuleError, Value, layer
from graphdsl.ops.avg_pool import AvgPool
from graphdsl.ops.elementwise import formula
from graphdsl.ops.expression import maximum, where
from graphdsl.ops.mask import mask_steps
from graphdsl.ops.max_pool import GlobalMaxPool, MaxPool
from graphdsl.ops.reduce import sum_over
from graphdsl.ops.shape import reshape
from graphdsl.ops.window import Pads, Sizes, demand_spatial, per_axis, reads_past_end, resolve_pad


@layer()
def max_pool(b: Builder, x: Value, size: Size, *, stride: Size | None = None, pad: Padding = "valid") -> Value:
    """The largest number of each window, feature by feature.

    x        [time, features] or [height, width, channels]
    returns  [out..., features], out(s) = (s + padding - size) // stride + 1

    size    of the window
    stride  how far the window moves; none: its size, so that windows stand side by side
    pad     `valid`, `same` or a number below the size, as for `conv`

    Padding never wins, nor do steps behind a sequence's end. Of equal numbers in a window the first in row order gets
    all the gradient. NaN wins over every number.

    E0301  x is neither of the two shapes; the window is larger than the padded input; pad is not below size
    E0401  pad=same with a stride over a size that is known only at run time

    Source: Riesenhuber and Poggio 1999; Ranzato et al. 2007.
    """
    window, strides, pads = _windows("max_pool", x.type, size, stride, pad)
    masked = _reads_unreal(x.type, pads)
    if masked:
        x = mask_steps(b, x, -np.inf)
    y, _ = b.emit_all(MaxPool(window, strides, pads), x)
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
) -> Value:
    """The mean of each window, feature by feature.

    x        [time, features] or [height, width, channels]
    returns  [out..., features], out(s) = (s + padding - size) // stride + 1

    size           of the window
    stride         how far the window moves; none: its size
    pad            `valid`, `same` or a number below the size, as for `conv`
    count_padding  whether padding counts as zeros (PyTorch's default) or not at all (TensorFlow's, and ours)

    E0301  as `max_pool`
    E0401  pad=same with a stride, or padding that does not count, over a size that is known only at run time

    Source: LeCun et al. 1990.
    """
    window, strides, pads = _windows("avg_pool", x.type, size, stride, pad)
    if _reads_unreal(x.type, pads) and not count_padding:
        raise TypeRuleError(
            "a mean over real steps only cannot be padded where sequences differ in length",
            code="E0401",
            operand=0,
            attribute="pad",
            help="leave pad out, or write count_padding=true",
        )
    real = mask_steps(b, x) if _reads_unreal(x.type, pads) else x
    return b.emit(AvgPool(window, strides, pads, count_padding), real)


@layer()
def global_max_pool(b: Builder, x: Value) -> Value:
    """The largest number of every feature, over all of time or space.

    x        [time, features] or [height, width, channels]
    returns  [features]

    Steps behind a sequence's end do not count; a sequence without steps gives 0. Of equal numbers the first gets all
    the gradient. NaN wins over every number.

    E0301  x is neither of the two shapes

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

    x        [time, features] or [height, width, channels]
    returns  [features]

    Steps behind a sequence's end do not count; a sequence without steps gives 0.

    E0301  x is neither of the two shapes

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


def _windows(
    name: str, x: TensorType, size: int | Sizes, stride: int | Sizes | None, pad: int | str | Sizes
) -> tuple[Sizes, Sizes, Pads]:
    demand_spatial(name, x)
    window = per_axis("size", size, x.rank - 2)
    strides = window if stride is None else per_axis("stride", stride, x.rank - 2)
    return window, strides, resolve_pad(pad, x.spatial, window, strides, causal=False)


def _reads_unreal(x: TensorType, pads: Pads) -> bool:
    """Whether some window reads behind the end of a sequence shorter than its batch."""
    return reads_past_end(tuple(p for p, size in zip(pads, x.spatial, strict=True) if _free(size)))


def _free(size: Dim) -> bool:
    return isinstance(size, Symbolic)
