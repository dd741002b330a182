"""Stretching and repeating, and products of two computed matrices. Nothing is stretched unless it is written."""

from __future__ import annotations

from graphdsl.ir import Builder, Flag, TensorType, TypeRuleError, Value, layer
from graphdsl.ops.concat import known_along
from graphdsl.ops.linear import batch_matmul
from graphdsl.ops.mask import mask_steps
from graphdsl.ops.reduce import broadcast_to
from graphdsl.ops.shape import Shape, reshape
from graphdsl.ops.window import demand_float


@layer()
def stretch(b: Builder, x: Value, shape: Shape) -> Value:
    """Repeats x along the axes where it has size 1 until it has this shape: `stretch(7x7x128)`.

    x        any shape; axes are matched from the last, and new ones are made in front
    shape    each size is that of x, or x has 1 there
    returns  shape

    E0305  x does not stretch to it
    """
    wanted = shape if isinstance(shape, tuple) else (shape,)
    first = 1 if x.type.batched else 0
    own = x.type.shape[first:]
    new = len(wanted) - len(own)
    if new < 0 or any(s not in (1, w) for s, w in zip(own, wanted[new:], strict=False)):
        raise TypeRuleError(
            f"{x.type.describe()} does not stretch to {TensorType(wanted).describe()}",
            code="E0305",
            attribute="shape",
            help="only axes of size 1 stretch; `reshape` can make them",
        )
    batch = x.type.shape[:first]
    return broadcast_to(b, reshape(b, x, (*batch, *(1,) * new, *own)), (*batch, *wanted))


@layer()
def tile(b: Builder, x: Value, times: Shape) -> Value:
    """x several times one after another: `tile(1x2)` of [[1, 2]] is [[1, 2, 1, 2]].

    x        any shape, of known sizes
    times    how often along each axis, counted without the batch axis
    returns  every size times its number

    E0305  there is not one number for each axis
    E0401  a size is known only at run time
    """
    repeats = times if isinstance(times, tuple) else (times,)
    first = 1 if x.type.batched else 0
    if len(repeats) != x.type.rank - first:
        raise TypeRuleError(
            f"{len(repeats)} numbers for the {x.type.rank - first} axes of {x.type.describe()}",
            code="E0305",
            attribute="times",
        )
    sizes = [known_along(x.type, a, "tile") for a in range(first, x.type.rank)]
    batch = x.type.shape[:first]
    thin = tuple(s for n in sizes for s in (1, n))
    wide = tuple(s for n, r in zip(sizes, repeats, strict=True) for s in (r, n))
    stretched = broadcast_to(b, reshape(b, x, (*batch, *thin)), (*batch, *wide))
    return reshape(b, stretched, (*batch, *(n * r for n, r in zip(sizes, repeats, strict=True))))


@layer()
def matmul(b: Builder, x: Value, y: Value, *, transpose_x: Flag = False, transpose_y: Flag = False) -> Value:
    """The product of two matrices, sample by sample: `[x, y] -> matmul`.

    x        [..., m, k]; with transpose_x [..., k, m]
    y        [..., k, n]; with transpose_y [..., n, k]; equal to x before the last two axes
    returns  [..., m, n]

    Where k is a free dimension, steps behind a sequence's end count as zeros.

    E0301  the shapes do not go together
    """
    for position, value in enumerate((x, y)):
        demand_float("matmul", value.type, position)
        if value.type.rank < 3:
            raise TypeRuleError(
                f"matmul multiplies matrices, got {value.type.describe()}",
                operand=position,
                help="`reshape(1x8)` makes a row of float[8], `reshape(8x1)` a column",
            )
    rank = x.type.rank
    x = mask_steps(b, x, 0.0, (rank - 2 if transpose_x else rank - 1,))
    y = mask_steps(b, y, 0.0, (y.type.rank - 1 if transpose_y else y.type.rank - 2,))
    return batch_matmul(b, x, y, transpose_a=transpose_x, transpose_b=transpose_y)
