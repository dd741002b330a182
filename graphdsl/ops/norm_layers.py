"""Normalisations of one sample by itself: over its places, groups of its features, neighbours, or by its length."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from graphdsl.ir import (
    Builder,
    Choice,
    Constant,
    Count,
    Flag,
    Number,
    Positive,
    Symbolic,
    TensorType,
    TypeRuleError,
    Value,
    layer,
)
from graphdsl.ops.aggregate import real_count
from graphdsl.ops.avg_pool import AvgPool
from graphdsl.ops.elementwise import formula
from graphdsl.ops.expression import maximum, sqrt
from graphdsl.ops.linear import project
from graphdsl.ops.mask import mask_steps
from graphdsl.ops.norm import Standardize, affine, demand_features, parameters
from graphdsl.ops.reduce import sum_over
from graphdsl.ops.shape import reshape, written_axis
from graphdsl.ops.window import demand_float, demand_spatial, numbers

Over = Annotated[str, Choice(("features", "places"))]
SMALLEST_VARIANCE = 1e-30
"""What a variance is at least where its root is taken: the root of 0 has no gradient."""


@layer()
def instance_norm(b: Builder, x: Value, *, eps: Positive = 1e-5, scale: Flag = True, center: Flag = True) -> Value:
    """Gives every feature of every sample mean 0 and variance 1 over its places, then scales and shifts each feature.

    x        [time, features], [height, width, channels] or with more axes, of known sizes
    returns  the same shape: (x - mean) / sqrt(variance + eps) * gamma + beta

    eps      keeps the division possible
    scale    whether there is a gamma
    center   whether there is a beta

    The variance is the biased one. Training and use are the same.

    Weights: gamma and beta [features].

    E0301  x has no places, or holds whole numbers
    E0401  a size is known only at run time

    Source: Ulyanov et al. 2016.
    """
    demand_places("instance_norm", x.type)
    gamma, beta = parameters(b, x, scale, center)
    y, *_ = b.emit_all(Standardize(tuple(range(1, x.type.rank - 1)), eps), x)
    return affine(b, y, gamma, beta)


@layer()
def group_norm(
    b: Builder, x: Value, groups: Count, *, eps: Positive = 1e-5, scale: Flag = True, center: Flag = True
) -> Value:
    """Gives groups of features of every sample mean 0 and variance 1, then scales and shifts each feature.

    x        [features], [time, features], [height, width, channels] or with more axes, of known sizes
    groups   into how many parts of neighbouring features x is cut; 1: all of a sample together
    returns  the same shape: (x - mean) / sqrt(variance + eps) * gamma + beta, mean and variance over a group's features
             at all places

    eps      keeps the division possible
    scale    whether there is a gamma
    center   whether there is a beta

    Weights: gamma and beta [features].

    E0301  x has no features, or holds whole numbers
    E0305  groups do not divide the features
    E0401  a size is known only at run time

    Source: Wu and He 2018.
    """
    demand_features("group_norm", x.type)
    if x.type.rank > 2:
        demand_places("group_norm", x.type)
    features = numbers(x.type.shape[-1:])[0]
    if features % groups:
        raise TypeRuleError(f"{groups} groups do not divide {features} features", code="E0305", attribute="groups")
    gamma, beta = parameters(b, x, scale, center)
    parts = reshape(b, x, (*x.type.shape[:-1], groups, features // groups))
    axes = (*range(1, x.type.rank - 1), x.type.rank)
    y, *_ = b.emit_all(Standardize(axes, eps), parts)
    return affine(b, reshape(b, y, x.type.shape), gamma, beta)


@layer()
def mean_variance_norm(
    b: Builder, x: Value, axes: tuple[int, ...] | None = None, *, eps: Positive = 1e-9, variance: Flag = True
) -> Value:
    """Subtracts the mean over axes and divides by the root of the variance plus eps. Nothing is learned.

    x         any shape; of a sequence only the real steps count
    axes      counted without the batch axis; none: all but the features
    eps       is added to the root of the variance
    variance  whether to divide; else the mean is all that is changed
    returns   the same shape

    E0301  x holds whole numbers
    """
    demand_float("mean_variance_norm", x.type)
    first, rank = (1 if x.type.batched else 0), x.type.rank
    places = range(first, rank - 1) if axes is None else sorted({written_axis(x.type, a, "axes") for a in axes})
    if not places:
        raise TypeRuleError(f"{x.type.describe()} has no axes to take a mean over", operand=0, attribute="axes")
    over = tuple(places)
    count = real_count(b, x, over)
    total = sum_over(b, mask_steps(b, x, 0.0, over), over, keep=True)
    centred = formula(b, lambda v, s, n: v - s / maximum(n, 1), x, total, count, title="centred")
    if not variance:
        return centred
    squares = formula(b, lambda c: c * c, mask_steps(b, centred, 0.0, over), title="square")
    return formula(
        b,
        lambda c, s, n: c / (sqrt(maximum(s / maximum(n, 1), SMALLEST_VARIANCE)) + eps),
        *(centred, sum_over(b, squares, over, keep=True), count),
        title="mean_variance_norm",
    )


@layer()
def l2_normalize(b: Builder, x: Value, axes: tuple[int, ...] = (-1,), *, eps: Positive = 1e-12) -> Value:
    """x divided by its length: the root of the sum of squares over the features becomes 1.

    x        any shape; of a sequence only the real steps count
    axes     what the length is taken over, counted without the batch axis; -1: the features
    eps      what the length is at least
    returns  the same shape; what is shorter than eps is divided by eps, and 0 stays 0

    E0301  x holds whole numbers
    """
    demand_float("l2_normalize", x.type)
    over = tuple(sorted({written_axis(x.type, a, "axes") for a in axes}))
    squares = formula(b, lambda v: v * v, mask_steps(b, x, 0.0, over), title="square")
    total = sum_over(b, squares, over, keep=True)
    least = max(eps * eps, 1e-37)
    return formula(b, lambda v, s: v / sqrt(maximum(s, least)), x, total, title="l2_normalize")


@layer()
def local_response_norm(
    b: Builder,
    x: Value,
    size: Count = 5,
    *,
    alpha: Number = 1e-4,
    beta: Number = 0.75,
    bias: Positive = 1.0,
    over: Over = "features",
) -> Value:
    """Divides every number by what its neighbours are: x / (bias + alpha * mean of x² over a window)^beta.

    x        [time, features] or [height, width, channels]; for over=features any shape
    size     of the window; of an even one the larger part stands behind (ONNX's rule)
    alpha    as in PyTorch, Caffe and ONNX; TensorFlow's, which multiplies the sum, is alpha / size of ours
    over     `features`: neighbours are the features beside it. `places`: the places around it, feature by feature; then
             size must be odd
    returns  the same shape

    What lies outside counts as 0, also in the mean's divisor, which is always all of the window.

    E0301  x has no features, or holds whole numbers
    E0305  the window over places is not odd
    E0401  the number of features is known only at run time

    Source: Krizhevsky et al. 2012.
    """
    demand_features("local_response_norm", x.type)
    squares = formula(b, lambda v: v * v, x, title="square")
    near, share = (
        (_beside(b, squares, size), alpha / size) if over == "features" else (_around(b, squares, size), alpha)
    )
    return formula(b, lambda v, n: v * (bias + share * n) ** -beta, x, near, title="local_response_norm")


def _beside(b: Builder, x: Value, size: int) -> Value:
    """The sum over neighbouring features: a product with a band, which is fast everywhere."""
    features = numbers(x.type.shape[-1:])[0]
    steps = np.arange(features)[:, None] - np.arange(features)
    band = np.where((steps >= -((size - 1) // 2)) & (steps <= size // 2), 1, 0).astype(np.float32)
    return project(b, x, b.emit(Constant.array(band), name="band"))


def _around(b: Builder, x: Value, size: int) -> Value:
    """The mean over the places around."""
    demand_spatial("local_response_norm", x.type)
    if size % 2 == 0:
        raise TypeRuleError("a window over places has a middle: its size is odd", code="E0305", attribute="size")
    axes = x.type.rank - 2
    margin = (size // 2, size // 2)
    return b.emit(AvgPool((size,) * axes, (1,) * axes, (margin,) * axes, True), mask_steps(b, x))


def demand_places(name: str, x: TensorType) -> None:
    """Refuses what has no axes between batch and features, or one whose size is known only at run time."""
    demand_features(name, x)
    if x.rank < 3:
        raise TypeRuleError(f"{name} needs float[time, features] at least, got {x.describe()}", operand=0)
    if any(isinstance(size, Symbolic) for size in x.spatial):
        raise TypeRuleError(
            f"{name} over {x.describe()} would count what stands behind the ends of sequences",
            code="E0401",
            operand=0,
            help="give the dimension a number in the input's type, or use `layer_norm`",
        )
