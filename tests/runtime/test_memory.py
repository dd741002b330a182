"""Too little memory, and kernels that do not compile: what is said, and who takes over."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from graphdsl.backends import Backend, Kernel, ReferenceBackend
from graphdsl.ir import Array
from graphdsl.passes import apply, inference, training
from graphdsl.report import Failed, fail
from graphdsl.runtime import Compiled, Executor
from tests.support.language import fine
from tests.support.random_graphs import feeds, random_graph
from tests.support.rules import Momentum

RATE = {"train/rate": np.float32(0.05)}


class Small(ReferenceBackend):
    """A machine with little memory."""

    def __init__(self, most: int) -> None:
        self.most = most

    def alloc(self, size: int) -> Array:
        if size > self.most:
            raise MemoryError
        return ReferenceBackend.alloc(self, size)


@pytest.mark.triggers("E0602")
def test_no_memory_for_a_step() -> None:
    compiled = Compiled(apply(random_graph(1), inference()), Executor(Small(1000)))
    with pytest.raises(Failed, match=r"E0602.*no memory for a step: [\d.]+ MiB.*smaller batch"):
        compiled.run(feeds(0, samples=100_000))


@pytest.mark.triggers("E0602")
def test_no_memory_for_the_weights() -> None:
    with pytest.raises(Failed, match=r"E0602.*no memory for the model's weights.*the largest weight is `\S+` \["):
        Compiled(apply(random_graph(1), inference()), Executor(Small(1)))


class Telling(Small):
    """One that knows how little memory it has, and is asked for none that it has not."""

    def spare(self) -> int:
        return self.most

    def alloc(self, size: int) -> Array:
        assert size <= self.most, "not looked at before"
        return Small.alloc(self, size)


@pytest.mark.triggers("E0602")
def test_too_little_memory_is_seen_before_any_is_taken() -> None:
    lines = ("input x: float[100]", "input y: float[10]", "h = x ->", "  dense(50) -> relu")
    spec = "\n".join([*lines, "output z = [h, y] -> concat -> dense(3)"])
    graph = fine(spec).graph
    compiled = Compiled(apply(graph, inference()), Executor(Telling(1 << 20)))
    with pytest.raises(Failed) as caught:
        compiled.run({"x": np.zeros((4000, 100)), "y": np.zeros((4000, 10))})
    (said,) = caught.value.diagnostics
    assert re.fullmatch(
        r"no memory for a step: [\d.]+ MiB on the `reference` backend, which has 1.0 MiB left", said.message
    )
    assert re.fullmatch(
        r"try a smaller batch; the largest values are `x` 1.5 MiB, `\S+` 0.9 MiB \(line 5\), `\S+` 0.8 MiB \(line 4\)",
        said.help,
    )


class Refusing(ReferenceBackend):
    """Whose kernels do not compile, the second time."""

    sequences = 0

    def sequence(self, kernels: Sequence[Kernel]) -> Kernel:
        self.sequences += 1
        if self.sequences > 1:
            raise fail("E0807", "conv.cu does not compile\nand more of it")
        return ReferenceBackend.sequence(self, kernels)


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (lambda: Small(30_000), "device: reference, since there is no memory for a step: "),
        (lambda: Telling(30_000), "device: reference, since there is no memory for a step: "),
        (Refusing, "device: reference, since conv.cu does not compile\n"),
    ],
)
def test_another_backend_takes_over(
    first: Callable[[], Backend], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the middle of training: weights and what optimizers keep go along, and every number is what it would be."""
    second = ReferenceBackend()
    graph = apply(random_graph(1), training(Momentum()))
    changed = Compiled(graph, Executor(first(), second), seed=1)
    plain = Compiled(graph, Executor(ReferenceBackend()), seed=1)
    for samples in (3, 2000, 3):
        fed = {**feeds(samples, samples=samples), **RATE}
        np.testing.assert_equal(changed.run(fed), plain.run(fed))
    assert changed.executor.backend is second
    np.testing.assert_equal(changed.executor.weights.snapshot(), plain.executor.weights.snapshot())
    assert capsys.readouterr().err.startswith(said)


def test_weights_that_are_too_many_begin_on_the_other_backend(capsys: pytest.CaptureFixture[str]) -> None:
    second = ReferenceBackend()
    compiled = Compiled(apply(random_graph(1), inference()), Executor(Small(1), second))
    compiled.run(feeds(0))
    assert compiled.executor.weights.backend is second
    assert "since there is no memory for the model's weights" in capsys.readouterr().err


def test_other_failures_stay_where_they_are() -> None:
    executor = Executor(ReferenceBackend(), ReferenceBackend())
    with pytest.raises(Failed, match="E0601"):
        executor.change(fail("E0601", "a number is not finite"))
