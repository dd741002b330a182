"""When kernels make anew what they keep of weights: after every change from outside the program, and only then."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from graphdsl.backends import Kernel, ReferenceBackend
from graphdsl.ir import Builder, Graph, Role, Zeros
from graphdsl.ops import formula
from graphdsl.runtime import Compiled, Executor


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
    b.result("y", Role.OUTPUT, formula(b, lambda w: w + 1, b.weight("w", (2,), Zeros()), title="next"))


def _writes(b: Builder) -> None:
    w = b.weight("w", (2,), Zeros())
    b.update(w, formula(b, lambda w: w + 1, w, title="next"))


def test_weights_are_prepared_again_after_they_change() -> None:
    machine = Counting()
    executor = Executor(machine)
    use, learn = Compiled(_graph(_reads), executor), Compiled(_graph(_writes), executor)
    use.run({})
    use.run({})
    assert machine.prepared == 1
    learn.step({})
    learn.step({})
    assert machine.prepared == 2
    assert use.run({})["y"].tolist() == [3, 3]
    assert machine.prepared == 3
    executor.weights["w"] = np.zeros(2)
    assert use.run({})["y"].tolist() == [1, 1]
    assert machine.prepared == 4
