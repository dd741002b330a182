"""Times of what runs on a GPU: runs of steps between two synchronisations, in turns A B A B; launches by events."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch

from tests.benchmarks.timing import Step, quartiles

RUN = 0.02
"""Seconds of steps between two synchronisations: many where they are short, so that waiting for the end is nothing."""

FEWEST, MOST = 5, 2_000
STEPS = 50
"""Of each side, at least."""

EVENT = 0.004
"""Seconds of launches between two events."""


@dataclass(frozen=True)
class GpuDuel:
    """Milliseconds a step of two sides: first quartile, median, third over the runs. ratio: ours / peer, likewise."""

    ours: tuple[float, float, float]
    peer: tuple[float, float, float]
    ratio: tuple[float, float, float]
    steps: int


def duel(ours: Step, peer: Step, synchronize: Step, rounds: int, seconds: float = RUN) -> GpuDuel:
    """Both in turns, each for as many steps as take so many seconds, and at least STEPS in all rounds together."""
    counts = [length(side, synchronize, seconds, rounds) for side in (ours, peer)]
    gc.collect()
    pairs = [(run(ours, counts[0], synchronize), run(peer, counts[1], synchronize)) for _ in range(rounds)]
    mine, theirs = zip(*pairs, strict=True)
    return GpuDuel(_quartiles(mine), _quartiles(theirs), _quartiles([a / b for a, b in pairs]), min(counts) * rounds)


def alone(step: Step, synchronize: Step, rounds: int, seconds: float = RUN) -> tuple[float, float, float]:
    """Milliseconds a step, as quartiles."""
    count = length(step, synchronize, seconds, rounds)
    return _quartiles([run(step, count, synchronize) for _ in range(rounds)])


def run(step: Step, count: int, synchronize: Step) -> float:
    """Milliseconds a step of so many, begun when nothing runs, until all are done."""
    synchronize()
    start = perf_counter()
    for _ in range(count):
        step()
    synchronize()
    return 1e3 * (perf_counter() - start) / count


def length(step: Step, synchronize: Step, seconds: float, rounds: int) -> int:
    """How many steps a run has. Warms the side up."""
    run(step, FEWEST, synchronize)
    each = run(step, FEWEST, synchronize) / 1e3
    least = max(FEWEST, -(-STEPS // rounds))
    return max(least, min(MOST, round(seconds / max(each, 1e-9))))


def kernel_us(launch: Callable[[], object], rounds: int = 9, seconds: float = EVENT) -> float:
    """Microseconds of one of many launches on PyTorch's stream, by events: the median of the rounds."""
    for _ in range(3):
        launch()
    count = 4
    while (spent := _between(launch, count)) < 1e3 * seconds / 4 and count < MOST:
        count *= 4
    count = max(3, min(MOST, round(count * 1e3 * seconds / max(spent, 1e-6))))
    return 1e3 * statistics.median(_between(launch, count) / count for _ in range(rounds))


def _between(launch: Callable[[], object], count: int) -> float:
    """Milliseconds of so many launches. Without a GPU, where only the way there is tried, by the clock."""
    if not torch.cuda.is_available():
        return run(launch, count, lambda: None) * count
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    for _ in range(count):
        launch()
    last.record()
    last.synchronize()
    return float(first.elapsed_time(last))


def _quartiles(numbers: tuple[float, ...] | list[float]) -> tuple[float, float, float]:
    return quartiles(list(numbers))
