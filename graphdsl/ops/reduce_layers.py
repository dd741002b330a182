"""More ways to make one number of whole axes: the smallest, the product, the logarithm of a sum, lengths."""

from __future__ import annotations

from graphdsl.ir import Builder, Flag, Value, layer
from graphdsl.ops import expression as e
from graphdsl.ops.aggregate import LOWEST, Axes, Max, places_of, reduce_max, without
from graphdsl.ops.concat import Concat, known_along, sliced_axis
from graphdsl.ops.elementwise import formula
from graphdsl.ops.mask import mask_steps
from graphdsl.ops.reduce import sum_over
from graphdsl.ops.shape import reshape, transposed


@layer()
def reduce_min(b: Builder, x: Value, axes: Axes = None, *, keep: Flag = False) -> Value:
    """The smallest over axes: `reduce_min(0)` over the first, `reduce_min([0, 1])` over two.

    x        any shape; of a sequence only the real steps count
    axes     counted without the batch axis, -1 is the features; none: all of them
    keep     whether they stay with size 1 instead of vanishing
    returns  the other axes

    A sequence without steps gives 0. Several that are equally small share the gradient equally.
    """
    places_of("reduce_min", x, axes)
    turned = reduce_max(b, formula(b, lambda v: -v, x, title="negative"), axes, keep=keep)
    return formula(b, lambda v: -v, turned, title="negative")


@layer()
def reduce_prod(b: Builder, x: Value, axes: Axes = None, *, keep: Flag = False) -> Value:
    """The product over axes: `reduce_prod(0)` over the first, `reduce_prod([0, 1])` over two.

    x        any shape, of known sizes along these axes
    axes     counted without the batch axis, -1 is the features; none: all of them
    keep     whether they stay with size 1 instead of vanishing
    returns  the other axes

    The gradient is exact where numbers are 0.

    E0401  a size is known only at run time
    """
    places = places_of("reduce_prod", x, axes)
    others = tuple(a for a in range(x.type.rank) if a not in places)
    count = 1
    for place in places:
        count *= known_along(x.type, place, "reduce_prod")
    flat = reshape(b, transposed(b, x, (*others, *places)), (*(x.type.shape[a] for a in others), count))
    made = without(b, _product(b, flat), (len(others),))
    return reshape(b, made, tuple(1 if a in places else s for a, s in enumerate(x.type.shape))) if keep else made


def _product(b: Builder, x: Value) -> Value:
    """Over the last axis, which stays with size 1: halves times halves."""
    axis = x.type.rank - 1
    size = known_along(x.type, axis, "reduce_prod")
    while size > 1:
        half = size // 2
        first, second = sliced_axis(b, x, axis, 0, half), sliced_axis(b, x, axis, half, half)
        product = formula(b, lambda p, q: p * q, first, second, title="product")
        x = b.emit(Concat(axis), product, sliced_axis(b, x, axis, size - 1, 1)) if size % 2 else product
        size -= half
    return x


@layer()
def reduce_logsumexp(b: Builder, x: Value, axes: Axes = None, *, keep: Flag = False) -> Value:
    """log(sum exp(x)) over axes, a smooth maximum. No overflow.

    x        any shape; of a sequence only the real steps count
    axes     counted without the batch axis, -1 is the features; none: all of them
    keep     whether they stay with size 1 instead of vanishing
    returns  the other axes; of nothing minus infinity, nearly: -3e38
    """
    places = places_of("reduce_logsumexp", x, axes)
    real = mask_steps(b, x, LOWEST, places)
    top = b.emit(Max(places), real) if places else real
    top = formula(b, lambda m: e.minimum(e.maximum(m, LOWEST), -LOWEST), top, title="largest")
    each = mask_steps(b, formula(b, lambda v, m: e.exp(v - m), real, top, title="exp"), 0.0, places)
    total = formula(b, lambda s, m: e.log(s) + m, sum_over(b, each, places, keep=True), top, title="logsumexp")
    return total if keep else without(b, total, places)


@layer()
def reduce_l1(b: Builder, x: Value, axes: Axes = None, *, keep: Flag = False) -> Value:
    """The sum of |x| over axes.

    x        any shape; of a sequence only the real steps count
    axes     counted without the batch axis, -1 is the features; none: all of them
    keep     whether they stay with size 1 instead of vanishing
    returns  the other axes
    """
    places = places_of("reduce_l1", x, axes)
    return sum_over(b, mask_steps(b, formula(b, abs, x, title="abs"), 0.0, places), places, keep=keep)


@layer()
def reduce_l2(b: Builder, x: Value, axes: Axes = None, *, keep: Flag = False) -> Value:
    """The root of the sum of x² over axes: the length of a vector.

    x        any shape; of a sequence only the real steps count
    axes     counted without the batch axis, -1 is the features; none: all of them
    keep     whether they stay with size 1 instead of vanishing
    returns  the other axes

    Where the length is 0 the gradient is 0.
    """
    places = places_of("reduce_l2", x, axes)
    squares = mask_steps(b, formula(b, lambda v: v * v, x, title="square"), 0.0, places)
    total = sum_over(b, squares, places, keep=keep)
    return formula(b, lambda s: e.where(s > 0, e.sqrt(e.where(s > 0, s, 1)), 0), total, title="length")
