"""Steps on streams: every wait of a step is kept, by the order of a stream or by events, and no more than is needed."""

from __future__ import annotations

import random

import pytest

from graphdsl.backends.cuda.streams import Schedule, schedule


def ended_before(made: Schedule) -> list[set[int]]:
    """For each step, those that are certain to have ended when it begins; at last, when all streams have joined."""
    certain: list[set[int]] = []
    streams: list[set[int]] = [set() for _ in range(made.streams)]
    for number, placed in enumerate(made.placed):
        before = streams[placed.stream].union(*({n} | certain[n] for n in placed.waits))
        certain.append(before)
        streams[placed.stream] = before | {number}
    return [*certain, streams[0].union(*({n} | certain[n] for n in made.joins)) if streams else set()]


def test_the_drawing() -> None:
    made = schedule([(), (0,), (0,), (2,), (1, 3)], 4)
    assert [(p.stream, p.waits) for p in made.placed] == [(0, ()), (0, ()), (1, (0,)), (1, ()), (0, (3,))]
    assert made.signals == {0, 3}
    assert made.joins == (3,)


@pytest.mark.parametrize("most", [1, 2, 3, 8])
@pytest.mark.parametrize("seed", range(40))
def test_whatever_must_wait_waits(most: int, seed: int) -> None:
    rng = random.Random(seed)
    count = rng.randrange(1, 30)
    after = [tuple(rng.sample(range(i), min(i, rng.randrange(4)))) for i in range(count)]
    made = schedule(after, most)
    assert made.streams <= most
    assert {p.stream for p in made.placed} == set(range(made.streams))
    *certain, end = ended_before(made)
    for needed, has in zip(after, certain, strict=True):
        assert has.issuperset(needed)
    assert end == set(range(count))
    assert made.signals == set(made.joins).union(*(p.waits for p in made.placed))


@pytest.mark.parametrize("seed", range(40))
def test_no_wait_is_superfluous(seed: int) -> None:
    rng = random.Random(seed)
    after = [tuple(rng.sample(range(i), min(i, rng.randrange(4)))) for i in range(20)]
    made = schedule(after, 3)
    certain = ended_before(made)
    last: dict[int, int] = {}
    for number, placed in enumerate(made.placed):
        tail = last.get(placed.stream)
        ways = [set() if tail is None else certain[tail] | {tail}, *({n} | certain[n] for n in placed.waits)]
        for wait in placed.waits:
            assert not any(wait in way for way in ways if way is not ways[1 + placed.waits.index(wait)])
        last[placed.stream] = number


def test_a_chain_needs_one_stream_and_no_event() -> None:
    made = schedule([(), (0,), (1,), (2,)], 8)
    assert made.streams == 1
    assert not made.signals
    assert made.joins == ()


def test_independent_steps_take_streams_while_there_are_any() -> None:
    made = schedule([()] * 5, 3)
    assert [p.stream for p in made.placed] == [0, 1, 2, 0, 1]
    assert made.joins == (4, 2)


def test_branches_side_by_side() -> None:
    """A diamond of two chains: one fork, one join."""
    made = schedule([(), (0,), (0,), (1,), (2,), (3, 4)], 8)
    assert made.streams == 2
    assert sum(len(p.waits) for p in made.placed) == 2


def test_a_finished_branch_gives_its_stream_back() -> None:
    """Two forks, one after the other, take no more streams than one."""
    made = schedule([(), (0,), (0,), (1, 2), (3,), (3,), (4, 5)], 8)
    assert made.streams == 2


def test_nothing_to_do() -> None:
    assert schedule([], 4) == Schedule((), frozenset(), (), 0)
