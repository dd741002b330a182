"""What a picture is judged by when it is itself what is learned: gram, total_variation, mean_square, activation; and
normalize, which turns a picture into what a network was trained on.
"""

from __future__ import annotations

from math import prod
from typing import Annotated

import numpy as np

from graphdsl.ir import (
    Builder,
    Constant,
    Either,
    Many,
    Real,
    TypeRuleError,
    Value,
    Whole,
    layer,
    loss,
)
from graphdsl.ops.aggregate import real_count, reduce_mean
from graphdsl.ops.concat import sliced_axis
from graphdsl.ops.elementwise import formula
from graphdsl.ops.embedding import demand_indices, one_hot_of
from graphdsl.ops.expression import maximum
from graphdsl.ops.linear import batch_matmul
from graphdsl.ops.loss import mae, mse
from graphdsl.ops.mask import mask_steps
from graphdsl.ops.reduce import DimNumber, sum_over
from graphdsl.ops.shape import reshape
from graphdsl.ops.window import demand_float

Each = Annotated[float | tuple[float, ...], Either((Real(), Many(Real())))]
Divisors = Annotated[float | tuple[float, ...], Either((Real(0.0, low_open=True), Many(Real(0.0, low_open=True))))]
Power = Annotated[int, Whole(1, 2)]


@layer()
def normalize(b: Builder, x: Value, mean: Each = 0.0, deviation: Divisors = 1.0) -> Value:
    """(x - mean) / deviation, feature by feature, by numbers that are known: what a network expects of a picture.

    x          float, any shape
    mean       one number, or one a feature
    deviation  the same, above 0
    returns    the same shape

    `canvas -> normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])` is what `preprocess` does under this name to the
    samples of data; `canvas * 255 -> reverse(-1) -> normalize([104, 117, 123])` is what most networks of Caffe expect.
    """
    demand_float("normalize", x.type)
    numbers = [_features(b, x, name, value) for name, value in (("mean", mean), ("deviation", deviation))]
    return formula(b, lambda v, m, d: (v - m) / d, x, *numbers, title="normalize")


def _features(b: Builder, x: Value, name: str, numbers: float | tuple[float, ...]) -> Value:
    listed = numbers if isinstance(numbers, tuple) else (numbers,)
    if len(listed) not in (1, x.type.channels):
        message = f"normalize has {len(listed)} numbers for {x.type.channels} features"
        raise TypeRuleError(message, code="E0305", attribute=name)
    return b.emit(Constant.array(np.array(listed, x.type.dtype.numpy)), name=name)


@layer()
def gram(b: Builder, x: Value) -> Value:
    """Which features occur together, wherever that is: the mean over places of the product of every two features.

    x        [time, features], [height, width, features] or with more axes; of sequences only the real steps count
    returns  [features, features]: xᵀx / places

    The style of a picture to a network. With x a layer of N features at M places Gatys' loss of that layer is a quarter
    of `[x -> gram, style -> gram] -> mse`: he leaves the sum over places whole, and divides by 4 N² M² in the loss.

    E0301  x has no places, or holds whole numbers

    Source: Gatys, Ecker and Bethge 2016, "Image style transfer using convolutional neural networks".
    """
    demand_float("gram", x.type)
    if x.type.rank < 3:
        raise TypeRuleError(f"gram needs features at places, got {x.type.describe()}", operand=0)
    places = tuple(range(1, x.type.rank - 1))
    count = real_count(b, x, places)
    size = prod((x.type.shape[place] for place in places), start=1)
    rows = reshape(b, mask_steps(b, x, 0.0, places), (x.type.shape[0], size, x.type.channels))
    products = batch_matmul(b, rows, rows, transpose_a=True)
    if count.type.rank:
        count = reshape(b, count, (x.type.shape[0], 1, 1))
    return formula(b, lambda p, n: p / maximum(n, 1), products, count, title="gram")


@loss()
def total_variation(b: Builder, x: Value, *, power: Power = 2) -> Value:
    """How rough a picture is: along each axis the mean of the squared differences of neighbours, added up.

    x      [time, features], [height, width, channels] or with more axes; of sequences only the real steps count
    power  2: squares, which smooth; 1: absolute differences, which keep edges

    E0301  x has no places

    Source: Rudin, Osher and Fatemi 1992; with squares Mahendran and Vedaldi 2015.
    """
    demand_float("total_variation", x.type)
    places = [a for a in range(1, x.type.rank - 1) if x.type.shape[a] != 1]
    if not places:
        message = f"total_variation compares neighbours, and {x.type.describe()} has none"
        raise TypeRuleError(message, operand=0)
    total: Value | None = None
    for axis in places:
        size = x.type.shape[axis] - 1
        before, after = sliced_axis(b, x, axis, 0, size), sliced_axis(b, x, axis, 1, size)
        rough = (mse if power == 2 else mae)(b, after, before)
        total = rough if total is None else formula(b, lambda p, q: p + q, total, rough, title="total_variation")
    assert total is not None
    return total


@loss()
def mean_square(b: Builder, x: Value) -> Value:
    """The mean of the squares of all features: how strongly a layer is excited. DeepDream makes it large.

    x  float, any shape; of sequences only the real steps count
    """
    squares = formula(b, lambda v: v * v, x, title="square")
    return _mean_of_samples(b, reduce_mean(b, squares))


@loss()
def activation(b: Builder, x: Value, filter: Value) -> Value:
    """The mean over all places of one feature of each sample: how strongly it excites that filter.

    x       [features], [time, features] or with more axes; of sequences only the real steps count
    filter  which one each sample is about: `target filter: int(512)`

    E0303  filter is no class number
    E0304  x has more or fewer features than filter counts
    """
    demand_float("activation", x.type)
    count = demand_indices("activation", filter.type)
    if count != x.type.channels or filter.type.rank != 1:
        message = f"activation has {x.type.channels} features to choose from, got {filter.type.describe()}"
        help = f"declare `target filter: int({x.type.channels})`"
        raise TypeRuleError(message, code="E0304", operand=1, help=help)
    places = tuple(range(1, x.type.rank - 1))
    hot = one_hot_of(b, filter, range(count))
    hot = reshape(b, hot, (x.type.shape[0], *(1 for _ in places), count))
    chosen = formula(b, lambda v, h: v * h, mask_steps(b, x, 0.0, places), hot, title="chosen")
    total = sum_over(b, chosen, tuple(range(1, x.type.rank)), keep=True)
    each = formula(b, lambda s, n: s / maximum(n, 1), total, real_count(b, x, places), title="mean")
    return _mean_of_samples(b, reshape(b, each, (x.type.shape[0],)))


def _mean_of_samples(b: Builder, each: Value) -> Value:
    """each: a number a sample, [batch]."""
    samples = b.emit(DimNumber(each.type.shape[0], each.type.dtype), name="samples")
    return formula(b, lambda s, n: s / maximum(n, 1), sum_over(b, each, (0,)), samples, title="mean")
