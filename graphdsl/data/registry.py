"""The words for data in a spec: readers, and the changes to pictures between reader and network.

An entry is a frozen dataclass whose fields are the settings: `csv("posts.csv", batch=64)` in a spec is
`Csv("posts.csv", batch=64)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np

from graphdsl.data.column import Array, Dense, Labels, Texts
from graphdsl.data.dataset import Dataset, Feed
from graphdsl.data.files import Places
from graphdsl.ir import Count, Flag, Made, Rate, Registry, Words
from graphdsl.report import Diagnostic, Failed, Label, Span, dataclass, did_you_mean, fail

READERS = Registry("reader")


@dataclass(frozen=True, kw_only=True)
class Reader(ABC):
    """Where samples come from, and how they are handed out.

    batch     samples in a step
    valid     the part kept for validation: drawn at random by the seed, or the end when shuffle is off
    test      the part kept for the test, drawn likewise: no epoch sees it
    shuffle   whether each epoch takes the samples in a new order
    limit     only so many samples, the first ones of the source; `valid` and `test` are split off from these
    each      so many samples of a class in every batch that has the class, as `triplet` needs; the batch is a multiple
    together  a column whose equal values are never parted by `valid` and `test`: `together="person"`
    """

    batch: Count = 32
    valid: Rate = 0.0
    shuffle: Flag = True
    limit: Count | None = None
    test: Rate = 0.0
    each: Count | None = None
    together: Words | None = None

    @abstractmethod
    def read(self, places: Places) -> Dataset:
        """The samples. Relative paths are looked up in places. Raises E0501 to E0509 and E0518."""


def read(made: Made, places: Places) -> Feed:
    """What a call of a reader in a spec stands for. Its errors point at that call."""
    try:
        reader: Reader = READERS.build(made)
        if reader.each is not None and (reader.batch % reader.each or reader.batch == reader.each):
            several = "several classes" if reader.batch == reader.each else "its classes"
            message = f"a batch of {reader.batch} cannot have {reader.each} of each of {several}"
            raise fail("E0518", message, help=f"`batch={reader.each * max(2, reader.batch // reader.each)}`")
        kept = reader.valid, reader.shuffle, reader.limit, reader.test, reader.each
        dataset = reader.read(places)
        return Feed(dataset, reader.batch, *kept, together=_groups(dataset, reader.together))
    except Failed as failed:
        raise Failed(_located(d, made.span) for d in failed.diagnostics) from failed


def _groups(dataset: Dataset, name: str | None) -> Array | None:
    """For each row a number that rows share which stay together. Raises E0518 for what is no column of categories."""
    if name is None:
        return None
    column = dataset.columns.get(name)
    values = column.values if isinstance(column, Labels | Dense | Texts) and len(column.shape) in (0, 1) else None
    if values is None or np.ndim(values) != 1:
        help = did_you_mean(name, dataset.columns) or f"it has {dataset.describe()}"
        raise fail("E0518", f"`together` names a column of categories, and `{name}` is none", help=help)
    return np.asarray(np.unique(np.asarray(values), return_inverse=True)[1])


def _located(diagnostic: Diagnostic, span: Span | None) -> Diagnostic:
    """Points at the spec; a place in a data file stays the primary one."""
    if span is None:
        return diagnostic
    if diagnostic.span is None:
        return replace(diagnostic, span=span)
    return replace(diagnostic, labels=(*diagnostic.labels, Label(span, "read here")))
