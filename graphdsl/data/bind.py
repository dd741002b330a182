"""A dataset joined to the inputs and targets of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace

import numpy as np

from graphdsl.data.augment import Augment
from graphdsl.data.boxes import Boxes, as_boxes
from graphdsl.data.column import Array, Rows
from graphdsl.data.conform import Suited, conform
from graphdsl.data.dataset import Dataset
from graphdsl.data.follow import following, in_pictures, located, unknown
from graphdsl.data.match import match
from graphdsl.data.points import Points, as_points
from graphdsl.data.prepare import Prepare, Training, every
from graphdsl.data.preprocess import NO_STEPS, Preprocess, State
from graphdsl.data.vocabulary import Vocabulary
from graphdsl.data.wanted import Wanted
from graphdsl.ir import BATCH
from graphdsl.report import Failed, Span, dataclass, fail

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
    """Columns that suit a model, and the rows of them that are in use.

    fixed     free sizes that every row shares
    longest   the greatest length of each size that rows differ in: no batch is padded beyond it
    least     what sequences are padded to at least, because the network leaves nothing of shorter ones
    span      where the spec calls the reader
    """

    suited: tuple[Suited, ...]
    rows: Rows
    fixed: Mapping[str, int] = field(default_factory=dict)
    longest: Mapping[str, int] = field(default_factory=dict)
    least: Mapping[str, int] = field(default_factory=dict)
    span: Span | None = None
    states: Mapping[str, State] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The class names behind the numbers, by input or target: what prediction must know again."""
        return {f.wanted.name: f.names for f in self.suited if f.names}

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        """What numbers made of texts stand for, by input or target."""
        return {f.wanted.name: f.words for f in self.suited if f.words is not None}

    @property
    def labels(self) -> Rows:
        """The class of each row, by the only target that is a class. Raises E0518 where there is none, or several."""
        found = [f for f in self.suited if f.wanted.role == "target" and f.wanted.classes and not f.wanted.shape]
        if len(found) != 1:
            message = f"`each` takes samples by their class, and {len(found)} targets are classes"
            raise fail("E0518", message, self.span, help="declare one: `target person: int(40)`")
        return np.asarray(found[0].column.take(self.rows), np.int64)

    def only(self, which: Rows) -> Bound:
        """These places in `rows`: those to train on, say, or those to validate on."""
        return replace(self, rows=self.rows[which])

    def first(self, count: int | None) -> Bound:
        """The first so many of the rows; None: all."""
        return self if count is None else replace(self, rows=self.rows[:count])

    def take(self, which: Rows, generators: Mapping[str, np.random.Generator] | None = None) -> Batch:
        """The batch of these places in `rows`. With generators (by name) pictures are augmented at random.

        Raises E0507 where a picture cannot be read.
        """
        rows = self.rows[which]
        lengths = {f.wanted.name: f.column.lengths(rows) for f in self.suited if f.time}
        sizes = {str(BATCH): len(rows), **self._sizes(lengths)}
        arrays = {}
        for column in self.suited:
            name = column.wanted.name
            with located(self.span or column.wanted.span):
                arrays[name] = column.take(rows, sizes, generators[name] if generators else None)
        return Batch(arrays, lengths, sizes)

    def _sizes(self, lengths: Mapping[str, Array]) -> dict[str, int]:
        """Free sizes of a batch. One name is one size, so inputs that share it are padded alike."""
        sizes = dict(self.fixed)
        for column in self.suited:
            if column.time in self.longest:
                needed = bucket(int(lengths[column.wanted.name].max(initial=1)))
                sizes[column.time] = min(self.longest[column.time], max(sizes.get(column.time, 1), needed))
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
    states: Mapping[str, State] | None = None,
    training: Training = every,
    span: Span | None = None,
    spare: bool = False,
    least: Mapping[str, int] | None = None,
) -> Bound:
    """Finds a column for each input and target (`match.py`), prepares it (`prepare.py`) and fits it (`conform.py`).
    All errors are told at once.

    augments   changes to pictures, by input
    preprocess what is done to all samples, by input or target; names that are none of wanted are left alone
    names      class names from training (`Bound.names`): the same names get the same numbers again
    states     what steps of preprocess have learned in training (`Bound.states`)
    training   which rows are trained on, of how many: what has not been learned is learned from them
    span       where the spec calls the reader
    spare      columns that nothing takes are no error, as in prediction
    least      the smallest number for each free size that the network can take
    Raises E0508, E0510 to E0518 and E0520, and E0507 for pictures that cannot be read.
    """
    found = match(dataset, wanted, span, spare=spare)
    errors = [*found.errors, *unknown(augments or {}, wanted, span)]
    steps = preprocess or {}
    by_name = {want.name: want for want in wanted}
    prepare = Prepare(found.found, by_name, steps, dict(states or {}), dataset.place, training)
    suited: list[Suited] = []
    for want in [want for want in wanted if want.name in found.found]:
        own = steps.get(want.name, NO_STEPS).span
        try:
            with located(span or own or want.span):
                suited.append(_suited(want, prepare, (augments or {}).get(want.name, ()), names or {}))
        except Failed as failed:
            errors += [d for d in failed.diagnostics if d not in errors]
    if errors:
        raise Failed(errors)
    suited = following(suited)
    fixed, longest = _free_sizes(suited)
    rows, least = np.arange(prepare.count), _paddable(suited, least or {})
    return Bound(tuple(suited), rows, fixed, longest, least, span, prepare.states)


def _suited(
    want: Wanted, prepare: Prepare, augments: tuple[Augment, ...], names: Mapping[str, tuple[str, ...]]
) -> Suited:
    """The column for want, prepared and checked."""
    column, steps, words = prepare.of(want.name)
    name, known = prepare.columns[want.name][0], names.get(want.name, ())
    column = as_boxes(column) if want.boxes else as_points(column) if want.points else column
    if isinstance(column, Boxes):
        column = in_pictures(column, prepare)
    if isinstance(column, Points):
        column = in_pictures(column, prepare)
    made = conform(name, column, want, place=prepare.place, augments=augments, names=known, preprocess=steps)
    return replace(made, words=words)


def _free_sizes(suited: Sequence[Suited]) -> tuple[dict[str, int], dict[str, int]]:
    """Free sizes that all rows share, and the greatest value of those that rows differ in. Raises E0513."""
    ragged = {f.time for f in suited if f.column.ragged}
    longest = {name: max(f.column.longest() for f in suited if f.time == name) for name in ragged}
    fixed: dict[str, int] = {}
    for f, axis, name in _free_axes(suited):
        if axis == 0 and name in longest:
            continue
        have = f.shape[axis] or 0
        if name in longest or fixed.setdefault(name, have) != have:
            raise _conflict(f.wanted, name, have, fixed.get(name, 0))
    return fixed, longest


def _paddable(suited: Sequence[Suited], least: Mapping[str, int]) -> dict[str, int]:
    """Of these sizes those that only sequences have, as their first axis: their true lengths go with them."""
    other = {name for f, axis, name in _free_axes(suited) if axis or len(f.wanted.shape) > 2}
    return {name: size for name, size in least.items() if name not in other}


def _free_axes(suited: Sequence[Suited]) -> list[tuple[Suited, int, str]]:
    return [(f, axis, size) for f in suited for axis, size in enumerate(f.wanted.shape) if isinstance(size, str)]


def _conflict(wanted: Wanted, name: str, have: int, other: int) -> Failed:
    elsewhere = other or "rows of different lengths"
    message = f"`{name}` is one size, but {wanted.title} has {have} there and other data has {elsewhere}"
    return fail("E0513", message, wanted.span, help="give sizes that differ names that differ")
