"""Two sides timed in turns A B A B in one process, so that whatever else the machine does meets both."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, sleep

Step = Callable[[], object]

BURST = 0.1
"""Seconds of steps of one side before it is the other's turn."""

PAUSE = 0.03
"""Seconds between the turns: threads of one side that still spin would take the cores from the other."""

MOST = 20_000


@dataclass(frozen=True)
class Duel:
    """What two sides took.

    ours, peer  milliseconds a step: the median over the rounds of each round's median
    ratio       ours / peer: the median over the rounds of each round's ratio
    quartiles   of these ratios, the first and the third
    """

    ours: float
    peer: float
    ratio: float
    quartiles: tuple[float, float]


def duel(ours: Step, peer: Step, rounds: int, burst: float = BURST) -> Duel:
    """Times both in turns. Each turn lasts about `burst` seconds, and at least one step."""
    counts = [pace(side, burst) for side in (ours, peer)]
    gc.collect()
    pairs = []
    for _ in range(rounds):
        pairs.append(tuple(turn(side, count) for side, count in zip((ours, peer), counts, strict=True)))
    ratios = [a / b for a, b in pairs]
    first, middle, third = quartiles(ratios)
    times = [1e3 * statistics.median(side) for side in zip(*pairs, strict=True)]
    return Duel(times[0], times[1], middle, (first, third))


def turn(step: Step, count: int) -> float:
    """The median of the seconds of so many steps, after a pause."""
    sleep(PAUSE)
    found = []
    for _ in range(count):
        start = perf_counter()
        step()
        found.append(perf_counter() - start)
    return statistics.median(found)


def pace(step: Step, burst: float = BURST) -> int:
    """How many steps take about so many seconds; warms the side up."""
    step()
    count = 1
    while True:
        start = perf_counter()
        for _ in range(count):
            step()
        spent = perf_counter() - start
        if spent >= burst / 4 or count >= MOST:
            return max(1, min(MOST, round(count * burst / spent)))
        count *= 4


def alone(step: Step, rounds: int, burst: float = BURST) -> float:
    """Milliseconds a step with nothing beside it: the median of the rounds' medians."""
    count = pace(step, burst)
    return 1e3 * statistics.median(turn(step, count) for _ in range(rounds))


def quartiles(numbers: list[float]) -> tuple[float, float, float]:
    """The first quartile, the median and the third; all the same where there is one number."""
    if len(numbers) == 1:
        return numbers[0], numbers[0], numbers[0]
    first, middle, third = statistics.quantiles(numbers, n=4, method="inclusive")
    return first, middle, third
