"""Flat formulas run together: momentum and step of a weight in one pass, all weights in one step.

A formula is flat where each operand has as many elements as the result, or one. A program is arranged anew before it
becomes a table:

    backward 1, momentum 1, sgd 1, backward 2, momentum 2, sgd 2
    backward 1, backward 2, [momentum 1, sgd 1 | momentum 2, sgd 2]        one step, two chains

1. What nothing else in the program reads waits, as long as nobody overwrites what it reads or touches what it writes.
2. Neighbouring flat formulas become chains: formulas over the same elements, where they share what is written.
3. Chains that do not wait for each other become one step.

All of it is decided by the addresses that calls read and write.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from typing import Protocol

import numpy as np

from graphdsl.backends.axes import Lying
from graphdsl.backends.cpu.formula import Bound, bound
from graphdsl.backends.cpu.task import Machine, Step, Task, address, i64, pointer
from graphdsl.ir import Array, Call
from graphdsl.ops import Elementwise, Formulas
from graphdsl.report import dataclass

SERIAL_ELEMENTS = 8192
"""Elements times formulas up to which one thread is as fast as several."""

Span = tuple[int, int]
"""From the first byte of an array to behind its last."""


class chains_task(Task):  # the struct's name in C
    _fields_ = (("formulas", address), ("chains", address), ("count", i64), ("elements", i64))


class Made(Protocol):
    """A call with its arrays, ready to run."""

    @property
    def call(self) -> Call: ...

    @property
    def inputs(self) -> Sequence[Array]: ...

    @property
    def outputs(self) -> Sequence[Array]: ...


@dataclass(frozen=True)
class Together:
    """Calls, by their number, that become these steps."""

    members: tuple[int, ...]
    steps: tuple[Step, ...]


def arranged(calls: Sequence[Made], machine: Machine) -> list[int | Together]:
    """The calls in the order in which they run, by number; flat formulas together."""
    flat = [_is_flat(made) for made in calls]
    order: list[int | Together] = []
    run: list[int] = []
    for index in (*_deferred(calls, flat), None):
        if index is not None and flat[index]:
            run.append(index)
            continue
        order += _together(calls, run, machine) if len(run) > 1 else run
        run = []
        if index is not None:
            order.append(index)
    return order


def _is_flat(made: Made) -> bool:
    if not isinstance(made.call.op, Elementwise | Formulas) or not made.inputs:
        return False
    result = made.outputs[0]
    return all(a.dtype == np.float32 for a in made.outputs) and all(
        (a.shape == result.shape and a.dtype == np.float32)
        or (a.size == 1 and a.ndim <= result.ndim and a.dtype in (np.float32, np.bool_))
        for a in made.inputs
    )


def span(array: Array) -> Span:
    start = pointer(array)
    return start, start + array.nbytes


@dataclass
class _Spans:
    """A growing set of stretches of memory, each with a number."""

    starts: Array = field(default_factory=lambda: np.empty(64, np.int64))
    ends: Array = field(default_factory=lambda: np.empty(64, np.int64))
    numbers: Array = field(default_factory=lambda: np.empty(64, np.int64))
    size: int = 0

    def add(self, span: Span, number: int = 0) -> None:
        if self.size == len(self.starts):
            self.starts, self.ends, self.numbers = (
                np.resize(a, 2 * self.size) for a in (self.starts, self.ends, self.numbers)
            )
        self.starts[self.size], self.ends[self.size] = span
        self.numbers[self.size] = number
        self.size += 1

    def meeting(self, span: Span) -> Array:
        """The places of those that overlap with span."""
        return np.flatnonzero((self.starts[: self.size] < span[1]) & (self.ends[: self.size] > span[0]))

    def clear(self) -> None:
        self.size = 0


# --- order -----------------------------------------------------------------------------------------------------------


def _deferred(calls: Sequence[Made], flat: Sequence[bool]) -> list[int]:
    """All calls by number, those that may wait as late as they may."""
    may_wait = _last(calls, flat)
    order: list[int] = []
    waiting: list[int] = []
    read, written = _Spans(), _Spans()
    for index, made in enumerate(calls):
        if may_wait[index]:
            waiting.append(index)
            _note(made, read, written)
            continue
        if waiting and _disturbs(made, read, written):
            order += waiting
            waiting = []
            read.clear()
            written.clear()
        order.append(index)
    return order + waiting


def _last(calls: Sequence[Made], flat: Sequence[bool]) -> list[bool]:
    """Which flat formulas nobody reads afterwards but others of their kind."""
    read = _Spans()
    found = [False] * len(calls)
    for index in range(len(calls) - 1, -1, -1):
        made = calls[index]
        found[index] = flat[index] and not any(len(read.meeting(span(a))) for a in made.outputs)
        for array in () if found[index] else made.inputs:
            read.add(span(array))
    return found


def _note(made: Made, read: _Spans, written: _Spans, number: int = 0) -> None:
    for array in made.inputs:
        read.add(span(array), number)
    for array in made.outputs:
        written.add(span(array), number)


def _disturbs(made: Made, read: _Spans, written: _Spans) -> bool:
    """Whether a call reads what waiting ones write, or writes what they read or write."""
    return any(len(written.meeting(span(a))) for a in (*made.inputs, *made.outputs)) or any(
        len(read.meeting(span(a))) for a in made.outputs
    )


# --- chains ----------------------------------------------------------------------------------------------------------


@dataclass
class _Chain:
    """members: calls by number; after: chains that run before."""

    size: int
    members: list[int]
    after: set[int] = field(default_factory=set)


class _Chains:
    """Flat calls as chains, made by adding one call after the other.

    chains  by the number of their first member
    home    of each call its chain
    """

    def __init__(self) -> None:
        self.chains: dict[int, _Chain] = {}
        self.home: dict[int, int] = {}
        self.read, self.written = _Spans(), _Spans()

    def add(self, index: int, made: Made) -> None:
        """Puts a call into the chains that it shares elements with, which become one, or begins another."""
        size = made.outputs[0].size
        before, apart = self._before(made, size)
        joined = {c for c in before - apart if self.chains[c].size == size}
        if self._waits({*before, *(a for c in joined for a in self.chains[c].after)} - joined, joined):
            joined = set()
        own = min(joined, default=index)
        parts = [self.chains.pop(c) for c in joined]
        members = sorted([index, *(m for part in parts for m in part.members)])
        self.chains[own] = _Chain(size, members, before.union(*(part.after for part in parts)) - joined)
        self.home |= dict.fromkeys(members, own)
        for other in self.chains.values():
            other.after = (other.after - joined) | {own} if other.after & joined else other.after
        _note(made, self.read, self.written, index)

    def _before(self, made: Made, size: int) -> tuple[set[int], set[int]]:
        """The chains that must run before made, and those of them that share memory with it otherwise than element by
        element."""
        before: set[int] = set()
        apart: set[int] = set()
        for array, spans, place in self._meetings(made):
            chain = self.home[int(spans.numbers[place])]
            before.add(chain)
            same = (int(spans.starts[place]), int(spans.ends[place])) == span(array)
            if not same or array.size != size:
                apart.add(chain)
        return before, apart

    def _meetings(self, made: Made) -> Iterator[tuple[Array, _Spans, int]]:
        """Where made reads what was written, or writes what was read or written."""
        for array in (*made.inputs, *made.outputs):
            yield from ((array, self.written, place) for place in self.written.meeting(span(array)))
        for array in made.outputs:
            yield from ((array, self.read, place) for place in self.read.meeting(span(array)))

    def _waits(self, some: Iterable[int], goals: set[int]) -> bool:
        """Whether any of some runs after one of goals."""
        waiting, seen = list(some), set(some)
        while waiting:
            after = self.chains[waiting.pop()].after
            if after & goals:
                return True
            waiting += after - seen
            seen |= after
        return False

    def levels(self) -> list[list[_Chain]]:
        """The chains in groups: those of one wait for none of them."""
        levels: list[list[_Chain]] = []
        waiting = dict(self.chains)
        while waiting:
            ready = [c for c, chain in waiting.items() if chain.after.isdisjoint(waiting)]
            assert ready, "chains are not joined where they would wait for each other"
            levels.append([waiting.pop(c) for c in ready])
        return levels


def _together(calls: Sequence[Made], run: Sequence[int], machine: Machine) -> list[int | Together]:
    chains = _Chains()
    for index in run:
        chains.add(index, calls[index])
    order: list[int | Together] = []
    for level in chains.levels():
        members = tuple(m for chain in level for m in chain.members)
        order.append(Together(members, (_step(calls, level, machine),)) if len(members) > 1 else members[0])
    return order


def _step(calls: Sequence[Made], chains: Sequence[_Chain], machine: Machine) -> Step:
    formulas: list[Bound] = []
    rows: list[int] = []
    elements = 0
    for chain in chains:
        rows += [len(formulas), len(chain.members), elements, chain.size]
        formulas += [_flat(calls[m], chain.size, machine) for m in chain.members]
        elements += chain.size
    table = (address * len(formulas))(*(ctypes.addressof(f.task) for f in formulas))
    numbers = (ctypes.c_int64 * len(rows))(*rows)
    task = chains_task(ctypes.addressof(table), ctypes.addressof(numbers), len(chains), elements)
    task.keeps = (table, numbers, formulas)
    work = sum(chain.size * len(chain.members) for chain in chains)
    return machine.step("run_chains", task, serial=work <= SERIAL_ELEMENTS)


def _flat(made: Made, size: int, machine: Machine) -> Bound:
    op, arrays = made.call.op, [*made.inputs, *made.outputs]
    assert isinstance(op, Elementwise | Formulas)
    lying = [Lying(0, 1 if a.size == size and a.dtype == np.float32 else 0) for a in arrays]
    found = bound(machine.library, op, arrays, lying, size)
    assert found is not None, "flat formulas are over floats"
    return found
