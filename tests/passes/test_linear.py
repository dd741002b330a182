"""The time of every stage grows with the size of the graph and no faster. Calls are counted, not seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from graphdsl.ir import Builder, Graph, Place, Role, TensorType
from graphdsl.ops import expression, formula, reshape, sum_over
from graphdsl.passes import MACHINE, apply, for_machine, lower, training
from tests.support.rules import Momentum


def net(layers: int) -> Graph:
    """A chain with a weight and a formula a layer, and a skip over every second one."""
    b = Builder()
    x = b.input("x", TensorType((8, 4)))
    for i in range(layers):
        with b.within(Place(path=f"layer_{i}", weights=f"layer_{i}")):
            y = formula(b, lambda p, w: expression.tanh(p * w), x, b.weight("w", (4,)), title="layer")
            total = reshape(b, sum_over(b, y, (1,), keep=True), (8, 1))
            x = formula(b, lambda p, q, r: p + q - r, x, y, total, title="skip")
    b.result("loss", Role.LOSS, sum_over(b, x, (0, 1)))
    return b.finish()


def calls(work: Callable[[], object]) -> int:
    """How many functions, Python's and C's, work calls."""
    count = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_every_stage_is_linear() -> None:
    growth: dict[str, list[int]] = {}
    for layers in (40, 160):
        graph = net(layers)
        for stage in (*training(Momentum()), *for_machine(MACHINE)):
            growth.setdefault(stage.name, []).append(calls(lambda s=stage, g=graph: s.run(g)))  # type: ignore[misc]
            graph = apply(graph, [stage])
        growth.setdefault("lower", []).append(calls(lambda g=graph: lower(g, {})))  # type: ignore[misc]
    slow = {name: large / small for name, (small, large) in growth.items() if large > 4.6 * small}
    assert not slow
