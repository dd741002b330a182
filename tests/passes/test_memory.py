"""The arena: nothing that is alive is overwritten, and little is wasted."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphdsl.ir import Buffer, Fusion, Program, Storage
from graphdsl.passes import MACHINE, apply, for_machine, lower, training
from graphdsl.passes.memory import ALIGNMENT, Block, Plan, aligned, largest_first, most_alive, plan, walk
from tests.support.random_graphs import random_graph
from tests.support.rules import Momentum

LIVES = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 20), st.integers(0, 10)), max_size=25)


@pytest.mark.parametrize("planner", [walk, largest_first, plan])
@settings(deadline=None, max_examples=100)
@given(lives=LIVES)
def test_blocks_that_live_at_once_do_not_overlap(
    planner: Callable[[list[Block]], Plan], lives: list[tuple[int, int, int]]
) -> None:
    blocks = [Block(size, first, first + length) for size, first, length in sorted(lives, key=lambda x: x[1])]
    offsets, total = planner(blocks)
    assert total >= most_alive(blocks)
    places = [(o, o + aligned(b.bytes)) for o, b in zip(offsets, blocks, strict=True)]
    assert all(o % ALIGNMENT == 0 for o in offsets)
    assert all(end <= total for _, end in places)
    for (a, x), (b, y) in combinations(zip(blocks, places, strict=True), 2):
        together = a.first <= b.last and b.first <= a.last
        assert not together or x[1] <= y[0] or y[1] <= x[0]


def test_memory_is_used_again() -> None:
    """A chain needs two blocks, however long it is."""
    _, total = plan([Block(64, i, i + 1) for i in range(100)])
    assert total == 2 * 64


def test_small_blocks_are_kept_apart() -> None:
    """Nothing lies where they lay; large ones are used again."""
    offsets, total = plan([Block(64 if i % 2 else 128, i, i + 1) for i in range(10)], apart=64)
    small = offsets[1::2]
    assert len({*small}) == 5 and total == 128 + 5 * 64
    assert not {*small} & {*offsets[::2], *(o + 64 for o in offsets[::2])}


def test_free_neighbours_join() -> None:
    blocks = [Block(64, 0, 0), Block(64, 0, 0), Block(64, 0, 3), Block(128, 2, 3)]
    offsets, total = walk(blocks)
    assert (offsets[3], total) == (0, 3 * 64)


def test_the_smallest_gap_that_fits_is_taken() -> None:
    blocks = [Block(256, 0, 0), Block(64, 0, 9), Block(128, 0, 0), Block(64, 0, 9), Block(128, 2, 9)]
    offsets, _ = walk(blocks)
    assert offsets[4] == offsets[2]


def test_the_better_of_both_plans_is_taken() -> None:
    """Two small blocks in front leave a gap that is too small for the large one, unless that is placed first."""
    blocks = [Block(64, 0, 1), Block(64, 0, 3), Block(128, 2, 3)]
    assert (walk(blocks)[1], largest_first(blocks)[1], plan(blocks)[1]) == (256, 192, 192)


def test_planning_is_repeatable() -> None:
    random = Random(1)
    blocks = [Block(random.randrange(1000), i, i + random.randrange(9)) for i in range(500)]
    assert plan(blocks) == plan(blocks)


@pytest.mark.parametrize("passes", [(), tuple(MACHINE)], ids=["plain", "machine"])
@pytest.mark.parametrize("seed", range(40))
def test_no_call_overwrites_what_is_still_read(seed: int, passes: tuple[str, ...]) -> None:
    """Replays a program on names: who reads a buffer finds there what was last meant to be there."""
    graph = random_graph(seed, size=20)
    program = lower(apply(graph, (*training(Momentum()), *for_machine(passes))), {"batch": 4})
    _replay(program)


def _replay(program: Program) -> None:
    memory: dict[tuple[str, int], str] = {}
    for buffer in program.buffers:
        if buffer.storage is not Storage.ARENA:
            _fill(memory, buffer, _start(buffer))
    written: dict[str, str] = {}
    for number, call in enumerate(program.calls):
        for index in call.inputs:
            buffer = program.buffers[index]
            expected = written.get(buffer.name, _start(buffer))
            assert _content(memory, buffer) == {expected}, f"{call.name} reads {buffer.name}"
        if call.op.fusion is not Fusion.ELEMENTWISE:
            _demand_apart(program, call.inputs, call.outputs)
        for index in call.outputs:
            buffer = program.buffers[index]
            written[buffer.name] = f"{buffer.name} of call {number}"
            _fill(memory, buffer, written[buffer.name])
    for key, index in program.results.items():
        buffer = program.buffers[index]
        assert _content(memory, buffer) == {written.get(buffer.name, _start(buffer))}, f"the result {key} is gone"


def _demand_apart(program: Program, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
    read = {cell for i in inputs for cell in _cells(program.buffers[i])}
    assert not read & {cell for i in outputs for cell in _cells(program.buffers[i])}


def _start(buffer: Buffer) -> str:
    return f"{buffer.storage} {buffer.key}"


def _cells(buffer: Buffer) -> list[tuple[str, int]]:
    space = str(buffer.storage) if buffer.storage is Storage.ARENA else f"{buffer.storage} {buffer.key}"
    return [(space, buffer.offset + i) for i in range(buffer.bytes)]


def _fill(memory: dict[tuple[str, int], str], buffer: Buffer, content: str) -> None:
    memory.update(dict.fromkeys(_cells(buffer), content))


def _content(memory: dict[tuple[str, int], str], buffer: Buffer) -> set[str]:
    return {memory[cell] for cell in _cells(buffer)}
