"""How good predictions are: counted batch by batch, worked out once at the end of an epoch, exact over all of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar, TypeVar

import numpy as np

from graphdsl.ir import PROBABILITIES, Array, Count, Fraction, Natural, Registry, TensorType, TypeRuleError, entry_of
from graphdsl.learn.reading import Pair, Reading, reading_of
from graphdsl.report import dataclass

METRICS = Registry("metric")

NEAREST = 1e-7
"""How near to 0 a truth counts when errors are divided by it."""

DECISIONS = (Reading.CLASSES, Reading.ONE_HOT, Reading.YES_NO)
MEASURES = (Reading.ONE_HOT, Reading.YES_NO, Reading.NUMBERS)
WANTED = {
    DECISIONS: "classes and yes-or-no answers",
    DECISIONS[:2]: "classes",
    MEASURES: "a prediction that has the shape of the truth",
    (Reading.TEXT,): "a text that was read off frames",
    (Reading.BOXES,): "boxes that `nms` leaves, against a target `box(n)[m]` of as many classes",
}
HELP: dict[tuple[Reading, ...], str] = {
    (Reading.TEXT,): "put `ctc_greedy` or `ctc_beam` behind the `softmax`: they read texts",
    (Reading.BOXES,): "put `nms(score=0.01)` behind the heads",
}
OPEN = (Reading.NUMBERS, Reading.YES_NO)
"""How heads are understood whose truth may be unknown in part."""
OTHERWISE = "`mae` and `mse` judge numbers, `accuracy` judges classes and yes-or-no answers"


class Metric(ABC):
    """One number about an epoch. Concrete ones are frozen dataclasses whose fields are settings.

    higher    whether more is better
    readings  the heads it makes sense for
    """

    word: ClassVar[str]
    higher: ClassVar[bool] = True
    readings: ClassVar[tuple[Reading, ...]] = DECISIONS

    @property
    def label(self) -> str:
        """How results call it, after the head: `digit.accuracy`."""
        return self.word

    @abstractmethod
    def observe(self, pair: Pair) -> Array:
        """What one batch adds."""

    def merge(self, observed: Sequence[Array]) -> Array:
        """What several batches add together: the same as if they were one."""
        return np.asarray(np.sum(observed, axis=0))

    @abstractmethod
    def value(self, observed: Array) -> float:
        """The number, from what all batches added together. NaN where there is nothing to judge by."""

    def of_pictures(self, size: tuple[int, int] | None) -> Metric:
        """The metric for pictures of this height and width; None: nobody knows, or there are several."""
        return self

    def reading(self, prediction: TensorType, target: TensorType) -> Reading:
        """How the head is understood. Raises TypeRuleError E0303 where the metric means nothing for it."""
        found = reading_of(prediction, target)
        if target.partial and found not in OPEN:
            message = f"`{self.word}` needs all of its target, and entries of {target.describe()} may be unknown"
            raise TypeRuleError(message, code="E0303", operand=1, help="`mae` and `mse` leave unknown ones out")
        if found not in self.readings:
            raise TypeRuleError(
                f"`{self.word}` judges {WANTED[self.readings]}, got {prediction.describe()} "
                f"({prediction.kind}) against {target.describe()}",
                code="E0303",
                operand=0,
                help=HELP.get(self.readings, OTHERWISE),
            )
        return found


M = TypeVar("M", bound=type[Metric])


def metric(name: str) -> Callable[[M], M]:
    """Decorator: makes a metric a word of the language."""

    def register(cls: M) -> M:
        cls.word = name
        METRICS.add(replace(entry_of("metric", name, cls), operands=("prediction", "target")))
        return cls

    return register


@metric("accuracy")
@dataclass(frozen=True)
class Accuracy(Metric):
    """Right decisions among all: the class with the highest score, or yes where a probability reaches the threshold.

    threshold   of yes-or-no answers
    """

    threshold: Fraction = 0.5

    def observe(self, pair: Pair) -> Array:
        right = pair.chosen(self.threshold) == pair.truth
        return np.array([right.sum(), right.size], np.float64)

    def value(self, observed: Array) -> float:
        right, total = observed
        return _ratio(right, total, np.nan)


@metric("top")
@dataclass(frozen=True)
class Top(Metric):
    """How often the true class is among the k with the highest scores: `top(5)`.

    A class whose score equals the true one's is counted ahead of it only when its number is smaller.
    """

    k: Count
    readings: ClassVar[tuple[Reading, ...]] = DECISIONS[:2]

    @property
    def label(self) -> str:
        return f"top_{self.k}"

    def observe(self, pair: Pair) -> Array:
        scores, truth = pair.scores, pair.truth.astype(np.int64)
        own = scores[np.arange(len(truth)), truth][:, None]
        ahead = (scores > own) | ((scores == own) & (np.arange(scores.shape[1]) < truth[:, None]))
        return np.array([(ahead.sum(axis=1) < self.k).sum(), truth.size], np.float64)

    def value(self, observed: Array) -> float:
        right, total = observed
        return _ratio(right, total, np.nan)


@metric("mae")
@dataclass(frozen=True)
class MeanAbsoluteError(Metric):
    """Mean of |prediction - truth|."""

    higher: ClassVar[bool] = False
    readings: ClassVar[tuple[Reading, ...]] = MEASURES

    def observe(self, pair: Pair) -> Array:
        return np.array([np.abs(_errors(pair)).sum(), _errors(pair).size])

    def value(self, observed: Array) -> float:
        total, count = observed
        return _ratio(total, count, np.nan)


@metric("mse")
@dataclass(frozen=True)
class MeanSquaredError(Metric):
    """Mean of (prediction - truth)²."""

    higher: ClassVar[bool] = False
    readings: ClassVar[tuple[Reading, ...]] = MEASURES

    def observe(self, pair: Pair) -> Array:
        return np.array([np.square(_errors(pair)).sum(), _errors(pair).size])

    def value(self, observed: Array) -> float:
        total, count = observed
        return _ratio(total, count, np.nan)


@metric("mape")
@dataclass(frozen=True)
class MeanAbsolutePercentageError(Metric):
    """Mean of |prediction - truth| / |truth|, a fraction; a truth nearer to 0 than 1e-7 counts as 1e-7 away from it."""

    higher: ClassVar[bool] = False
    readings: ClassVar[tuple[Reading, ...]] = MEASURES

    def observe(self, pair: Pair) -> Array:
        prediction, truth = _compared(pair)
        errors = np.abs(prediction - truth) / np.maximum(np.abs(truth), NEAREST)
        return np.array([errors.sum(), errors.size])

    def value(self, observed: Array) -> float:
        total, count = observed
        return _ratio(total, count, np.nan)


class Counted(Metric):
    """A metric of true and false positives: for yes or no those of yes, for classes the mean over the classes.

    of         the number of the only class to judge; none: all that occur in truth or prediction count alike
    threshold  of yes-or-no answers
    """

    of: Natural | None
    threshold: Fraction

    @abstractmethod
    def rate(self, hits: Array, chosen: Array, true: Array) -> Array:
        """The value a class, from how often it was right, was chosen, was true."""

    def observe(self, pair: Pair) -> Array:
        chosen, truth = pair.chosen(self.threshold), pair.truth.astype(np.int64)
        hits = chosen[chosen == truth]
        found = np.stack([np.bincount(v, minlength=pair.classes) for v in (hits, chosen, truth)])
        return found[:, 1:] if pair.reading is Reading.YES_NO and self.of is None else found

    def value(self, observed: Array) -> float:
        rates = self.rate(*observed)
        if len(rates) == 1:
            return float(rates[0])
        if self.of is not None:
            return float(rates[self.of]) if self.of < len(rates) else float("nan")
        occurs = observed[1:].any(axis=0)
        return float(rates[occurs].mean()) if occurs.any() else float("nan")


@metric("precision")
@dataclass(frozen=True)
class Precision(Counted):
    """Of those called positive, the part that is. 0 when none is called so.

    of         the number of the only class to judge; none: the mean over the classes
    threshold  of yes-or-no answers
    """

    of: Natural | None = None
    threshold: Fraction = 0.5

    def rate(self, hits: Array, chosen: Array, true: Array) -> Array:
        return np.asarray(hits / np.maximum(chosen, 1))


@metric("recall")
@dataclass(frozen=True)
class Recall(Counted):
    """Of those that are positive, the part that is found. 0 when there are none.

    of         the number of the only class to judge; none: the mean over the classes
    threshold  of yes-or-no answers
    """

    of: Natural | None = None
    threshold: Fraction = 0.5

    def rate(self, hits: Array, chosen: Array, true: Array) -> Array:
        return np.asarray(hits / np.maximum(true, 1))


@metric("f1")
@dataclass(frozen=True)
class F1(Counted):
    """The harmonic mean of precision and recall: 2 hits / (chosen + true), 0 where both are empty.

    of         the number of the only class to judge; none: the mean over the classes
    threshold  of yes-or-no answers
    """

    of: Natural | None = None
    threshold: Fraction = 0.5

    def rate(self, hits: Array, chosen: Array, true: Array) -> Array:
        return np.asarray(2 * hits / np.maximum(chosen + true, 1))


@metric("auc")
@dataclass(frozen=True)
class AreaUnderCurve(Metric):
    """The area under the ROC curve: how often a positive scores higher than a negative; equal scores count half.

    Classes are judged one against the rest, and averaged over those that occur. NaN without both sides. Keeps every
    score of the epoch, so that it is exact.
    """

    def observe(self, pair: Pair) -> Array:
        return np.column_stack([pair.truth.astype(np.float64), pair.scores])

    def merge(self, observed: Sequence[Array]) -> Array:
        return np.concatenate(observed)

    def value(self, observed: Array) -> float:
        truth, scores = observed[:, 0], observed[:, 1:]
        if scores.shape[1] <= 2:
            return _area(scores[:, -1], truth == 1)
        areas = [_area(scores[:, c], truth == c) for c in range(scores.shape[1]) if (truth == c).any()]
        return float(np.mean(areas)) if areas else float("nan")


class Surprise(Metric):
    """How much the truth surprises: a metric of the mean of -log p, p being the probability that was given to it."""

    higher: ClassVar[bool] = False
    readings: ClassVar[tuple[Reading, ...]] = DECISIONS[:2]

    def reading(self, prediction: TensorType, target: TensorType) -> Reading:
        """Raises TypeRuleError E0303 also where the prediction is no probabilities."""
        found = Metric.reading(self, prediction, target)
        if prediction.kind != PROBABILITIES:
            message = f"`{self.word}` judges probabilities, got {prediction.describe()} ({prediction.kind})"
            raise TypeRuleError(message, code="E0303", operand=0, help="end the prediction with `softmax`")
        return found

    def observe(self, pair: Pair) -> Array:
        truth = pair.truth.astype(np.int64)
        known = pair.scores[np.arange(len(truth)), truth].astype(np.float64)
        return np.array([-np.log(np.maximum(known, np.finfo(np.float64).tiny)).sum(), truth.size])


@metric("bits_per_character")
@dataclass(frozen=True)
class BitsPerCharacter(Surprise):
    """The mean of -log2 p over all steps, p being the probability that the true character was given: what a text would
    take when it is packed with the model. Of words and bytes it is bits a word, bits a byte.
    """

    def value(self, observed: Array) -> float:
        total, count = observed
        return _ratio(total / np.log(2), count, np.nan)


@metric("perplexity")
@dataclass(frozen=True)
class Perplexity(Surprise):
    """exp of the mean of -log p: among how many equally likely ones the model hesitates at each step."""

    def value(self, observed: Array) -> float:
        total, count = observed
        return float(np.exp(_ratio(total, count, np.nan)))


def _area(scores: Array, positive: Array) -> float:
    """Mann and Whitney's U over its greatest value; ranks of equal scores are averaged."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    yes, no = int(positive.sum()), int((~positive).sum())
    return _ratio(ranks[positive].sum() - yes * (yes + 1) / 2, yes * no, np.nan)


def _errors(pair: Pair) -> Array:
    prediction, truth = _compared(pair)
    return np.asarray(prediction - truth)


def _compared(pair: Pair) -> tuple[Array, Array]:
    """Prediction and truth, number by number, as far as the truth is known."""
    kept = pair.prediction, pair.target
    if pair.real is not None:
        kept = pair.prediction[pair.real], pair.target[pair.real]
    prediction, truth = (array.astype(np.float64).reshape(-1) for array in kept)
    known = ~np.isnan(truth)
    return prediction[known], truth[known]


def _ratio(part: float, whole: float, empty: float) -> float:
    return float(part / whole) if whole else float(empty)
