"""Which calls must wait for which: read off the memory that they touch.

Memory is planned ahead, so two calls depend on each other where one writes bytes that the other reads or writes:

    call 0   writes a                        waits for nothing
    call 1   writes b                        waits for nothing: it may run beside call 0
    call 2   reads a, b; writes c            waits for 0 and 1
    call 3   writes d over the bytes of a    waits for 2, which reads a; 0 is earlier than 2 and need not be named
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Protocol

from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.launch import Plan, Step


class Planned(Protocol):
    """A call with its arrays and its launches."""

    @property
    def inputs(self) -> tuple[DeviceArray, ...]: ...
    @property
    def outputs(self) -> tuple[DeviceArray, ...]: ...
    @property
    def plan(self) -> Plan: ...


def steps_of(calls: Sequence[Planned]) -> list[Step]:
    """The calls in their order, each with the latest of those that it must wait for."""
    direct = _direct(calls)
    before = _ended(direct)
    return [Step(call.plan.launches, _latest(d, before)) for call, d in zip(calls, direct, strict=True)]


def ended(calls: Sequence[Planned]) -> list[int]:
    """For each call the earlier ones that must have ended before it begins: bit n is call n."""
    return _ended(_direct(calls))


def _direct(calls: Sequence[Planned]) -> list[set[int]]:
    """Those whose last word on some bytes each call must wait for."""
    stretches = _Stretches(a for call in calls for a in (*call.inputs, *call.outputs))
    writers: dict[int, int] = {}
    readers: dict[int, list[int]] = {}
    found: list[set[int]] = []
    for number, call in enumerate(calls):
        read = {s for a in call.inputs for s in stretches.of(a)}
        written = {s for a in call.outputs for s in stretches.of(a)}
        direct = {writers[s] for s in read | written if s in writers}
        found.append(direct | {reader for s in written for reader in readers.get(s, ())})
        for s in written:
            writers[s], readers[s] = number, []
        for s in read - written:
            readers.setdefault(s, []).append(number)
    return found


def _ended(direct: Sequence[set[int]]) -> list[int]:
    found: list[int] = []
    for numbers in direct:
        found.append(_bits(numbers, found))
    return found


def _bits(direct: Iterable[int], ended: Sequence[int]) -> int:
    """All that has ended when these have."""
    bits = 0
    for n in direct:
        bits |= ended[n] | 1 << n
    return bits


def _latest(direct: set[int], ended: Sequence[int]) -> tuple[int, ...]:
    """Those that no other of them waits for."""
    known = 0
    for n in direct:
        known |= ended[n]
    return tuple(sorted(n for n in direct if not known >> n & 1))


class _Stretches:
    """Memory cut wherever an array begins or ends: arrays meet exactly where they have a stretch in common."""

    def __init__(self, arrays: Iterable[DeviceArray]) -> None:
        self._cuts = sorted({cut for a in arrays if a.nbytes for cut in (a.address, a.end)})

    def of(self, array: DeviceArray) -> range:
        """The numbers of the stretches that the array covers."""
        if not array.nbytes:
            return range(0)
        return range(bisect_left(self._cuts, array.address), bisect_left(self._cuts, array.end))
