"""Pictures that a network makes while it is trained: the same samples and the same noise each time, so that one sees it
learn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from graphdsl.ir import Array, Graph, Result, Role, Value
from graphdsl.learn.feed import Feeder, Feeds
from graphdsl.learn.machine import IN_USE, counter
from graphdsl.learn.picture_files import as_bytes, enlarged, grid, png
from graphdsl.ops import COUNTER
from graphdsl.passes import apply, inference
from graphdsl.runtime import SAMPLES, Compiled, Executor

SHOWN = "tap/shown"


class Gallery:
    """Draws tensors of a spec as they are in use. feeds: of the section, whose samples are shown."""

    def __init__(self, whole: Graph, executor: Executor, feeder: Feeder, feeds: Feeds, seed: int) -> None:
        self._whole = whole
        self._executor = executor
        self._feeder = feeder
        self._feeds = feeds
        self._seed = seed
        self._graphs: dict[Value, Compiled] = {}

    def png(self, tensor: Value, rows: int, columns: int) -> bytes:
        """The first rows * columns samples of a tensor of pictures from 0 to 1, or the one that it is, as a file."""
        if tensor not in self._graphs:
            shown = self._whole.with_results([Result("shown", Role.TAP, tensor)])
            self._graphs[tensor] = Compiled(apply(shown, inference()), self._executor)
        made = self._graphs[tensor]
        if not tensor.type.batched:
            return png(as_bytes(made.run({COUNTER: self._counter(0)})[SHOWN]))
        return png(grid(enlarged(as_bytes(self._samples(made, rows * columns))), columns))

    def _samples(self, made: Compiled, count: int) -> Array:
        parts: list[Array] = []
        for number, fed in enumerate(self._fed(made, count)):
            parts.append(made.run({**fed, COUNTER: self._counter(number)})[SHOWN])
            if sum(map(len, parts)) >= count:
                break
        return np.concatenate(parts)[:count]

    def _fed(self, made: Compiled, count: int) -> Iterator[dict[str, Any]]:
        """Samples to validate on, or else to test on, or else of the first epoch; none where only noise is read."""
        if set(made.inputs) <= {COUNTER}:
            yield {SAMPLES: count}
            return
        for batch in (self._feeds.valid or self._feeds.test or self._feeds.train).epoch(0):
            yield self._feeder.feed(batch)

    def _counter(self, number: int) -> int:
        return counter(self._seed, IN_USE + number)
