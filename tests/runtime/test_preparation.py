"""When kernels make anew what they keep of weights: after every change from outside the program, and only then."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from graphdsl.backends import Kernel, ReferenceBackend
from graphdsl.ir import Builder, Graph, Role, TensorType, Zeros
from graphdsl.ops import formula
from graphdsl.runtime import Compiled, Executor

ONES = {"x": np.ones(2)}


class Counting(ReferenceBackend):
    """Counts how often it prepares."""

    def __init__(self) -> None:
        self.prepared = 0

    def preparation(self, kernels: Sequence[Kernel]) -> Kernel:
        def prepare() -> None:
            self.prepared += 1

        return prepare


def _graph(build: Callable[[Builder], None]) -> Graph:
    b = Builder()
    build(b)
    return b.finish()


def _reads(b: Builder) -> None:
    x, w = b.input("x", TensorType((2,))), b.weight("w", (2,), Zeros())
    b.result("y", Role.OUTPUT, formula(b, lambda w, x: w + x, w, x, title="add"))


def _writes(b: Builder) -> None:
    w = b.weight("w", (2,), Zeros())
    b.update(w, formula(b, lambda w: w + 1, w, title="next"))


def test_weights_are_prepared_again_after_they_change() -> None:
    machine = Counting()
    executor = Executor(machine)
    use, learn = Compiled(_graph(_reads), executor), Compiled(_graph(_writes), executor)
    use.run(ONES)
    use.run(ONES)
    assert machine.prepared == 1
    learn.step({})
    learn.step({})
    assert machine.prepared == 2
    assert use.run(ONES)["y"].tolist() == [3, 3]
    assert machine.prepared == 3
    executor.weights["w"] = np.zeros(2)
    assert use.run(ONES)["y"].tolist() == [1, 1]
    assert machine.prepared == 4


def test_what_is_made_of_weights_alone_is_made_when_they_change() -> None:
    b = Builder()
    w, x = b.weight("w", (2,), Zeros()), b.input("x", TensorType((2,)))
    folded = formula(b, lambda w: w * w + 1, w, title="fold")
    b.result("y", Role.OUTPUT, formula(b, lambda f, x: f * x, folded, x, title="use"))
    b.result("folded", Role.OUTPUT, folded)
    executor = Executor(ReferenceBackend())
    use, other = Compiled(b.finish(), executor), Compiled(_graph(_writes), executor)
    ready = use.ready({"batch": 1})
    assert [call.name for call, _ in ready.steps[: ready.program.once]] == ["fold"]
    assert use.run(ONES)["y"].tolist() == [1, 1]
    for value in (2, 3):
        executor.weights["w"] = np.full(2, value)
        assert use.run(ONES)["y"].tolist() == use.run(ONES)["folded"].tolist() == [value**2 + 1] * 2
    other.step({})
    assert use.run(ONES)["y"].tolist() == [17, 17]
