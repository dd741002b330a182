"""The order in which rows are seen."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

import numpy as np

from graphdsl.data.bind import Batch, Bound
from graphdsl.data.column import Rows
from graphdsl.data.prefetch import prefetch
from graphdsl.report import dataclass


@dataclass(frozen=True, eq=False)
class Batches:
    """Bound data, cut into batches.

    shuffle    a new order each epoch, which seed and epoch alone decide
    training   augmentation at random; else pictures are taken as validation takes them
    drop_last  leaves out the last batch when it is smaller
    ahead      how many batches are made in advance by a thread; 0: none
    each       so many samples of a class together; of a class that has fewer some are taken again, and what is left
               over of one that has more waits for another epoch
    """

    bound: Bound
    batch: int = 32
    shuffle: bool = False
    training: bool = False
    seed: int = 0
    drop_last: bool = False
    ahead: int = 2
    each: int | None = None

    def __len__(self) -> int:
        """How many batches an epoch has."""
        count = len(self.bound) if self.each is None else len(self._alike(self.each, 0))
        whole, rest = divmod(count, self.batch)
        return whole + (1 if rest and not self.drop_last else 0)

    def order(self, epoch: int) -> Rows:
        """Places in `bound.rows` in the order of an epoch."""
        if self.each is not None:
            return self._alike(self.each, epoch)
        count = len(self.bound)
        return np.random.default_rng([self.seed, 2, epoch]).permutation(count) if self.shuffle else np.arange(count)

    def _alike(self, each: int, epoch: int) -> Rows:
        """Groups of rows of one class, in an order that seed and epoch decide."""
        labels, generator = self.bound.labels, np.random.default_rng([self.seed, 2, epoch])
        groups: list[Rows] = []
        for label in np.unique(labels):
            rows = generator.permutation(np.flatnonzero(labels == label))
            whole = max(1, len(rows) // each)
            groups += np.split(np.resize(rows, whole * each), whole)
        return np.concatenate([groups[i] for i in generator.permutation(len(groups))])

    def epoch(self, number: int = 0, *, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from batch `start` on, as when an epoch is resumed. Raises E0507."""
        return prefetch(lambda: self._make(number, start), self.ahead)

    def _make(self, epoch: int, start: int) -> Iterator[Batch]:
        order = self.order(epoch)
        for i in range(start, len(self)):
            generators = self._generators(epoch, i) if self.training else None
            yield self.bound.take(order[i * self.batch : (i + 1) * self.batch], generators)

    def _generators(self, epoch: int, batch: int) -> dict[str, np.random.Generator]:
        """One for each input, so that adding one does not change what the others see; boxes see what pictures do."""
        names = {column.wanted.name: column.drawn_as for column in self.bound.suited}
        seeds = {name: [self.seed, 3, epoch, batch, crc32(drawn.encode())] for name, drawn in names.items()}
        return {name: np.random.default_rng(seed) for name, seed in seeds.items()}
