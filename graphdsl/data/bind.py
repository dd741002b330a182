"""A dataset joined to the inputs and targets of a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace

import numpy as np

from graphdsl.data.augment import Augment
from graphdsl.data.column import Array, Rows
from graphdsl.data.conform import Fitted, Wanted, conform
from graphdsl.data.dataset import Dataset, split
from graphdsl.data.match import match
from graphdsl.data.preprocess import NO_STEPS, Preprocess
from graphdsl.ir import BATCH
from graphdsl.report import Diagnostic, Failed, Span, dataclass, did_you_mean, fail

SMALLEST_BUCKET = 8


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step of the network takes.

    arrays    by input or target, [n, ...]
    lengths   int32 [n] by input or target, for those whose first axis is free: how much of it is real
    sizes     the value of every free size, and of the batch axis (`batch`)
    """

    arrays: Mapping[str, Array]
    lengths: Mapping[str, Array]
    sizes: Mapping[str, int]

    def __len__(self) -> int:
        return self.sizes[str(BATCH)]


@dataclass(frozen=True, eq=False)
class Bound:
    """Columns fitted to a model, and the rows of them that are in use.

    fixed     free sizes that every row shares
    longest   the greatest length of each size that rows differ in: no batch is padded beyond it
    least     what sequences are padded to at least, because the network leaves nothing of shorter ones
    span      where the spec calls the reader
    """

    fitted: tuple[Fitted, ...]
    rows: Rows
    fixed: Mapping[str, int] = field(default_factory=dict)
    longest: Mapping[str, int] = field(default_factory=dict)
    least: Mapping[str, int] = field(default_factory=dict)
    span: Span | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The class names or words behind the numbers, by input or target: what prediction must know again."""
        return {f.wanted.name: f.names for f in self.fitted if f.names}

    def split(self, fraction: float, *, seed: int = 0, shuffle: bool = True) -> tuple[Bound, Bound]:
        """The rows to train on, and those to validate on; see `dataset.split`."""
        train, valid = split(len(self.rows), fraction, seed=seed, shuffle=shuffle)
        return replace(self, rows=self.rows[train]), replace(self, rows=self.rows[valid])

    def take(self, which: Rows, generators: Mapping[str, np.random.Generator] | None = None) -> Batch:
        """The batch of these places in `rows`. With generators (by name) pictures are augmented at random.

        Raises E0507 where a picture cannot be read.
        """
        rows = self.rows[which]
        lengths = {f.wanted.name: f.column.lengths(rows) for f in self.fitted if f.time}
        sizes = {str(BATCH): len(rows), **self._sizes(lengths)}
        arrays = {}
        for fitted in self.fitted:
            name = fitted.wanted.name
            with _located(self.span or fitted.wanted.span):
                arrays[name] = fitted.take(rows, sizes, generators[name] if generators else None)
        return Batch(arrays, lengths, sizes)

    def _sizes(self, lengths: Mapping[str, Array]) -> dict[str, int]:
        """Free sizes of a batch. One name is one size, so inputs that share it are padded alike."""
        sizes = dict(self.fixed)
        for fitted in self.fitted:
            if fitted.time in self.longest:
                needed = bucket(int(lengths[fitted.wanted.name].max(initial=1)))
                sizes[fitted.time] = min(self.longest[fitted.time], max(sizes.get(fitted.time, 1), needed))
        return {name: max(size, self.least.get(name, 0)) for name, size in sizes.items()}


def bucket(length: int) -> int:
    """The size a length is padded to: 8, 12, 16, 24, 32, 48, 64, 96 …, at most half as much again.

    Few distinct sizes matter because the network is planned anew for each.
    """
    size = SMALLEST_BUCKET
    while size < length:
        size = size * 3 // 2 if size & (size - 1) == 0 else size * 4 // 3
    return size


def bind(
    dataset: Dataset,
    wanted: Sequence[Wanted],
    *,
    augments: Mapping[str, tuple[Augment, ...]] | None = None,
    preprocess: Mapping[str, Preprocess] | None = None,
    names: Mapping[str, tuple[str, ...]] | None = None,
    span: Span | None = None,
    spare: bool = False,
    least: Mapping[str, int] | None = None,
) -> Bound:
    """Finds a column for each input and target (`match.py`) and fits it (`conform.py`). All errors are told at once.

    augments   changes to pictures, by input
    preprocess what is done to all samples, by input; names that are none of wanted are left alone
    names      class names and words from training (`Bound.names`): the same names get the same numbers again
    span       where the spec calls the reader
    spare      columns that nothing takes are no error, as in prediction
    least      the smallest number for each free size that the network can take
    Raises E0510 to E0518, and E0507 for pictures that cannot be read.
    """
    found = match(dataset, wanted, span, spare=spare)
    errors = [*found.errors, *_unknown(augments or {}, wanted, span)]
    fitted: list[Fitted] = []
    for want in wanted:
        if want.name not in found.found:
            continue
        column_name, column = found.found[want.name]
        known = (names or {}).get(want.name, ())
        changes = (augments or {}).get(want.name, ())
        steps = (preprocess or {}).get(want.name, NO_STEPS)
        place = dataset.place
        try:
            with _located(span or steps.span or want.span):
                fit = conform(column_name, column, want, place=place, augments=changes, names=known, preprocess=steps)
            fitted.append(fit)
        except Failed as failed:
            errors += failed.diagnostics
    if errors:
        raise Failed(errors)
    fixed, longest = _free_sizes(fitted)
    return Bound(tuple(fitted), np.arange(len(dataset)), fixed, longest, _paddable(fitted, least or {}), span)


@contextmanager
def _located(span: Span | None) -> Iterator[None]:
    """What goes wrong without a place, as with a picture, points at span."""
    try:
        yield
    except Failed as failed:
        raise Failed(replace(d, span=d.span or span) for d in failed.diagnostics) from failed


def _unknown(
    augments: Mapping[str, tuple[Augment, ...]], wanted: Sequence[Wanted], span: Span | None
) -> list[Diagnostic]:
    names = [w.name for w in wanted]
    return [
        Diagnostic("E0518", f"there is no input `{name}` to augment", span, help=did_you_mean(name, names))
        for name in augments
        if name not in names
    ]


def _free_sizes(fitted: Sequence[Fitted]) -> tuple[dict[str, int], dict[str, int]]:
    """Free sizes that all rows share, and the greatest value of those that rows differ in. Raises E0513."""
    ragged = {f.time for f in fitted if f.column.ragged}
    longest = {name: max(f.column.longest() for f in fitted if f.time == name) for name in ragged}
    fixed: dict[str, int] = {}
    for f, axis, name in _free_axes(fitted):
        if axis == 0 and name in longest:
            continue
        have = f.shape[axis] or 0
        if name in longest or fixed.setdefault(name, have) != have:
            raise _conflict(f.wanted, name, have, fixed.get(name, 0))
    return fixed, longest


def _paddable(fitted: Sequence[Fitted], least: Mapping[str, int]) -> dict[str, int]:
    """Of these sizes those that only sequences have, as their first axis: their true lengths go with them."""
    other = {name for f, axis, name in _free_axes(fitted) if axis or len(f.wanted.shape) > 2}
    return {name: size for name, size in least.items() if name not in other}


def _free_axes(fitted: Sequence[Fitted]) -> list[tuple[Fitted, int, str]]:
    return [(f, axis, size) for f in fitted for axis, size in enumerate(f.wanted.shape) if isinstance(size, str)]


def _conflict(wanted: Wanted, name: str, have: int, other: int) -> Failed:
    elsewhere = other or "rows of different lengths"
    message = f"`{name}` is one size, but {wanted.title} has {have} there and other data has {elsewhere}"
    return fail("E0513", message, wanted.span, help="give sizes that differ names that differ")
