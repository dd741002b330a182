"""Running: nothing is allocated when it has run once, memory is shared, numbers are repeatable."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from graphdsl.backends import NullBackend, ReferenceBackend, backend
from graphdsl.ir import BATCH, Builder, Role, TensorType, symbol
from graphdsl.ops import MatMul, expression, formula
from graphdsl.passes import apply, inference, training
from graphdsl.report import Failed
from graphdsl.runtime import Compiled, Executor
from tests.support.random_graphs import feeds, random_graph
from tests.support.rules import Momentum

ROOT = Path(__file__).parents[2]
RATE = {"train/rate": np.float32(0.05)}


def trained(seed: int, steps: int = 5) -> dict[str, bytes]:
    executor = Executor(ReferenceBackend())
    compiled = Compiled(apply(random_graph(seed), training(Momentum())), executor, seed=seed)
    for number in range(steps):
        compiled.step({**feeds(number), **RATE})
    return {name: array.tobytes() for name, array in executor.weights.items()}


@pytest.mark.parametrize("seed", range(5))
def test_the_same_bits_twice(seed: int) -> None:
    assert trained(seed) == trained(seed)


def test_training_makes_the_loss_smaller() -> None:
    executor = Executor(ReferenceBackend())
    compiled = Compiled(apply(random_graph(2), training(Momentum())), executor)
    losses = [float(compiled.run({**feeds(0), **RATE}, ["loss/total"])["loss/total"]) for _ in range(30)]
    assert losses[-1] < losses[0]


def test_a_step_allocates_nothing() -> None:
    machine = NullBackend()
    compiled = Compiled(apply(random_graph(1), training(Momentum())), Executor(machine))
    given = {**feeds(0), **RATE}
    compiled.step(given)
    asked, made = len(machine.allocated), len(machine.made)
    machine.ran.clear()
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    compiled.step(given)
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    assert (len(machine.allocated), len(machine.made)) == (asked, made)
    assert len(machine.ran) == made
    ours = [
        s for s in after.compare_to(before, "filename") if s.traceback[0].filename.startswith(str(ROOT / "graphdsl"))
    ]
    assert sum(s.size_diff for s in ours) < 2000, "the list of what ran, and dictionaries that are gone at once"


def test_a_smaller_batch_shares_the_arena() -> None:
    machine = NullBackend()
    compiled = Compiled(apply(random_graph(1), training(Momentum())), Executor(machine))
    compiled.step({**feeds(0, samples=64), **RATE})
    asked = len(machine.allocated)
    constants = len(compiled.ready({"batch": 5}).program.constants)
    compiled.step({**feeds(0, samples=5), **RATE})
    assert len(machine.allocated) <= asked + constants


def test_a_larger_batch_moves_the_arena_and_all_still_runs() -> None:
    executor = Executor(ReferenceBackend())
    graph = random_graph(1)
    compiled = Compiled(apply(graph, inference()), executor)
    other = Compiled(apply(graph, inference()), executor)
    first = compiled.run(feeds(0))
    generation = executor.generation
    other.run(feeds(0, samples=500))
    assert executor.generation > generation
    again = compiled.run(feeds(0))
    assert all(np.array_equal(first[key], again[key]) for key in first)


def test_programs_are_made_once() -> None:
    compiled = Compiled(apply(random_graph(1), inference()), Executor(NullBackend()))
    assert compiled.ready({"batch": 3}) is compiled.ready({"batch": 3})
    assert compiled.ready({"batch": 3}) is not compiled.ready({"batch": 4})


def test_results_are_copies() -> None:
    compiled = Compiled(apply(random_graph(1), inference()), Executor(ReferenceBackend()))
    first = compiled.run(feeds(0))["y"]
    kept = first.copy()
    compiled.run(feeds(1))
    assert np.array_equal(first, kept)


def two_sequences() -> Compiled:
    b = Builder()
    shape = TensorType((BATCH, symbol("T"), 2))
    x, y = b.input("x", shape), b.input("y", shape)
    b.result("sum", Role.OUTPUT, formula(b, lambda p, q: p + q, x, y, title="add"))
    return Compiled(b.finish(), Executor(backend("reference")))


def test_free_sizes_come_from_the_arrays() -> None:
    ones = np.ones((2, 5, 2), np.float32)
    assert two_sequences().run({"x": ones, "y": ones, "unused": 3})["sum"].shape == (2, 5, 2)


@pytest.mark.triggers("E0603")
@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"x": (2, 5, 2)}, "nothing is fed to `y`"),
        ({"x": (2, 5, 2), "y": (2, 4, 2)}, r"`y` takes .* \[batch, T, 2\], where batch is 2, T is 5; got \[2, 4, 2\]"),
        ({"x": (2, 5, 3), "y": (2, 5, 3)}, "`x` takes"),
        ({"x": (5, 2), "y": (2, 5, 2)}, "`x` takes"),
    ],
)
def test_inputs_that_do_not_fit(shapes: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(Failed, match=f"E0603.*{message}"):
        two_sequences().run({name: np.ones(shape) for name, shape in shapes.items()})


def test_a_backend_names_the_passes_that_it_wants() -> None:
    class Fusing(ReferenceBackend):
        passes = ("epilogue",)

    b = Builder()
    x = b.input("x", TensorType((2, 3)))
    product = b.emit(MatMul(), x, b.weight("w", (3, 4)))
    b.result("y", Role.OUTPUT, formula(b, expression.tanh, product, title="tanh"))
    compiled = Compiled(b.finish(), Executor(Fusing()))
    assert [node.op.name for _, node in compiled.graph.items()] == ["input", "weight", "fused"]
    assert compiled.run({"x": np.ones((2, 3))})["y"].shape == (2, 4)
