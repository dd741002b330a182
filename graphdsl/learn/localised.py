"""How good a classifier is that also says where its object is."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from graphdsl.ir import Array, Fraction, TensorType, TypeRuleError
from graphdsl.learn.metrics import Metric, metric
from graphdsl.learn.reading import Pair, Reading, reading_of
from graphdsl.ops import overlaps
from graphdsl.report import dataclass

CLASSES = 5
"""Where the classes begin, behind whether there is an object and its box."""


@metric("localisation_accuracy")
@dataclass(frozen=True)
class LocalisationAccuracy(Metric):
    """The share of samples that are wholly right: whether there is an object, and where there is one its class and box.

    iou   what the box must share with the true one: intersection / union

    Prediction and target are `[p, x, y, width, height, classes …]`, as `localisation` compares them. There is an object
    where p is at least 1/2. Samples whose true p is unknown do not count.
    """

    iou: Fraction = 0.5
    readings: ClassVar[tuple[Reading, ...]] = (Reading.NUMBERS, Reading.YES_NO)

    def reading(self, prediction: TensorType, target: TensorType) -> Reading:
        """Raises TypeRuleError E0303 for other shapes."""
        found = reading_of(prediction, target)
        size = target.shape[-1]
        if target.rank != 2 or not isinstance(size, int) or size <= CLASSES or found not in self.readings:
            message = f"`{self.word}` judges `[p, x, y, width, height, classes …]`, got {target.describe()}"
            raise TypeRuleError(message, code="E0303", operand=1, help="declare the target `float?[5 + classes]`")
        return found

    def observe(self, pair: Pair) -> Array:
        known = ~np.isnan(pair.target[:, 0])
        rows = zip(pair.prediction[known], pair.target[known], strict=True)
        return np.array([sum(self._right(said, true) for said, true in rows), known.sum()], np.float64)

    def value(self, observed: Array) -> float:
        right, total = observed
        return float(right / total) if total else float("nan")

    def _right(self, said: Array, true: Array) -> bool:
        if (said[0] >= 0.5) != (true[0] >= 0.5) or true[0] < 0.5:
            return bool(said[0] < 0.5 and true[0] < 0.5)
        box = np.nan_to_num(true[None, 1:CLASSES])
        near = overlaps(said[None, 1:CLASSES], box)[0, 0] >= self.iou
        return bool(near and said[CLASSES:].argmax() == np.nan_to_num(true[CLASSES:]).argmax())
