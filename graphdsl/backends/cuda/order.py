"""Which calls must wait for which: read off the memory that they touch.

Memory is planned ahead, so two calls depend on each other where one writes bytes that the other reads or writes:

    call 0   writes a                        waits for nothing
    call 1   writes b                        waits for nothing: it may run beside call 0
    call 2   reads a, b; writes c            waits for 0 and 1
    call 3   writes d over the bytes of a    waits for 2, which reads a; 0 is earlier than 2 and need not be named
"""

from __future__ import annotations

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
    steps: list[Step] = []
    before: list[set[int]] = []
    for number, call in enumerate(calls):
        direct = {n for n in range(number) if _clash(calls[n], call)}
        known = set().union(*(before[n] for n in direct))
        before.append(direct | known)
        steps.append(Step(call.plan.launches, tuple(sorted(direct - known))))
    return steps


def _clash(earlier: Planned, later: Planned) -> bool:
    return (
        _overlap(earlier.outputs, later.inputs)
        or _overlap(earlier.inputs, later.outputs)
        or _overlap(earlier.outputs, later.outputs)
    )


def _overlap(some: Iterable[DeviceArray], others: Iterable[DeviceArray]) -> bool:
    others = tuple(others)
    return any(a.address < b.end and b.address < a.end for a in some for b in others)
