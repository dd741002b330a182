"""What predictions and truths say, brought into one form that metrics count."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np

from graphdsl.ir import PROBABILITY, Array, TensorType, TypeRuleError
from graphdsl.report import dataclass


class Reading(StrEnum):
    """How a head is understood; told from types, before any data."""

    CLASSES = "classes"
    """One of n: the last axis holds a score a class, the truth is a class number."""
    ONE_HOT = "one_hot"
    """One of n; the truth too has an axis of scores."""
    YES_NO = "yes_no"
    """Each number for itself is a probability, the truth is 0 or 1."""
    NUMBERS = "numbers"
    """Quantities: prediction and truth are compared as they are."""
    FRAMES = "frames"
    """Scores of frames that say a text, the blank among them; the truth is the text, shorter than they are many."""
    TEXT = "text"
    """A text read off frames; the truth is a text."""
    BOXES = "boxes"
    """What `nms` leaves; the truth is boxes."""
    EMBEDDINGS = "embeddings"
    """A vector for each sample; the truth is a class, of which only matters whether two are equal."""
    TOWERS = "towers"
    """How far the two of a pair are apart; the truth is whether they are the same."""
    TOWERS_ALIKE = "towers_alike"
    """The same, where larger means more alike."""


def reading_of(prediction: TensorType, target: TensorType) -> Reading:
    """How this pair is understood. Raises TypeRuleError E0303 where the shapes do not fit."""
    if prediction.kind.name == "detections" and target.kind.name == "boxes":
        _demand(prediction.kind.classes == target.kind.classes, prediction, target)
        return Reading.BOXES
    is_class = target.kind.name == "indices"
    if is_class and target.rank == 2 and (prediction.kind.name == "text" or _says_text(prediction, target)):
        return Reading.TEXT if prediction.kind.name == "text" else Reading.FRAMES
    if is_class and prediction.rank == target.rank + 1 and prediction.channels != 1:
        _demand(prediction.shape[:-1] == target.shape, prediction, target)
        return Reading.CLASSES
    if is_class and prediction.rank == target.rank + 1:
        _demand(target.kind.classes == 2, prediction, target)
        return Reading.YES_NO
    _demand(prediction.shape == target.shape, prediction, target)
    if prediction.kind.name == "probabilities":
        return Reading.ONE_HOT
    return Reading.YES_NO if prediction.kind == PROBABILITY else Reading.NUMBERS


def _says_text(prediction: TensorType, target: TensorType) -> bool:
    """Whether ctc could compare them: steps of their own, and an output more than there are classes."""
    apart = prediction.shape[1:2] != target.shape[1:]
    return prediction.rank == 3 and apart and prediction.channels == target.kind.classes + 1


def _demand(fits: bool, prediction: TensorType, target: TensorType) -> None:
    if not fits:
        raise TypeRuleError(
            f"cannot compare {prediction.describe()} with {target.describe()}",
            code="E0303",
            help="a head of n classes goes with a target `int(n)`; otherwise both need the same shape",
        )


@dataclass(frozen=True)
class Pair:
    """Predictions of a batch beside the truth.

    real   bool, the shape of the truth's first axes: which steps of padded sequences exist; None: all
    """

    reading: Reading
    prediction: Array
    target: Array
    real: Array | None = None

    @property
    def scores(self) -> Array:
        """[decisions, classes]; [decisions, 1] for yes or no and for numbers, as far as the truth is known."""
        found = self._kept(self.prediction)
        if self.reading in (Reading.CLASSES, Reading.ONE_HOT):
            return found.reshape(-1, found.shape[-1])
        return found.reshape(-1, 1)[self._known]

    @property
    def truth(self) -> Array:
        """[decisions]: class numbers, 0 or 1, or quantities."""
        target = self._kept(self.target)
        match self.reading:
            case Reading.ONE_HOT:
                return np.asarray(target.argmax(-1).reshape(-1))
            case Reading.YES_NO:
                return np.asarray((target >= 0.5).astype(np.int64).reshape(-1)[self._known])
            case _:
                return target.reshape(-1)

    def chosen(self, threshold: float = 0.5) -> Array:
        """[decisions]: the class with the highest score (the first of equals); yes is at or above threshold."""
        if self.reading is Reading.YES_NO:
            return np.asarray((self.scores[:, 0] >= threshold).astype(np.int64))
        return np.asarray(self.scores.argmax(-1))

    @property
    def classes(self) -> int:
        """How many classes there are; 2 for yes or no."""
        return 2 if self.reading is Reading.YES_NO else int(self.prediction.shape[-1])

    @property
    def _known(self) -> Array:
        """bool [decisions]: what of the truth is known."""
        return np.asarray(~np.isnan(self._kept(self.target)).reshape(-1))

    def _kept(self, array: Array) -> Array:
        return array if self.real is None else array[self.real]


def steps_that_exist(lengths: Array, steps: int) -> Array:
    """bool [batch, steps] from int [batch]."""
    real: Any = np.arange(steps) < np.asarray(lengths)[:, None]
    return np.asarray(real)
