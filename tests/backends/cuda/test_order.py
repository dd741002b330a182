"""Which calls wait for which, from nothing but the bytes that they touch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.launch import Plan
from graphdsl.backends.cuda.order import steps_of

NOTHING = Plan(())


@dataclass(frozen=True)
class Touching:
    """A call that reads and writes stretches of bytes."""

    inputs: tuple[DeviceArray, ...]
    outputs: tuple[DeviceArray, ...]
    plan: Plan = NOTHING


def bytes_at(first: int, end: int) -> DeviceArray:
    return DeviceArray(None, first, (end - first,), np.dtype(np.uint8))


def call(reads: str = "", writes: str = "") -> Touching:
    """Letters stand for ten bytes each."""
    places = [tuple(bytes_at(10 * ord(c), 10 * ord(c) + 10) for c in letters) for letters in (reads, writes)]
    return Touching(*places)


@pytest.mark.parametrize(
    ("calls", "after"),
    [
        ([call("", "a"), call("", "b"), call("ab", "c"), call("", "a")], [(), (), (0, 1), (2,)]),
        ([call("", "a"), call("a", "b"), call("a", "c"), call("bc", "d")], [(), (0,), (0,), (1, 2)]),
        ([call("a", "b"), call("c", "d")], [(), ()]),
        ([call("", "a"), call("", "a"), call("", "a")], [(), (0,), (1,)]),
    ],
)
def test_what_waits_for_what(calls: list[Touching], after: list[tuple[int, ...]]) -> None:
    assert [step.after for step in steps_of(calls)] == after


def test_a_byte_in_common_is_enough() -> None:
    first = Touching((), (bytes_at(0, 17),))
    assert steps_of([first, Touching((bytes_at(16, 20),), ())])[1].after == (0,)
    assert steps_of([first, Touching((bytes_at(17, 20),), ())])[1].after == ()


letters = st.text(alphabet="abcdef", max_size=3)


@given(st.lists(st.tuples(letters, letters), max_size=12))
def test_all_that_clash_are_in_order(touched: list[tuple[str, str]]) -> None:
    """However calls are named that must wait, every earlier call that clashes has ended before."""
    steps = steps_of([call(*one) for one in touched])
    ended: list[set[int]] = []
    for step in steps:
        ended.append(set(step.after).union(*(ended[n] for n in step.after)))
    for later, (reads, writes) in enumerate(touched):
        for earlier in range(later):
            others_read, others_wrote = touched[earlier]
            clash = set(others_wrote) & set(reads + writes) or set(others_read) & set(writes)
            assert not clash or earlier in ended[later]
