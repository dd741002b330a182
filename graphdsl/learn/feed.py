"""What training needs of data, and how a batch becomes what a graph takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol

import numpy as np

from graphdsl.ir import BATCH, Array, Dim, evaluate, names_of
from graphdsl.lang import Spec
from graphdsl.learn.plan import Watch
from graphdsl.learn.reading import Pair, Reading, steps_that_exist
from graphdsl.report import dataclass, fail
from graphdsl.runtime import SAMPLES


class Batch(Protocol):
    """Samples for one step: arrays and true lengths by input or target."""

    @property
    def arrays(self) -> Mapping[str, Array]: ...

    @property
    def lengths(self) -> Mapping[str, Array]: ...

    @property
    def sizes(self) -> Mapping[str, int]: ...


class Batches(Protocol):
    """Samples, cut into batches; the same order for the same epoch."""

    def __len__(self) -> int: ...

    def epoch(self, number: int = 0, *, start: int = 0) -> Iterator[Batch]: ...


@dataclass(frozen=True)
class Feeds:
    """The data of one section."""

    train: Batches
    valid: Batches | None = None
    test: Batches | None = None


@dataclass(frozen=True)
class NoBatch:
    """A step of a graph that reads nothing: what is learned is the picture itself."""

    arrays: Mapping[str, Array] = field(default_factory=dict)
    lengths: Mapping[str, Array] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=lambda: {str(BATCH): 1})


@dataclass(frozen=True)
class NoData:
    """As many empty steps an epoch as `steps` says."""

    steps: int

    def __len__(self) -> int:
        return self.steps

    def epoch(self, number: int = 0, *, start: int = 0) -> Iterator[NoBatch]:
        return (NoBatch() for _ in range(start, self.steps))


class Feeder:
    """Turns batches into what the graphs of a spec take."""

    def __init__(self, spec: Spec) -> None:
        ports = {**spec.inputs, **spec.targets}
        self._types = {name: port.type for name, port in ports.items()}

    def feed(self, batch: Batch) -> dict[str, Any]:
        """The arrays, and the lengths of each free dimension: those of the samples, or else its size.

        Raises E0513 where two that share one differ.
        """
        fed: dict[str, Any] = {**batch.arrays, SAMPLES: batch.sizes[str(BATCH)]}
        for name, lengths in batch.lengths.items():
            key = f"{LENGTHS_OF}{self._types[name].shape[1]}"
            if not np.array_equal(fed.setdefault(key, lengths), lengths):
                raise _differ(name, str(self._types[name].shape[1]))
        count = batch.sizes[str(BATCH)]
        whole = {
            f"{LENGTHS_OF}{n}": np.full(count, size, np.int32) for n, size in batch.sizes.items() if n != str(BATCH)
        }
        return {**whole, **fed}


LENGTHS_OF = "lengths/"


def pair(watch: Watch, results: Mapping[str, Array], fed: Mapping[str, Any]) -> Pair:
    """What a metric counts in one step."""
    prediction = results[f"tap/{watch.name}/prediction"]
    target = results[f"tap/{watch.name}/target"]
    sizes = watch.target.type.shape
    decisions = sizes[:-1] if watch.reading is Reading.ONE_HOT else sizes
    return Pair(watch.reading, prediction, target, _real(decisions, target.shape, fed))


def _real(sizes: Sequence[Dim], shape: tuple[int, ...], fed: Mapping[str, Any]) -> Array | None:
    """Which decisions exist, along axes of these sizes; None where nothing is padded."""
    lengths = [_lengths(size, fed) for size in sizes]
    if all(n is None for n in lengths):
        return None
    real = np.ones(shape[:1], bool)
    for axis in range(1, len(sizes)):
        own = lengths[axis]
        exist = np.ones((1, shape[axis]), bool) if own is None else steps_that_exist(own, shape[axis])
        real = real[..., None] & exist.reshape(-1, *(1,) * (axis - 1), shape[axis])
    return real


def _lengths(size: Dim, fed: Mapping[str, Any]) -> Array | None:
    """How many steps of each sample are real along an axis of this size; None where all are."""
    names = sorted(names_of(size))
    if len(names) != 1 or f"{LENGTHS_OF}{names[0]}" not in fed:
        return None
    lengths = np.asarray(fed[f"{LENGTHS_OF}{names[0]}"], np.int64)
    return np.asarray(np.maximum(evaluate(size, {names[0]: lengths}), 0))


def _differ(name: str, free: str) -> Exception:
    return fail(
        "E0513",
        f"`{free}` is one length, but in one sample `{name}` is longer or shorter than what shares `{free}` with it",
        help="give lengths that differ names that differ: `float[T, 8]` and `float[U, 8]`",
    )
