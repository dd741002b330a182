"""What training needs of data, and how a batch becomes what a graph takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from graphdsl.ir import BATCH, Array, Symbolic, TensorType, evaluate
from graphdsl.lang import Spec
from graphdsl.learn.plan import Watch
from graphdsl.learn.reading import Pair, steps_that_exist
from graphdsl.report import fail


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
        """The arrays, and the lengths of each free dimension. Raises E0513 where two that share one differ."""
        fed: dict[str, Any] = dict(batch.arrays)
        for name, lengths in batch.lengths.items():
            key = f"{LENGTHS_OF}{self._types[name].shape[1]}"
            if not np.array_equal(fed.setdefault(key, lengths), lengths):
                raise _differ(name, str(self._types[name].shape[1]))
        return fed


LENGTHS_OF = "lengths/"


def pair(watch: Watch, results: Mapping[str, Array], fed: Mapping[str, Any]) -> Pair:
    """What a metric counts in one step."""
    prediction = results[f"tap/{watch.name}/prediction"]
    target = results[f"tap/{watch.name}/target"]
    return Pair(watch.reading, prediction, target, _real(watch.target.type, target.shape, fed))


def _real(type: TensorType, shape: tuple[int, ...], fed: Mapping[str, Any]) -> Array | None:
    """Which steps exist; None where the first axis is not free or nothing is padded."""
    first = type.shape[1] if type.rank > 1 else 0
    if not isinstance(first, Symbolic) or len(first.names) != 1:
        return None
    (free,) = first.names
    lengths = fed.get(f"{LENGTHS_OF}{free}")
    if lengths is None:
        return None
    return steps_that_exist(np.maximum(evaluate(first, {free: np.asarray(lengths, np.int64)}), 0), shape[1])


def _differ(name: str, free: str) -> Exception:
    return fail(
        "E0513",
        f"`{free}` is one length, but in one sample `{name}` is longer or shorter than what shares `{free}` with it",
        help="give lengths that differ names that differ: `float[T, 8]` and `float[U, 8]`",
    )
