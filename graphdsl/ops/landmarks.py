"""Heads that say where points are in a picture: by a dense layer, or as the middle of what lights up on a map."""

from __future__ import annotations

import numpy as np

from graphdsl.ir import POINTS, Builder, Constant, Count, NonNegative, TypeRuleError, Value, layer
from graphdsl.ops.elementwise import Elementwise
from graphdsl.ops.expression import Expression, Operand
from graphdsl.ops.linear import dense, project
from graphdsl.ops.shape import reshape, transposed
from graphdsl.ops.softmax import Softmax


@layer()
def landmarks(b: Builder, x: Value, count: Count, *, l2: NonNegative = 0.0) -> Value:
    """Where so many points are in the picture: a dense layer of two numbers a point, counted from the middle.

    x        [features]: pictures flow `-> flatten` first
    count    how many points there are, in an order that is always the same
    l2       the loss grows by l2 * sum kernel²
    returns  [count, 2]: x from the left and y from the top, as fractions of the picture; beyond it below 0, above 1

    The target is `point[count]`: its points follow the pictures through `preprocess` and `augment`, those unknown reach
    neither loss nor gradient, `normalised_error` judges the rest and `predict` draws them.

    Weights: kernel [features, 2 * count], bias [2 * count].

    E0301  x is no vector
    """
    if x.type.rank != 2:
        help = "put `flatten` or `global_avg_pool` before it"
        raise TypeRuleError(f"landmarks reads a vector, got {x.type.describe()}", operand=0, help=help)
    said = reshape(b, dense(b, x, 2 * count, l2=l2), (x.type.shape[0], count, 2))
    return _points(b, said, Operand(0) + 0.5)


@layer()
def soft_argmax(b: Builder, x: Value) -> Value:
    """Where each of several maps lights up: the mean place, weighed by the softmax over all places of the map.

    x        [height, width, maps]: scores, as `conv(68, 1)` gives them
    returns  [maps, 2]: x from the left and y from the top, as fractions of the picture; never beyond it

    The target is `point[maps]`, as for `landmarks`. What is learned holds wherever the thing is in the picture, which a
    dense layer has to learn for every place: with few pictures this head needs far fewer of them.

    E0301  x is no picture
    E0401  its height or width is known only at run time

    Source: Luvizon, Tabia and Picard 2017; Nibali et al. 2018.
    """
    if x.type.rank != 4:
        help = "maps are what `conv(68, 1)` makes of a picture"
        raise TypeRuleError(f"soft_argmax reads maps, got {x.type.describe()}", operand=0, help=help)
    height, width = x.type.spatial
    if not isinstance(height, int) or not isinstance(width, int):
        message = f"soft_argmax needs known sizes, got {x.type.describe()}"
        raise TypeRuleError(message, code="E0401", operand=0, help="give height and width numbers in the input's type")
    flat = reshape(b, x, (x.type.shape[0], height * width, x.type.channels))
    weights = b.emit(Softmax(), transposed(b, flat, (0, 2, 1)))
    rows, columns = np.mgrid[:height, :width]
    places = np.stack([(columns + 0.5) / width, (rows + 0.5) / height], -1).reshape(-1, 2)
    grid = b.emit(Constant.array(places.astype(x.type.dtype.numpy)), name="places")
    return _points(b, project(b, weights, grid), Operand(0))


def _points(b: Builder, said: Value, tree: Expression) -> Value:
    return b.emit(Elementwise(tree, 1, POINTS, "points"), said, name="points")
