"""Losses: how far a prediction is from the truth, as one number to make small.

Every loss is the mean over samples, real steps and features. What it is multiplied by among other losses, `weight`, is
the same for all of them and no part of the functions here: LOSS_WEIGHT is the setting, and who reads a spec takes it
out of the call before the loss is made.

`sample_weight` names a tensor, of a number for every sample (or for every step, or every result): what each counts. The
mean still divides by how many there are, as Keras does, so a weight of 2 is the same as having a sample twice.

Entries of a target `float?[n]` or `point[n]` may be unknown. Losses that can do without them leave them out of the sum
and of what it is divided by; the others refuse such a target.
"""

from __future__ import annotations

import numpy as np

from graphdsl.ir import (
    PROBABILITIES,
    PROBABILITY,
    Builder,
    Constant,
    Kind,
    NonNegative,
    Positive,
    Rate,
    Real,
    Setting,
    TypeRuleError,
    Value,
    loss,
)
from graphdsl.ops import expression as e
from graphdsl.ops.aggregate import real_count
from graphdsl.ops.crossentropy import BinaryCrossentropy, CategoricalCrossentropy
from graphdsl.ops.elementwise import formula
from graphdsl.ops.embedding import one_hot_of
from graphdsl.ops.known import demand_known, known_of
from graphdsl.ops.mask import mask_steps
from graphdsl.ops.reduce import DimNumber, sum_over
from graphdsl.ops.shape import reshape

LOSS_WEIGHT = Setting("weight", Real(0.0), 1.0)
"""What a loss is multiplied by before losses are added up."""

NEAREST = 1e-7
"""How near to 0 a target counts when errors are divided by it."""

ClassWeights = tuple[NonNegative, ...]


@loss()
def mse(b: Builder, prediction: Value, target: Value, *, sample_weight: Value | None = None) -> Value:
    """Mean squared error: the mean of (prediction - target)², over what is known of a target `float?[n]` or `point[n]`.

    prediction, target  float, of one shape
    sample_weight       a tensor that says what each sample counts
    """
    demand_numbers("mse", prediction, target, unknown=True)
    truth, known = known_of(b, target)
    each = formula(b, lambda p, t: (p - t) * (p - t), prediction, truth, title="squared_error")
    return mean_loss(b, each, sample_weight, known)


@loss()
def mae(b: Builder, prediction: Value, target: Value, *, sample_weight: Value | None = None) -> Value:
    """Mean absolute error: the mean of |prediction - target| where it is known. Where they are equal the gradient is 0.

    prediction, target  float, of one shape
    sample_weight       a tensor that says what each sample counts
    """
    demand_numbers("mae", prediction, target, unknown=True)
    truth, known = known_of(b, target)
    each = formula(b, lambda p, t: abs(p - t), prediction, truth, title="absolute_error")
    return mean_loss(b, each, sample_weight, known)


@loss()
def mape(b: Builder, prediction: Value, target: Value, *, sample_weight: Value | None = None) -> Value:
    """Mean absolute percentage error: the mean of |prediction - target| / |target|, a fraction: 0.25 is a quarter off.

    prediction, target  float, of one shape; a target nearer to 0 than 1e-7 counts as 1e-7 away from it
    sample_weight       a tensor that says what each sample counts

    What is too high can cost more than all of the target, what is too low at most that: the best guess under it is a
    low one. For prices, which differ by factors, let the network end in `exp`.
    """
    demand_numbers("mape", prediction, target)
    each = formula(b, lambda p, t: abs(p - t) / e.maximum(abs(t), NEAREST), prediction, target, title="relative_error")
    return mean_loss(b, each, sample_weight)


@loss()
def huber(
    b: Builder, prediction: Value, target: Value, *, delta: Positive = 1.0, sample_weight: Value | None = None
) -> Value:
    """Half the square of small errors, delta times large ones: a mean squared error that outliers do not rule.

    prediction, target  float, of one shape; unknown entries of the target are left out
    delta               where small ends; beyond, an error counts delta * (|error| - delta / 2)
    sample_weight       a tensor that says what each sample counts

    Source: Huber 1964.
    """
    demand_numbers("huber", prediction, target, unknown=True)
    truth, known = known_of(b, target)

    def each(p: e.Expression, t: e.Expression) -> e.Expression:
        error = abs(p - t)
        return e.where(error <= delta, 0.5 * error * error, delta * (error - delta / 2))

    return mean_loss(b, formula(b, each, prediction, truth, title="huber"), sample_weight, known)


@loss()
def hinge(b: Builder, prediction: Value, target: Value, *, sample_weight: Value | None = None) -> Value:
    """The mean of max(1 - target * prediction, 0): right is not enough, it must be right by a margin.

    prediction     float scores, before any sigmoid
    target         -1 or 1 in the same shape; or `int(2)`, of which 0 stands for -1
    sample_weight  a tensor that says what each sample counts
    """
    truth = _binary_target(b, "hinge", prediction, target)
    if target.type.kind.name == "indices":
        truth = formula(b, lambda t: 2 * t - 1, truth, title="side")
    each = formula(b, lambda p, t: e.maximum(1 - t * p, 0), prediction, truth, title="hinge")
    return mean_loss(b, each, sample_weight)


@loss()
def binary_crossentropy(
    b: Builder,
    prediction: Value,
    target: Value,
    *,
    label_smoothing: Rate = 0.0,
    class_weights: ClassWeights = (),
    sample_weight: Value | None = None,
) -> Value:
    """Yes or no: the mean of - t log p - (1 - t) log(1 - p).

    prediction       probabilities, from `sigmoid`
    target           0 to 1 in the same shape, unknown entries left out; or `int(2)`, without the last axis if it is 1
    label_smoothing  s turns a target t into t (1 - s) + s / 2
    class_weights    what a no and a yes count: `class_weights=[1, 10]`
    sample_weight    a tensor that says what each sample counts

    After a sigmoid it is computed from the scores, as softplus(x) - t x: nothing overflows.
    E0303  the prediction is not of probabilities: end it with `sigmoid`
    """
    demand_kind("binary_crossentropy", prediction, PROBABILITY, "sigmoid")
    truth, known = known_of(b, _binary_target(b, "binary_crossentropy", prediction, target, unknown=True))
    smooth = truth
    if label_smoothing:
        smooth = formula(b, lambda t: t * (1 - label_smoothing) + label_smoothing / 2, truth, title="label_smoothing")
    each = b.emit(BinaryCrossentropy(), prediction, smooth)
    if class_weights:
        no, yes = _class_weights(class_weights, 2)
        each = formula(b, lambda v, t: v * (no + (yes - no) * t), each, truth, title="class_weights")
    return mean_loss(b, each, sample_weight, known)


@loss()
def categorical_crossentropy(
    b: Builder,
    prediction: Value,
    target: Value,
    *,
    label_smoothing: Rate = 0.0,
    class_weights: ClassWeights = (),
    sample_weight: Value | None = None,
) -> Value:
    """One of several classes: the mean of - log p of the true class, in general of - sum t log p.

    prediction       probabilities [classes] or [time, classes], from `softmax`
    target           `int(classes)`, or float probabilities in the shape of the prediction (a teacher's, say)
    label_smoothing  s turns a target t into t (1 - s) + s / classes
    class_weights    what a sample of each class counts, one number a class
    sample_weight    a tensor that says what each sample counts

    After a softmax it is computed from the scores: nothing overflows.
    E0303  the prediction is not of probabilities: end it with `softmax`
    E0304  the prediction has more or fewer classes than the target
    """
    demand_kind("categorical_crossentropy", prediction, PROBABILITIES, "softmax")
    truth = categorical_target(b, prediction, target)
    last = (truth.type.rank - 1,)
    smooth = truth
    if label_smoothing:
        share = real_count(b, prediction, last)
        smooth = formula(
            b, lambda t, n: t * (1 - label_smoothing) + label_smoothing / n, truth, share, title="label_smoothing"
        )
    each = b.emit(CategoricalCrossentropy(), prediction, mask_steps(b, smooth, 0.0, last))
    if class_weights:
        numbers = np.array(_class_weights(class_weights, truth.type.channels), prediction.type.dtype.numpy)
        table = b.emit(Constant.array(numbers), name="class_weights")
        chosen = formula(b, lambda t, w: t * w, truth, table, title="class_weights")
        counted = sum_over(b, chosen, last)
        each = formula(b, lambda v, w: v * w, each, counted, title="class_weights")
    return mean_loss(b, each, sample_weight)


@loss()
def kl_divergence(b: Builder, prediction: Value, target: Value, *, sample_weight: Value | None = None) -> Value:
    """How much the truth tells that the prediction does not: the mean of sum t log(t / p).

    prediction     probabilities [classes] or [time, classes], from `softmax`
    target         float probabilities in the same shape
    sample_weight  a tensor that says what each sample counts

    E0303  the prediction is not of probabilities: end it with `softmax`
    """
    demand_kind("kl_divergence", prediction, PROBABILITIES, "softmax")
    truth = categorical_target(b, prediction, target)
    last = (truth.type.rank - 1,)
    truth = mask_steps(b, truth, 0.0, last)
    information = formula(b, lambda t: e.where(t > 0, t * e.log(e.where(t > 0, t, 1)), 0), truth, title="information")
    known = sum_over(b, information, last)
    crossed = b.emit(CategoricalCrossentropy(), prediction, truth)
    return mean_loss(b, formula(b, lambda c, k: c + k, crossed, known, title="kl_divergence"), sample_weight)


def mean_loss(b: Builder, each: Value, sample_weight: Value | None, known: Value | None = None) -> Value:
    """The mean over samples, real steps and all else: a scalar. known: 1 for what counts, 0 for what does not."""
    if sample_weight is not None:
        each = _weighted(b, each, sample_weight)
    if known is not None:
        each = formula(b, lambda v, k: e.where(k > 0.5, v, 0), each, known, title="known")
    total = sum_over(b, mask_steps(b, each, 0.0, _inner(each)), tuple(range(each.type.rank)))
    count = _count(b, each) if known is None else mask_steps(b, known, 0.0, _inner(each))
    if count.type.rank:
        count = sum_over(b, count, tuple(range(count.type.rank)))
    return formula(b, lambda s, n: s / e.maximum(n, 1), total, count, title="mean")


def _inner(x: Value) -> tuple[int, ...]:
    """The axes of one sample."""
    return tuple(range(1, x.type.rank))


def _count(b: Builder, each: Value) -> Value:
    """How many there are: a scalar, or a number for each sample."""
    count = real_count(b, each, _inner(each))
    if count.type.rank or not each.type.rank:
        return count
    samples = b.emit(DimNumber(each.type.shape[0], each.type.dtype), name="samples")
    return formula(b, lambda n, s: n * s, count, samples, title="count")


def _weighted(b: Builder, each: Value, weight: Value) -> Value:
    demand_known("sample_weight", weight)
    shape = weight.type.shape
    while shape and shape[-1] == 1 and shape != each.type.shape[: len(shape)]:
        shape = shape[:-1]
    if shape != each.type.shape[: len(shape)] or not weight.type.dtype.is_float:
        raise TypeRuleError(
            f"sample_weight needs a float for each sample, or for each of {each.type.describe()}, "
            f"got {weight.type.describe()}",
            attribute="sample_weight",
        )
    spread = reshape(b, weight, (*shape, *(1,) * (each.type.rank - len(shape))))
    return formula(b, lambda v, w: v * w, each, spread, title="sample_weight")


def demand_numbers(title: str, prediction: Value, target: Value, *, unknown: bool = False) -> None:
    """Raises TypeRuleError E0303 for what is no float, E0304 where the shapes differ. unknown: entries may be so."""
    if not unknown:
        demand_known(title, target)
    for position, value in enumerate((prediction, target)):
        if not value.type.dtype.is_float:
            raise TypeRuleError(
                f"{title} compares float numbers, got {value.type.describe()}",
                code="E0303",
                operand=position,
                help="for classes there are `categorical_crossentropy` and `binary_crossentropy`",
            )
    _demand_same(title, prediction, target)


def _demand_same(title: str, prediction: Value, target: Value) -> None:
    made, wanted = prediction.type, target.type
    if made.shape == wanted.shape:
        return
    if made.shape == (*wanted.shape, 1):
        help = f"declare the target as {made.describe()}"
    elif made.shape[:-1] == wanted.shape[:-1]:
        help = f"the prediction should end in `dense({wanted.channels})`"
    else:
        help = "they are compared element by element"
    raise TypeRuleError(
        f"{title} needs equal shapes, got a prediction of {made.describe()} for a target of {wanted.describe()}",
        code="E0304",
        operand=1,
        help=help,
    )


def demand_kind(title: str, prediction: Value, kind: Kind, ending: str) -> None:
    """Raises TypeRuleError E0303 where the prediction is not of this kind, which ending makes."""
    if prediction.type.kind == kind:
        return
    raise TypeRuleError(
        f"{title} needs probabilities, got plain {prediction.type.describe()}",
        code="E0303",
        operand=0,
        help=f"end the prediction with `{ending}`",
    )


def _binary_target(b: Builder, title: str, prediction: Value, target: Value, *, unknown: bool = False) -> Value:
    """The target in the shape of the prediction, as float."""
    if target.type.kind.name == "indices":
        if target.type.kind.classes != 2:
            raise TypeRuleError(
                f"{title} tells two classes apart, the target has {target.type.kind.classes}",
                code="E0304",
                operand=1,
                help="for more there are `softmax` and `categorical_crossentropy`",
            )
        if prediction.type.shape != (*target.type.shape, 1):
            _demand_same(title, prediction, target)
        return reshape(b, one_hot_of(b, target, range(1, 2)), prediction.type.shape)
    demand_numbers(title, prediction, target, unknown=unknown)
    return target


def categorical_target(b: Builder, prediction: Value, target: Value) -> Value:
    """The target as probabilities in the shape of the prediction."""
    if target.type.kind.name != "indices":
        demand_numbers("categorical_crossentropy", prediction, target)
        return target
    classes, outputs = target.type.kind.classes, prediction.type.channels
    if classes != outputs:
        raise TypeRuleError(
            f"the prediction has {outputs} outputs, the target {classes} classes",
            code="E0304",
            operand=0,
            help=f"the last layer before `softmax` should be `dense({classes})`",
        )
    if target.type.shape != prediction.type.shape[:-1]:
        raise TypeRuleError(
            f"a prediction of {prediction.type.describe()} for a target of {target.type.describe()}: "
            "the target has one class where the prediction has one set of probabilities",
            code="E0304",
            operand=1,
        )
    return one_hot_of(b, target, range(classes))


def _class_weights(weights: ClassWeights, classes: object) -> ClassWeights:
    if len(weights) == classes:
        return weights
    raise TypeRuleError(f"{len(weights)} class weights for {classes} classes", code="E0305", attribute="class_weights")
