"""Losses of networks that make things, and of networks that learn from another network."""

from __future__ import annotations

from typing import Annotated

from graphdsl.ir import (
    PROBABILITIES,
    PROBABILITY,
    Builder,
    Choice,
    Fraction,
    Positive,
    Rate,
    TypeRuleError,
    Value,
    loss,
)
from graphdsl.ops import expression as e
from graphdsl.ops.aggregate import reduce_mean
from graphdsl.ops.crossentropy import BinaryCrossentropy, CategoricalCrossentropy
from graphdsl.ops.demand import demand_equal
from graphdsl.ops.elementwise import formula
from graphdsl.ops.known import demand_known
from graphdsl.ops.loss import categorical_target, demand_kind, demand_numbers, mean_loss
from graphdsl.ops.mask import mask_steps
from graphdsl.ops.reduce import broadcast_to, sum_over
from graphdsl.ops.softmax import softmax
from graphdsl.ops.window import demand_float

Goal = Annotated[str, Choice(("real", "fake"))]
Form = Annotated[str, Choice(("log", "least_squares"))]


@loss()
def kl_normal(b: Builder, mean: Value, log_variance: Value, *, sample_weight: Value | None = None) -> Value:
    """How far normal distributions are from the standard one, in nats a sample: what a VAE pays for its code.

    mean, log_variance  float, of one shape: of each element's distribution, all of them independent
    sample_weight       a tensor that says what each sample counts
    returns             the mean over samples of the sum over a sample's elements of
                        (mean² + exp(log_variance) - 1 - log_variance) / 2

    It is a sum for each sample. So with pixels that are judged by their mean, `binary_crossentropy(weight=28*28)` or
    `mse` with the count of pixels as weight makes the sum of both the negative ELBO.
    Source: Kingma and Welling 2014, appendix B.
    """
    demand_numbers("kl_normal", mean, log_variance)

    def each(m: e.Expression, v: e.Expression) -> e.Expression:
        return 0.5 * (m * m + e.exp(v) - 1 - v)

    inner = tuple(range(1, mean.type.rank))
    elements = mask_steps(b, formula(b, each, mean, log_variance, title="kl_normal"), 0.0, inner)
    return mean_loss(b, sum_over(b, elements, inner), sample_weight)


@loss()
def adversarial(b: Builder, judged: Value, goal: Goal, *, form: Form = "log", label_smoothing: Rate = 0.0) -> Value:
    """How far a critic's answer is from saying `real`, or `fake`: both objectives of a GAN are made of it.

    judged           what the critic says, any shape. `log`: probabilities, from `sigmoid`
    goal             `real`: 1 is right; `fake`: 0 is right
    form             `log`: the mean of -log p for `real`, of -log(1 - p) for `fake`. `least_squares`: the mean of
                     (p - 1)² or p²
    label_smoothing  s makes 1 - s of a `real` 1. (One-sided: `fake` stays 0.)

    The critic gets pictures to call real and made ones to call fake, the generator made ones to call real:
    `step critic { loss = [seen -> adversarial(real), made -> adversarial(fake)]  learn = critic }`,
    `step generator { loss = made -> adversarial(real)  learn = generator }`. After a sigmoid `log` is computed from the
    scores.

    E0303  `log` of what is no probability: end it with `sigmoid`
    Source: Goodfellow et al. 2014 with the generator's loss that does not saturate; Mao et al. 2017 (least squares);
    Salimans et al. 2016 (smoothing).
    """
    demand_float("adversarial", judged.type)
    right = 1 - label_smoothing if goal == "real" else 0.0
    if form == "least_squares":
        return mean_loss(b, formula(b, lambda p: (p - right) * (p - right), judged, title="adversarial"), None)
    demand_kind("adversarial", judged, PROBABILITY, "sigmoid")
    truth = broadcast_to(b, b.constant(right, judged.type.dtype), judged.type.shape)
    return mean_loss(b, b.emit(BinaryCrossentropy(), judged, truth), None)


@loss()
def distillation(
    b: Builder,
    student: Value,
    teacher: Value,
    label: Value,
    *,
    temperature: Positive = 4.0,
    hard: Fraction = 0.1,
    sample_weight: Value | None = None,
) -> Value:
    """Learning from a teacher and from the truth: `[student, teacher, label] -> distillation`.

    student, teacher  the scores of both, before any softmax, [classes] or [time, classes]
    label             the truth: `int(classes)`, or probabilities in the shape of the scores
    temperature       T: what scores are divided by before their softmax, for soft targets; 1 is the plain softmax
    hard              the share of the truth: hard * H + (1 - hard) * T² * S
    sample_weight     a tensor that says what each sample counts

    H is the cross-entropy with the truth at temperature 1, S the cross-entropy with the teacher's softmax at T. T²
    keeps the gradients of S as large at any temperature. The teacher does not learn where it comes from
    `model("teacher.dag", weights="…", upto=logits, freeze=true)`.

    E0303  scores that are probabilities already: flow in what `softmax` gets
    Source: Hinton, Vinyals and Dean 2015.
    """
    soft = _soft(b, "distillation", student, teacher, temperature)
    guess = softmax(b, student)
    certain = b.emit(CategoricalCrossentropy(), guess, categorical_target(b, guess, label))
    share, rest = hard, (1 - hard) * temperature**2
    each = formula(b, lambda h, s: share * h + rest * s, certain, soft, title="distillation")
    return mean_loss(b, each, sample_weight)


@loss()
def soft_targets(
    b: Builder, student: Value, teacher: Value, *, temperature: Positive = 4.0, sample_weight: Value | None = None
) -> Value:
    """Learning from a teacher alone: `distillation` with no share of the truth, which need not be known.

    student, teacher  the scores of both, before any softmax, [classes] or [time, classes]
    temperature       T: what scores are divided by before their softmax
    sample_weight     a tensor that says what each sample counts
    returns           T² times the cross-entropy of both softmaxes

    E0303  scores that are probabilities already: flow in what `softmax` gets
    Source: Hinton, Vinyals and Dean 2015.
    """
    soft = _soft(b, "soft_targets", student, teacher, temperature)
    return mean_loss(b, formula(b, lambda s: temperature**2 * s, soft, title="soft_targets"), sample_weight)


@loss()
def logits_matching(b: Builder, student: Value, teacher: Value, *, sample_weight: Value | None = None) -> Value:
    """The mean squared difference of scores, each taken less the mean of its own over the classes.

    student, teacher  the scores of both, before any softmax, [classes] or [time, classes]
    sample_weight     a tensor that says what each sample counts

    A softmax does not see what all scores share, so neither does this; `mse` does. It is what `soft_targets` comes to
    at high temperatures.

    E0303  scores that are probabilities already: flow in what `softmax` gets
    Source: Ba and Caruana 2014; Hinton, Vinyals and Dean 2015, section 2.1.
    """
    _demand_scores("logits_matching", student, teacher)
    ours, theirs = (_centred(b, x) for x in (student, teacher))
    each = formula(b, lambda s, t: (s - t) * (s - t), ours, theirs, title="logits_matching")
    return mean_loss(b, each, sample_weight)


def _soft(b: Builder, title: str, student: Value, teacher: Value, temperature: float) -> Value:
    """The cross-entropy with the teacher's soft targets, of each sample and step."""
    _demand_scores(title, student, teacher)
    ours, theirs = (softmax(b, x, temperature=temperature) for x in (student, teacher))
    return b.emit(CategoricalCrossentropy(), ours, theirs)


def _centred(b: Builder, x: Value) -> Value:
    return formula(b, lambda v, m: v - m, x, reduce_mean(b, x, (-1,), keep=True), title="centred")


def _demand_scores(title: str, student: Value, teacher: Value) -> None:
    for position, value in enumerate((student, teacher)):
        demand_float(title, value.type, position)
        if value.type.kind in (PROBABILITIES, PROBABILITY):
            raise TypeRuleError(
                f"{title} needs scores, got probabilities: {value.type.describe()}",
                code="E0303",
                operand=position,
                help="name what flows into `softmax`, and give that",
            )
    demand_equal(title, (student, teacher))
    demand_known(title, teacher)
