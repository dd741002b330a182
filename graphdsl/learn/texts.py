"""How good texts are that were read off frames: how many edits make them right.

An edit puts a character in, takes one out, or changes one. A text that was decoded ends where -1 stands; the truth is
as long as the batch says.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import ClassVar

import numpy as np

from graphdsl.ir import Array, Natural
from graphdsl.learn.metrics import Metric, metric
from graphdsl.learn.reading import Pair, Reading
from graphdsl.report import dataclass

Text = Sequence[object]


class OfTexts(Metric):
    """A metric of decoded texts: what each text counts, over what all of them count."""

    higher: ClassVar[bool] = False
    readings: ClassVar[tuple[Reading, ...]] = (Reading.TEXT,)

    @abstractmethod
    def counted(self, said: list[int], true: list[int]) -> tuple[int, int]:
        """Of one text: what is wrong (or right) with it, and what it counts."""

    def observe(self, pair: Pair) -> Array:
        counts = [self.counted(said, true) for said, true in _texts(pair)]
        return np.asarray(np.array(counts, np.float64).reshape(-1, 2).sum(axis=0))

    def value(self, observed: Array) -> float:
        part, whole = observed
        return float(part / whole) if whole else float("nan")


@metric("edit_distance")
@dataclass(frozen=True)
class EditDistance(OfTexts):
    """How many edits a text needs to be right, on average: characters put in, taken out, or changed.

    The prediction is a text that `ctc_greedy` or `ctc_beam` has read. Source: Levenshtein 1966.
    """

    def counted(self, said: list[int], true: list[int]) -> tuple[int, int]:
        return edits(said, true), 1


@metric("character_error_rate")
@dataclass(frozen=True)
class CharacterErrorRate(OfTexts):
    """Edits that all texts need together, over the characters of the true ones. It may be above 1.

    The prediction is a text that `ctc_greedy` or `ctc_beam` has read.
    """

    def counted(self, said: list[int], true: list[int]) -> tuple[int, int]:
        return edits(said, true), len(true)


@metric("word_error_rate")
@dataclass(frozen=True)
class WordErrorRate(OfTexts):
    """Words put in, taken out or changed to make all texts right, over the words of the true ones.

    space   the number of the class that stands between words: its place in the alphabet, counted from 0

    The prediction is a text that `ctc_greedy` or `ctc_beam` has read.
    """

    space: Natural

    def counted(self, said: list[int], true: list[int]) -> tuple[int, int]:
        words = self._words(true)
        return edits(self._words(said), words), len(words)

    def _words(self, text: list[int]) -> list[tuple[int, ...]]:
        return [tuple(part) for space, part in groupby(text, lambda k: k == self.space) if not space]


@metric("sequence_accuracy")
@dataclass(frozen=True)
class SequenceAccuracy(OfTexts):
    """The part of the texts that is right from the first character to the last.

    The prediction is a text that `ctc_greedy` or `ctc_beam` has read.
    """

    higher: ClassVar[bool] = True

    def counted(self, said: list[int], true: list[int]) -> tuple[int, int]:
        return int(said == true), 1


def edits(said: Text, true: Text) -> int:
    """The fewest edits that make one text the other."""
    row = list(range(len(true) + 1))
    for i, mine in enumerate(said):
        before, row = row, [i + 1]
        for j, own in enumerate(true):
            row.append(min(before[j] + (mine != own), before[j + 1] + 1, row[j] + 1))
    return row[-1]


def _texts(pair: Pair) -> Iterator[tuple[list[int], list[int]]]:
    """What was said and what is true, sample by sample."""
    for i, (said, true) in enumerate(zip(pair.prediction, pair.target, strict=True)):
        real = true if pair.real is None else true[pair.real[i]]
        yield said[said >= 0].tolist(), real.tolist()
