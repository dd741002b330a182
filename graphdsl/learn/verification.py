"""How well one can tell by distances whether two samples are of one class: counted over all pairs of an epoch.

    distance  0 ──────── threshold ────────▶      accepted: at most the threshold
    pairs of one class (genuine)    accepted / all: true accept rate      refused / all: false reject rate
    pairs of two (impostors)        accepted / all: false accept rate

Genuine pairs are few and all their distances are kept; of impostors it is enough to know how many lie below, and how
many at each of those, since between two genuine distances only the false accept rate changes. So memory grows with the
samples and the genuine pairs, and no number depends on the order of equal distances.

Source: Huang et al. 2007, "Labeled Faces in the Wild"; Phillips et al. 2000 (FERET); Fawcett 2006, "An introduction to
ROC analysis".
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

import numpy as np

from graphdsl.ir import PROBABILITY, Array, Flag, Fraction, TensorType, TypeRuleError
from graphdsl.learn.metrics import Metric, metric
from graphdsl.learn.reading import Pair, Reading
from graphdsl.report import dataclass, fail

SAME, OTHER = -1.0, -2.0
"""What stands in place of a class where a row is a pair, of one class or of two."""

MOST_JUDGED = 5_000
"""Samples whose pairs are judged: 12,497,500 pairs, some seconds and at most 400 MB."""

ROWS = 256
"""Rows of the table of distances that are made at a time."""


@dataclass(frozen=True, eq=False)
class Rates:
    """How many pairs are accepted at each threshold that matters: the distinct distances of genuine pairs, ascending.

    thresholds  [k]
    genuine     [k]: genuine pairs up to each
    below, upto [k]: impostors below each, and up to it
    impostors   how many there are
    """

    thresholds: Array
    genuine: Array
    below: Array
    upto: Array
    impostors: int

    @property
    def curve(self) -> tuple[Array, Array]:
        """False and true accept rate along the ROC curve, from (0, 0) to (1, 1); equal distances are a slope."""
        before = np.concatenate([[0], self.genuine[:-1]])
        false = np.stack([self.below, self.upto], axis=1).ravel() / self.impostors
        true = np.stack([before, self.genuine], axis=1).ravel() / self.genuine[-1]
        return np.concatenate([[0], false, [1]]), np.concatenate([[0], true, [1]])

    @property
    def area(self) -> float:
        """How often a genuine pair is nearer than an impostor; equal distances count half."""
        beyond = self.impostors - (self.below + self.upto) / 2
        return float((np.diff(self.genuine, prepend=0) * beyond).sum() / self.genuine[-1] / self.impostors)

    @property
    def equal_error(self) -> float:
        """Where as large a part of impostors is accepted as of genuine pairs is refused, on the ROC curve."""
        false, true = self.curve
        gap = false + true - 1
        i = int(np.argmax(gap >= 0))
        part = -gap[i - 1] / (gap[i] - gap[i - 1])
        return float(false[i - 1] + part * (false[i] - false[i - 1]))

    @property
    def accuracy(self) -> float:
        """The mean of the true accept rate and the true reject rate, at the threshold where it is largest."""
        false, true = self.curve
        return float(((true + 1 - false) / 2).max())

    def at(self, threshold: float) -> tuple[float, float]:
        """False and true accept rate of a threshold; exact at those that are distances of genuine pairs.

        Between two of them as at the one below; below all of them both are 0, also where impostors are that near.
        """
        k = int(np.searchsorted(self.thresholds, threshold, side="right")) - 1
        if k < 0:
            return 0.0, 0.0
        return float(self.upto[k] / self.impostors), float(self.genuine[k] / self.genuine[-1])

    def true_accepts(self, false_accepts: float) -> float:
        """The largest true accept rate of a threshold that accepts at most this part of impostors."""
        allowed = self.upto <= false_accepts * self.impostors
        return float(self.genuine[allowed].max() / self.genuine[-1]) if allowed.any() else 0.0

    def threshold(self, false_accepts: float | None = None) -> float:
        """The threshold that accepts at most this part of impostors; none: where both errors are nearest to equal.

        Where even the nearest genuine pair is farther than too many impostors it is 0.
        """
        if false_accepts is not None:
            allowed = self.upto <= false_accepts * self.impostors
            return float(self.thresholds[allowed].max()) if allowed.any() else 0.0
        apart = np.abs(self.upto / self.impostors - (1 - self.genuine / self.genuine[-1]))
        return float(self.thresholds[int(np.argmin(apart))])


def rates_of(genuine: Array, impostors: Iterable[Array]) -> Rates:
    """Of distances; those of impostors may come in pieces. Raises E0622 where there are none of either."""
    thresholds, counts = np.unique(genuine, return_counts=True)
    sides = np.zeros((2, len(thresholds) + 1), np.int64)
    for piece in impostors:
        sorted_ = np.sort(piece)  # looked up many times faster
        above = np.searchsorted(thresholds, sorted_, "right")
        equal = sorted_ == np.append(thresholds, np.nan)[above - 1]
        sides[0] += np.bincount(above, minlength=len(thresholds) + 1)
        sides[1] += np.bincount(above - equal, minlength=len(thresholds) + 1)
    many = int(sides[0].sum())
    if not len(genuine) or not many:
        kind = "of one class" if not len(genuine) else "of two classes"
        help = "judge several samples of each of several classes: `each=2` in the reader puts two of each together"
        raise fail("E0622", f"there is no pair {kind} among the samples, so no error rate", help=help)
    below, upto = np.cumsum(sides, axis=1)[:, :-1]
    return Rates(thresholds, np.cumsum(counts), below, upto, many)


def rates_of_embeddings(embeddings: Array, classes: Array) -> Rates:
    """Of all pairs of the first MOST_JUDGED samples, by squared distance. embeddings [n, features]; classes [n].

    Raises E0622 where there are no two samples of one class, none of two, or an embedding is no finite number.
    """
    x, classes = embeddings[:MOST_JUDGED].astype(np.float64), classes[:MOST_JUDGED]
    _demand_finite(x)
    same = [_apart(x[classes == c]) for c in np.unique(classes)]
    genuine = np.concatenate([np.zeros(0), *(d[np.triu_indices(len(d), 1)] for d in same)])
    return rates_of(genuine, _impostors(x, classes))


def _impostors(x: Array, classes: Array) -> Iterator[Array]:
    """Distances of pairs of two classes, each pair once, some rows at a time."""
    for start in range(0, len(x), ROWS):
        own, rest = slice(start, start + ROWS), slice(start, None)
        behind = np.arange(len(x))[rest] > np.arange(len(x))[own, None]
        yield _apart(x[own], x[rest])[behind & (classes[own, None] != classes[rest])]


def _apart(x: Array, y: Array | None = None) -> Array:
    """Squared distances [n, m], as float32, so that rounding does not order what is equal; of equal vectors 0."""
    y = x if y is None else y
    size = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1)
    found = size - 2 * x @ y.T
    return np.where(found > 1e-13 * size, found, 0).astype(np.float32)


def _demand_finite(values: Array) -> None:
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size:
        message = f"what is compared of {bad.size} of {len(values)} samples is no finite number, so no error rate"
        help = "`l2_normalize` of a vector of zeros, or a training that has gone astray: a smaller `lr`"
        raise fail("E0622", message, help=help)


class Verification(Metric):
    """A metric of pairs. A row of what it observed is class and embedding, or of a pair SAME or OTHER and its distance.

    alike  of two towers: whether a larger number means more alike; probabilities always do
    """

    readings: ClassVar[tuple[Reading, ...]] = (Reading.EMBEDDINGS, Reading.TOWERS)
    alike: Flag

    @abstractmethod
    def of(self, rates: Rates) -> float:
        """The number."""

    def reading(self, prediction: TensorType, target: TensorType) -> Reading:
        """Raises TypeRuleError E0303 where neither a vector goes with a class nor a number with yes or no."""
        if target.kind.name == "indices" and target.rank == 1 and prediction.rank == 2 and prediction.channels != 1:
            return Reading.EMBEDDINGS
        answer = (target.kind.name == "indices" and target.kind.classes == 2) or target.dtype.is_float
        if answer and _of_one(prediction) and _of_one(target):
            return Reading.TOWERS_ALIKE if prediction.kind == PROBABILITY or self.alike else Reading.TOWERS
        message = f"`{self.word}` judges pairs, got {prediction.describe()} against {target.describe()}"
        help = "`[embedding, person]`: a vector and an `int(n)`; `[distance, same]`: a number and a `float[1]`"
        raise TypeRuleError(message, code="E0303", operand=0, help=help)

    def observe(self, pair: Pair) -> Array:
        if pair.reading is Reading.EMBEDDINGS:
            return np.column_stack([pair.target.astype(np.float64), pair.prediction])
        apart = pair.prediction.reshape(-1).astype(np.float64)
        same = np.where(pair.target.reshape(-1) >= 0.5, SAME, OTHER)
        return np.column_stack([same, -apart if pair.reading is Reading.TOWERS_ALIKE else apart])

    def merge(self, observed: Sequence[Array]) -> Array:
        return np.concatenate(observed)

    def rates(self, observed: Array) -> Rates:
        """All that is known of these pairs. Raises E0622."""
        if (observed[:, 0] >= 0).all():
            return rates_of_embeddings(observed[:, 1:], observed[:, 0])
        _demand_finite(observed)
        same, apart = observed[:, 0] == SAME, observed[:, 1]
        return rates_of(apart[same], [apart[~same]])

    def value(self, observed: Array) -> float:
        return self.of(self.rates(observed))


@metric("verification_accuracy")
@dataclass(frozen=True)
class VerificationAccuracy(Verification):
    """How often it is told right whether two samples are of one class, by whether their distance is below a threshold.

    `[embedding, person] -> verification_accuracy` takes the squared distances of all pairs of samples of an epoch (of
    its first 5,000), `[distance, same]` those that two towers tell. Only whether classes are equal matters, so people
    may be judged that nobody was trained on.

    The threshold is the one at which the number is largest, so it is as good as it can be; genuine pairs and impostors
    count half each however many there are, as in LFW. Raises E0622 where there are no pairs of one class or of two.

    alike  of two towers: whether a larger number means more alike; probabilities always do

    Source: Huang et al. 2007, "Labeled Faces in the Wild".
    """

    alike: Flag = False

    def of(self, rates: Rates) -> float:
        return rates.accuracy


@metric("equal_error_rate")
@dataclass(frozen=True)
class EqualErrorRate(Verification):
    """The part of pairs judged wrongly at the threshold where as large a part of impostors is accepted as of genuine
    pairs is refused. Between two thresholds it is taken from the straight line of the ROC curve.

    alike  of two towers: whether a larger number means more alike; pairs as in `verification_accuracy`

    Source: Fawcett 2006.
    """

    higher: ClassVar[bool] = False
    alike: Flag = False

    def of(self, rates: Rates) -> float:
        return rates.equal_error


@metric("tar")
@dataclass(frozen=True)
class TrueAcceptRate(Verification):
    """The part of genuine pairs that is accepted where at most a part `far` of impostors is: TAR at FAR.

    far    false accept rate that is allowed: with 0.001 a thousand impostors are needed for one to be allowed
    alike  of two towers: whether a larger number means more alike; pairs as in `verification_accuracy`

    Source: Phillips et al. 2000.
    """

    far: Fraction = 0.001
    alike: Flag = False

    @property
    def label(self) -> str:
        return f"tar_{self.far:g}"

    def of(self, rates: Rates) -> float:
        return rates.true_accepts(self.far)


@metric("verification_auc")
@dataclass(frozen=True)
class VerificationArea(Verification):
    """The area under the ROC curve of pairs: how often a genuine pair is nearer than an impostor; equal counts half.

    alike  of two towers: whether a larger number means more alike; pairs as in `verification_accuracy`

    Source: Fawcett 2006.
    """

    alike: Flag = False

    def of(self, rates: Rates) -> float:
        return rates.area


def _of_one(type: TensorType) -> bool:
    """One number for each sample."""
    return type.rank == 1 or (type.rank == 2 and type.channels == 1)
