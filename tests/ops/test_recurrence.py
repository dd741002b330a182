"""Padding changes nothing; directions; weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from graphdsl.ir import (
    BATCH,
    LAYERS,
    Array,
    Builder,
    DType,
    Graph,
    Role,
    TensorType,
    TypeRuleError,
    Value,
    Weight,
    indices,
    symbol,
)
from graphdsl.ops import formula, sum_over
from graphdsl.passes import gradient
from tests.support.evaluate import built, evaluate, parameters

T = symbol("T")
FREE = TensorType((BATCH, T, 3))
LENGTHS = np.array([5, 2, 1], np.int32)
X = np.sin(np.arange(45.0) * 1.3).reshape(3, 5, 3)
CELLS = ("lstm", "gru")


def reader(cell: str, **settings: object) -> Callable[[Builder, Value], Value]:
    return lambda b, x: LAYERS[cell].make(b, x, 4, **settings)


def trained(cell: str, **settings: object) -> Graph:
    """The sum of what is read, each step and unit weighted by its own number, and its gradients."""
    b = Builder()
    x = b.input("x0", FREE)
    y = reader(cell, **settings)(b, x)
    weighted = formula(b, lambda v, c: v * c, y, b.input("c", y.type), title="probe")
    b.result("total", Role.LOSS, sum_over(b, weighted, tuple(range(y.type.rank))))
    b.result("y", Role.OUTPUT, y)
    graph = b.finish()
    return gradient(graph, ["x0", *(name for name, node in graph.items() if isinstance(node.op, Weight))])


def fed(graph: Graph, x: Array, c: Array, lengths: Array) -> dict[tuple[str, str], Array]:
    return evaluate(graph, {"x0": x, "c": c, "lengths/T": lengths})


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sequence", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_sequence_gives_the_same_alone_and_padded(cell: str, sequence: bool, reverse: bool) -> None:
    graph = trained(cell, sequence=sequence, reverse=reverse)
    c = np.cos(np.arange(60.0)).reshape(3, 5, 4) if sequence else np.cos(np.arange(12.0)).reshape(3, 4)
    together = fed(graph, X, c, LENGTHS)
    weights = [key for key in together if key[0] == "gradient" and key[1] != "x0"]
    sums = {key: np.zeros_like(together[key]) for key in weights}
    for i, length in enumerate(LENGTHS):
        own = c[i : i + 1, :length] if sequence else c[i : i + 1]
        alone = fed(graph, X[i : i + 1, :length], own, LENGTHS[i : i + 1])
        y, dx = together["output", "y"][i], together["gradient", "x0"][i]
        np.testing.assert_allclose(y[:length] if sequence else y, alone["output", "y"][0], atol=1e-12)
        np.testing.assert_allclose(dx[:length], alone["gradient", "x0"][0], atol=1e-12)
        assert not dx[length:].any(), "a padded step has a gradient"
        assert not (sequence and y[length:].any()), "a padded step has a result"
        sums = {key: total + alone[key] for key, total in sums.items()}
    for key, total in sums.items():
        np.testing.assert_allclose(together[key], total, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_what_padding_holds_does_not_matter(cell: str) -> None:
    graph = built(reader(cell), FREE)
    other = X.copy()
    other[1, 2:], other[2, 1:] = 1e6, np.nan
    y = [evaluate(graph, {"x0": x, "lengths/T": LENGTHS})["output", "y"] for x in (X, other)]
    np.testing.assert_array_equal(*y)


@pytest.mark.parametrize("cell", CELLS)
def test_reverse_reads_the_turned_sequence(cell: str) -> None:
    fixed = TensorType((BATCH, 5, 3))
    forward = evaluate(built(reader(cell, sequence=True), fixed), {"x0": X[:, ::-1]})["output", "y"]
    backward = evaluate(built(reader(cell, sequence=True, reverse=True), fixed), {"x0": X})["output", "y"]
    np.testing.assert_array_equal(forward[:, ::-1], backward)


@pytest.mark.parametrize("cell", CELLS)
def test_the_last_result_is_that_of_the_last_real_step(cell: str) -> None:
    feeds = {"x0": X, "lengths/T": LENGTHS}
    every = evaluate(built(reader(cell, sequence=True), FREE), feeds)["output", "y"]
    last = evaluate(built(reader(cell), FREE), feeds)["output", "y"]
    np.testing.assert_array_equal(last, every[np.arange(3), LENGTHS - 1])


@pytest.mark.parametrize("cell", CELLS)
def test_an_empty_sequence_leaves_the_memory_empty(cell: str) -> None:
    y = evaluate(built(reader(cell), FREE), {"x0": X, "lengths/T": np.array([0, 0, 5], np.int32)})["output", "y"]
    assert not y[:2].any()
    assert y[2].all()


@pytest.mark.parametrize(("cell", "count"), [("lstm", 20_608), ("gru", 15_552)])
def test_parameters_are_those_of_keras(cell: str, count: int) -> None:
    graph = built(lambda b, x: LAYERS[cell].make(b, x, 32), TensorType((BATCH, T, 128)))
    assert parameters(graph) == count


def test_a_young_lstm_forgets_nothing() -> None:
    graph = built(reader("lstm"), FREE)
    bias = graph.node("bias").op
    assert isinstance(bias, Weight)
    np.testing.assert_array_equal(bias.init.sample((16,), np.random.default_rng(0)), np.repeat([0, 1, 0, 0], 4))


@pytest.mark.parametrize("cell", CELLS)
def test_float32_stays_float32(cell: str) -> None:
    graph = built(reader(cell), FREE)
    x = X.astype(np.float32)
    feeds = {name: evaluate_weight(node.op) for name, node in graph.items() if isinstance(node.op, Weight)}
    y = evaluate(graph, {"x0": x, "lengths/T": LENGTHS, **feeds})["output", "y"]
    assert y.dtype == np.float32


def evaluate_weight(op: Weight) -> Array:
    return op.init.sample(op.made.bind({}), np.random.default_rng(0)).astype(np.float32)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("x", "help"),
    [
        (TensorType((BATCH, 8)), "`reshape` can make that"),
        (TensorType((BATCH, T), DType.INT32, indices(9)), "put `embedding(features)` before it"),
    ],
)
def test_what_is_no_sequence_of_vectors_is_refused(cell: str, x: TensorType, help: str) -> None:
    with pytest.raises(TypeRuleError, match=f"{cell} reads float") as caught:
        built(reader(cell), x)
    assert caught.value.help == help
