"""Pass: where in one stretch of memory every value lies.

All memory of a program is one arena, planned here and allocated once. A block of it is lived in from the call that
fills it to the last call that reads it; blocks whose lives overlap must not overlap in space:

    offset   0        64              192
    call 0   [ x.1    ]
    call 1   [ x.1    ][ conv         ]
    call 2             [ conv         ]   relu is written over conv (in place: see `lower`)
    call 3   [ pool           ][ conv ]

Two planners. The first walks through the calls once. A new block takes the free stretch that fits best (the smallest
that is large enough, the lowest of these); a block that dies joins the free stretches beside it. Free stretches are
kept sorted by size, so the walk is n log n. The second places the largest block first, each as low as it can among
those it lives together with. It packs tighter where few blocks fill the memory (a network in use), and is quadratic:
it is asked for programs of at most MOST_SORTED blocks for which the walk needs more than the most that is ever alive.

Where calls may run at the same time, memory that is used again makes one wait for another which it has nothing to do
with. So a machine may ask that small blocks are never used again: all of them together are little.

Assumes  blocks in the order of their first call.
Gives    an offset for every block, each a multiple of ALIGNMENT, and the size of the arena.
Leaves   which values share a block (views, in place) to `lower`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from itertools import accumulate

from graphdsl.report import dataclass

ALIGNMENT = 64
"""Bytes: a cache line, and what the widest vector instructions want."""


@dataclass(slots=True)
class Block:
    """A stretch of the arena. It is in use from call first to call last, both included."""

    bytes: int
    first: int
    last: int


MOST_SORTED = 1000

Plan = tuple[list[int], int]


def plan(blocks: Sequence[Block], apart: int = 0) -> Plan:
    """Offsets of the blocks and the bytes of the arena that holds them. apart: bytes of a block up to which nothing
    else ever lies where it lay."""
    end = max((b.last for b in blocks), default=0)
    blocks = [Block(b.bytes, b.first, end) if b.bytes <= apart else b for b in blocks]
    walked = walk(blocks)
    if walked[1] == most_alive(blocks) or len(blocks) > MOST_SORTED:
        return walked
    return min(walked, largest_first(blocks), key=lambda found: found[1])


def most_alive(blocks: Sequence[Block]) -> int:
    """The bytes that any plan needs."""
    change = [0] * (max((b.last for b in blocks), default=0) + 2)
    for block in blocks:
        change[block.first] += aligned(block.bytes)
        change[block.last + 1] -= aligned(block.bytes)
    return max(accumulate(change))


def largest_first(blocks: Sequence[Block]) -> Plan:
    """Each block, the largest first, at the lowest place that no block of its time has."""
    offsets = [0] * len(blocks)
    placed: list[tuple[int, int, Block]] = []
    for index in sorted(range(len(blocks)), key=lambda i: (-blocks[i].bytes, i)):
        block = blocks[index]
        beside = [(low, high) for low, high, b in placed if b.first <= block.last and block.first <= b.last]
        offsets[index] = _lowest(aligned(block.bytes), beside)
        insort(placed, (offsets[index], offsets[index] + aligned(block.bytes), block), key=lambda p: p[0])
    return offsets, max((high for _, high, _ in placed), default=0)


def _lowest(size: int, taken: list[tuple[int, int]]) -> int:
    """Where a stretch of this size begins that meets none of those taken, which are sorted."""
    start = 0
    for low, high in taken:
        if start + size <= low:
            break
        start = max(start, high)
    return start


def walk(blocks: Sequence[Block]) -> Plan:
    """Call by call: a new block takes the free stretch that fits best."""
    ends: dict[int, list[int]] = {}
    offsets = [0] * len(blocks)
    free = _Free()
    clock = 0
    for index, block in enumerate(blocks):
        assert block.first >= clock, "blocks come in the order of their first call"
        for dead in [d for call in range(clock, block.first) for d in ends.pop(call, ())]:
            free.give(offsets[dead], aligned(blocks[dead].bytes))
        clock = block.first
        offsets[index] = free.take(aligned(block.bytes))
        ends.setdefault(block.last, []).append(index)
    return offsets, free.top


def aligned(size: int) -> int:
    """size rounded up; nothing takes no room at all, so that empty values have a place too."""
    return max(-(-size // ALIGNMENT), 1) * ALIGNMENT


class _Free:
    """The free stretches below top."""

    def __init__(self) -> None:
        self.top = 0
        self._sizes: list[tuple[int, int]] = []
        self._starts: dict[int, int] = {}
        self._ends: dict[int, int] = {}

    def take(self, size: int) -> int:
        """The start of a stretch of this size; the arena grows where none is free, upon its free end if it has one."""
        place = bisect_left(self._sizes, (size, 0))
        if place < len(self._sizes):
            found, start = self._sizes[place]
            self._remove(start, found)
            self._add(start + size, found - size)
            return start
        start = self._ends.get(self.top, self.top)
        if start < self.top:
            self._remove(start, self.top - start)
        self.top = start + size
        return start

    def give(self, start: int, size: int) -> None:
        """A stretch is free again; it joins its free neighbours."""
        if start in self._ends:
            before = self._ends[start]
            self._remove(before, start - before)
            start, size = before, size + start - before
        after = self._starts.get(start + size)
        if after is not None:
            self._remove(start + size, after)
            size += after
        self._add(start, size)

    def _add(self, start: int, size: int) -> None:
        if size:
            insort(self._sizes, (size, start))
            self._starts[start] = size
            self._ends[start + size] = start

    def _remove(self, start: int, size: int) -> None:
        self._sizes.pop(bisect_left(self._sizes, (size, start)))
        del self._starts[start], self._ends[start + size]
