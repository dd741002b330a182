"""How good points are that were found in pictures, measured by a length in the picture itself."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from graphdsl.ir import POINTS, Array, Natural, Positive, Size, TensorType, TypeRuleError
from graphdsl.learn.metrics import Metric, metric
from graphdsl.learn.reading import Pair, Reading, reading_of
from graphdsl.report import dataclass


class OfPoints(Metric):
    """A metric of points, of which those count that are known.

    between  numbers of the two points whose distance is the unit, counted from 0
    picture  height x width of what the network sees; none: that of the only input that is a picture, or a square
    """

    higher: ClassVar[bool] = False
    readings: ClassVar[tuple[Reading, ...]] = (Reading.NUMBERS,)

    between: tuple[Natural, ...]
    picture: Size | None

    def of_pictures(self, size: tuple[int, int] | None) -> OfPoints:
        known = self.picture is not None or size is None
        return self if known else replace(self, picture=size)  # type: ignore[type-var]

    def reading(self, prediction: TensorType, target: TensorType) -> Reading:
        """Raises TypeRuleError E0303 where the target is no `point[n]`, or has no such points."""
        found = reading_of(prediction, target)
        if target.kind != POINTS:
            message = f"`{self.word}` judges points, got a target of {target.describe()}"
            raise TypeRuleError(message, code="E0303", operand=1, help="declare it `point[n]`")
        count = target.shape[1]
        if not isinstance(count, int) or len(set(self.between)) != 2 or max(self.between) >= count:
            message = f"`between` names two of the {count} points, which are counted from 0; got {list(self.between)}"
            raise TypeRuleError(message, code="E0303", attribute="between", help="the outer corners of the eyes, say")
        return found

    def errors(self, pair: Pair) -> Array:
        """Of each sample the mean distance of its known points in units; without those that cannot be told."""
        size = np.array(self.picture if isinstance(self.picture, tuple) else (1, 1), np.float64)[::-1]
        said, true = (np.asarray(points, np.float64) * size for points in (pair.prediction, pair.target))
        apart = np.sqrt(((said - true) ** 2).sum(-1))
        known = ~np.isnan(apart)
        unit = np.sqrt(((true[:, self.between[0]] - true[:, self.between[1]]) ** 2).sum(-1))
        judged = known.any(axis=1) & (unit > 0)
        total = np.where(known, apart, 0).sum(axis=1)[judged]
        return np.asarray(total / known.sum(axis=1)[judged] / unit[judged])


@metric("normalised_error")
@dataclass(frozen=True)
class NormalisedError(OfPoints):
    """How far points are from the true ones on average, in units of the distance of two of these: 0.05 is 5 % of it.

    between  numbers of those two, counted from 0: the outer corners of the eyes are `[36, 45]` of 68 points (300-W)
    picture  height x width of what the network sees, `96x128`; none: of the only input that is a picture, or a square

    Of 68 points `normalised_error([36, 45])`.

    The target is `point[n]`. Unknown points are left out, and samples in which one of the two is unknown. First it is
    averaged over the points of a sample, then over samples.

    Source: Sagonas et al. 2013 (300 Faces in-the-Wild).
    """

    between: tuple[Natural, ...]
    picture: Size | None = None

    def observe(self, pair: Pair) -> Array:
        errors = self.errors(pair)
        return np.array([errors.sum(), errors.size], np.float64)

    def value(self, observed: Array) -> float:
        total, count = observed
        return float(total / count) if count else float("nan")


@metric("failure_rate")
@dataclass(frozen=True)
class FailureRate(OfPoints):
    """The share of samples whose `normalised_error` is above a bound.

    between  as for `normalised_error`
    above    the bound
    picture  as for `normalised_error`

    Of 68 points `failure_rate([36, 45])`, or `failure_rate([36, 45], above=0.1)`.

    Source: Sagonas et al. 2013.
    """

    between: tuple[Natural, ...]
    above: Positive = 0.08
    picture: Size | None = None

    def observe(self, pair: Pair) -> Array:
        errors = self.errors(pair)
        return np.array([(errors > self.above).sum(), errors.size], np.float64)

    def value(self, observed: Array) -> float:
        total, count = observed
        return float(total / count) if count else float("nan")
