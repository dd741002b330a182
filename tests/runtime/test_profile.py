"""Looking between the calls of a step."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends import backend
from graphdsl.ir import BATCH, OPERATORS, Builder, DType, Place, Role, TensorType
from graphdsl.ops import expression, formula, sum_over
from graphdsl.passes import apply, training
from graphdsl.report import Failed, Source, Span
from graphdsl.runtime import Compiled, Executor, by_operator, find_nonfinite, profile
from tests.support.random_graphs import feeds, random_graph
from tests.support.rules import Momentum

SOURCE = Source("net.dag", "x -> log")


def logarithm() -> Compiled:
    """Trains w so that log(x * w) is small: x = 0 gives infinity."""
    b = Builder()
    x = b.input("x", TensorType((BATCH, 2)))
    with b.within(Place(path="log", spans=(Span(SOURCE, 5, 8),))):
        made = formula(b, lambda p, w: expression.log(p * p), x, b.weight("w", (2,)), title="log")
        total = sum_over(b, formula(b, lambda p, w: p * w, made, b.weight("v", (2,)), title="times"), (0, 1))
    b.result("loss", Role.LOSS, total)
    return Compiled(apply(b.finish(), training(Momentum())), Executor(backend("reference")))


BAD = {"x": np.array([[1, 0]], np.float32), "train/rate": np.float32(0.1)}


def test_a_step_that_went_wrong_changes_no_weight() -> None:
    compiled = logarithm()
    before = compiled.executor.weights["v"]
    assert not np.isfinite(compiled.run(BAD)["loss/total"])
    assert np.array_equal(compiled.executor.weights["v"], before)
    assert all(np.isfinite(array).all() for array in compiled.executor.weights.values())


@pytest.mark.triggers("E0601")
def test_the_first_bad_number_is_found() -> None:
    compiled = logarithm()
    compiled.run(BAD)
    with pytest.raises(Failed, match=r"net.dag:1:6: error\[E0601\]: `log/\w+` is not finite: .* of \d+ numbers"):
        find_nonfinite(compiled, BAD)


@pytest.mark.triggers("E0601")
def test_a_mask_writes_infinity_on_purpose() -> None:
    """The mask is not to blame for what is done with its result; the root before it is."""
    b = Builder()
    x = b.input("x", TensorType((BATCH, 2)))
    lengths = b.input("lengths", TensorType((BATCH,), DType.INT32))
    masked = b.emit(OPERATORS["step_mask"](fill=-np.inf), x, lengths, name="mask")
    root = formula(b, lambda p: expression.sqrt(p), x, title="root")
    b.result("y", Role.OUTPUT, formula(b, lambda p, q: p * 0 + q, root, masked, title="join"))
    compiled = Compiled(b.finish(), Executor(backend("reference")))
    lengths_given = np.array([1], np.int32)
    find_nonfinite(compiled, {"x": np.array([[1, 2]], np.float32), "lengths": lengths_given})
    with pytest.raises(Failed, match="`root` is not finite: 1 NaN of 2 numbers"):
        find_nonfinite(compiled, {"x": np.array([[1, -2]], np.float32), "lengths": lengths_given})


@pytest.mark.triggers("E0601")
def test_bad_inputs_and_weights_are_told_apart() -> None:
    compiled = logarithm()
    with pytest.raises(Failed, match=r"(?s)the input `x` is not finite: 1 NaN of 2 numbers.*the data"):
        find_nonfinite(compiled, {**BAD, "x": np.array([[1, np.nan]], np.float32)})
    good = {**BAD, "x": np.ones((1, 2), np.float32)}
    find_nonfinite(compiled, good)
    compiled.executor.weights["v"] = np.array([1, np.inf])
    with pytest.raises(Failed, match=r"(?s)the weight `v` is not finite: 1 infinite and 0 NaN.*saved before"):
        find_nonfinite(compiled, good)


def test_every_call_is_timed() -> None:
    compiled = Compiled(apply(random_graph(1), training(Momentum())), Executor(backend("reference")))
    timings = profile(compiled, {**feeds(0), "train/rate": np.float32(0)}, repeats=2)
    assert len(timings) == len(compiled.ready({"batch": 4}).steps)
    assert all(t.seconds > 0 and t.bytes > 0 for t in timings)
    assert sum(by_operator(timings).values()) == pytest.approx(sum(t.seconds for t in timings))
