"""The words for data in a spec: readers, and the changes to pictures between reader and network.

An entry is a frozen dataclass whose fields are the settings: `csv("posts.csv", batch=64)` in a spec is
`Csv("posts.csv", batch=64)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

from graphdsl.data.dataset import Dataset, Feed
from graphdsl.data.files import Places
from graphdsl.ir import Count, Flag, Made, Rate, Registry
from graphdsl.report import Diagnostic, Failed, Label, Span, dataclass, fail

READERS = Registry("reader")


@dataclass(frozen=True, kw_only=True)
class Reader(ABC):
    """Where samples come from, and how they are handed out.

    batch    samples in a step
    valid    the part kept for validation: drawn at random by the seed, or the end when shuffle is off
    test     the part kept for the test, drawn likewise: no epoch sees it
    shuffle  whether each epoch takes the samples in a new order
    limit    only so many samples, the first ones of the source; `valid` and `test` are split off from these
    each     so many samples of a class in every batch that has the class, as `triplet` needs; the batch is a multiple
    """

    batch: Count = 32
    valid: Rate = 0.0
    shuffle: Flag = True
    limit: Count | None = None
    test: Rate = 0.0
    each: Count | None = None

    @abstractmethod
    def read(self, places: Places) -> Dataset:
        """The samples. Relative paths are looked up in places. Raises E0501 to E0509 and E0518."""


def read(made: Made, places: Places) -> Feed:
    """What a call of a reader in a spec stands for. Its errors point at that call."""
    try:
        reader: Reader = READERS.build(made)
        if reader.each is not None and reader.batch % reader.each:
            message = f"a batch of {reader.batch} cannot have {reader.each} of each of its classes"
            raise fail("E0518", message, help=f"`batch={reader.each * max(2, reader.batch // reader.each)}`")
        kept = reader.valid, reader.shuffle, reader.limit, reader.test, reader.each
        return Feed(reader.read(places), reader.batch, *kept)
    except Failed as failed:
        raise Failed(_located(d, made.span) for d in failed.diagnostics) from failed


def _located(diagnostic: Diagnostic, span: Span | None) -> Diagnostic:
    """Points at the spec; a place in a data file stays the primary one."""
    if span is None:
        return diagnostic
    if diagnostic.span is None:
        return replace(diagnostic, span=span)
    return replace(diagnostic, labels=(*diagnostic.labels, Label(span, "read here")))
