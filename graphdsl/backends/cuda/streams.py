"""Steps on streams: which stream each step takes, and which events it waits for.

A stream runs its steps in order, so a step that follows one of those it must wait for needs no event. Others are waited
for by events, and only where that is not known already:

    step 0                     stream 0
    step 1  after 0            stream 0
    step 2  after 0            stream 1   waits for 0
    step 3  after 2            stream 1
    step 4  after 1, 3         stream 0   waits for 3

A step continues a stream whose last step it must wait for, directly or not; else it takes a stream of its own while
there are any left, else the one whose last step is the earliest. Steps are taken in their order, which is one in which
they can run.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphdsl.report import dataclass

NONE = -1


@dataclass(frozen=True)
class Placed:
    """Where a step runs.

    stream  its number
    waits   earlier steps, on other streams, whose events it waits for
    """

    stream: int
    waits: tuple[int, ...]


@dataclass(frozen=True)
class Schedule:
    """What runs where.

    placed    of every step
    signals   steps that leave an event, since another stream waits for them
    joins     the last steps of the other streams, which stream 0 waits for in the end, known or not: CUDA wants to see
              every stream come back, and nothing is slower for it
    streams   how many there are; those but the first begin by waiting for the first
    """

    placed: tuple[Placed, ...]
    signals: frozenset[int]
    joins: tuple[int, ...]
    streams: int


def schedule(after: Sequence[Sequence[int]], most: int) -> Schedule:
    """after: for each step, earlier ones that must have ended. most: streams that there may be."""
    last: list[int] = []
    known: list[list[int]] = []
    placed: list[Placed] = []
    for number, needed in enumerate(after):
        seen = _latest(needed, placed, known, most)
        stream = _stream(needed, placed, last, seen, most)
        if stream == len(last):
            last.append(NONE)
        before = known[last[stream]] if last[stream] != NONE else [NONE] * most
        waits = _waits(needed, placed, known, before)
        seen = [max(a, b) for a, b in zip(seen, before, strict=True)]
        seen[stream] = last[stream] = number
        known.append(seen)
        placed.append(Placed(stream, waits))
    joins = tuple(last[1:])
    return Schedule(tuple(placed), frozenset(joins).union(*(p.waits for p in placed)), joins, len(last))


def _latest(needed: Sequence[int], placed: Sequence[Placed], known: Sequence[Sequence[int]], most: int) -> list[int]:
    """For each stream the latest of its steps that have ended when those needed have; known says it of a step."""
    return [max((known[n][stream] for n in needed), default=NONE) for stream in range(most)]


def _stream(
    needed: Sequence[int], placed: Sequence[Placed], last: Sequence[int], seen: Sequence[int], most: int
) -> int:
    """The first stream whose latest step is needed; else one whose steps have ended anyway; else a new one."""
    direct = [placed[n].stream for n in needed if last[placed[n].stream] == n]
    if direct:
        return min(direct)
    ended = [stream for stream, step in enumerate(last) if seen[stream] == step]
    if ended:
        return ended[0]
    return len(last) if len(last) < most else min(range(most), key=lambda stream: last[stream])


def _waits(
    needed: Sequence[int], placed: Sequence[Placed], known: Sequence[Sequence[int]], before: Sequence[int]
) -> tuple[int, ...]:
    """Those of the needed steps that have to be waited for by one that comes after `before`: the latest of each stream,
    unless another of them has waited for it."""
    open_ = [n for n in set(needed) if before[placed[n].stream] < n]
    return tuple(sorted(n for n in open_ if not any(m != n and known[m][placed[n].stream] >= n for m in open_)))
