"""Named columns of equal length, and what a reader gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType

import numpy as np

from graphdsl.data.column import Array, Column, Rows
from graphdsl.report import dataclass, fail

INPUT = "input"
TARGET = "target"

MOST_LISTED = 8
"""Columns whose lengths a message tells one by one; of more, one of each length."""


@dataclass(frozen=True)
class Dataset:
    """Columns by name, in the order the source has them.

    roles     "input" or "target" for columns whose place is known without their name: these may bind by position
    optional  columns that a model may leave alone: the label of a picture is of no use to an autoencoder
    origin    the file or folder, for messages; empty for arrays from Python
    lines     the line of each row in that file, where there is such a thing
    overlap   of rows that follow each other, as windows of one text do: how many later rows share something with a row;
              None: rows have no order
    Raises E0508 (no rows) and E0509 (columns of different length).
    """

    columns: Mapping[str, Column]
    roles: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    optional: frozenset[str] = frozenset()
    origin: str = ""
    lines: tuple[int, ...] = ()
    overlap: int | None = None

    def __post_init__(self) -> None:
        source = f"`{self.origin}`" if self.origin else "the data"
        sizes = {name: len(column) for name, column in self.columns.items()}
        if len(set(sizes.values())) > 1:
            example = {size: name for name, size in reversed(sizes.items())}
            told = [n for n in sizes if len(sizes) <= MOST_LISTED or example[sizes[n]] == n][:MOST_LISTED]
            listed = ", ".join(f"`{name}` {sizes[name]}" for name in told)
            raise fail(
                "E0509",
                f"the columns of {source} differ in length: {listed}",
                help="every row needs a value in every column",
            )
        if not any(sizes.values()):
            raise fail("E0508", f"{source} has no rows", help="there must be at least one sample")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def place(self, row: int) -> str:
        """A row as people find it again: `posts.csv:18` or `row 16`, counted from 0."""
        return f"{self.origin}:{self.lines[row]}" if self.lines else f"row {row}"

    def describe(self) -> str:
        """The columns and what each holds, in one line."""
        return ", ".join(f"`{name}` ({column.describe()})" for name, column in self.columns.items())


@dataclass(frozen=True)
class Feed:
    """A dataset and how a spec wants it handed out.

    together  a number for each row; rows of one number stay together when parts are split off
    """

    dataset: Dataset
    batch: int = 32
    valid: float = 0.0
    shuffle: bool = True
    limit: int | None = None
    test: float = 0.0
    each: int | None = None
    together: Array | None = None

    def parts(self, count: int, seed: int) -> tuple[Rows, Rows, Rows]:
        """Of so many rows those to train on, to validate on, and to test on. Raises E0518 as `split` does."""
        overlap = self.dataset.overlap
        shuffle, gap = self.shuffle and overlap is None, overlap or 0
        kept = count if self.limit is None else min(count, self.limit)
        if self.valid + self.test >= 1:
            raise fail("E0518", f"`valid={self.valid:g}` and `test={self.test:g}` leave nothing to train on")
        share = self.valid / (1 - self.test)
        if self.together is not None:
            groups = self.together[:kept]
            rest, test = split_groups(groups, self.test, "test", seed=seed, shuffle=shuffle)
            train, valid = split_groups(groups[rest], share, seed=seed, shuffle=shuffle)
            return rest[train], rest[valid], test
        rest, test = split(kept, self.test, "test", seed=seed, shuffle=shuffle, gap=gap)
        train, valid = split(len(rest), share, seed=seed, shuffle=shuffle, gap=gap)
        return rest[train], rest[valid], test


def split(
    count: int, fraction: float, name: str = "valid", *, seed: int = 0, shuffle: bool = True, gap: int = 0
) -> tuple[Rows, Rows]:
    """Row numbers to train on and to judge by, both ascending; the same for the same arguments.

    The part split off, called by name, is drawn at random, or is the end when shuffle is off (what comes later in time
    must not be trained on), less so many rows before it as gap says. It has round(count * fraction) rows. Raises E0518
    when either part would be empty.
    """
    size = round(count * fraction)
    gap = gap if fraction else 0
    if fraction and not 0 < size < count - gap:
        left, verb = max(0, count - size - gap), "test" if name == "test" else "validate"
        raise fail("E0518", f"`{name}={fraction:g}` of {count} rows leaves {size} to {verb} and {left} to train on")
    order = np.random.default_rng([seed, 1]).permutation(count) if shuffle else np.arange(count)
    return np.sort(order[: count - size - gap]), np.sort(order[count - size :])


def split_groups(
    groups: Array, fraction: float, name: str = "valid", *, seed: int = 0, shuffle: bool = True
) -> tuple[Rows, Rows]:
    """As `split`, with rows of one group on one side: groups are split off, as many as the fraction says of them."""
    known, first = np.unique(groups, return_index=True)
    _, off = split(len(known), fraction, name, seed=seed, shuffle=shuffle)
    chosen = np.isin(groups, known[np.argsort(first, kind="stable")][off])
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)
