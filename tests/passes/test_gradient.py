"""Gradients of whole graphs against finite differences, and what cannot be differentiated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from graphdsl.ir import (
    Array,
    Builder,
    DType,
    Graph,
    Operator,
    Place,
    Role,
    TensorType,
    Weight,
    demand_valid,
    parse_graph,
)
from graphdsl.passes import Mode, gradient, learned, specialise, total_loss
from graphdsl.report import Failed, Source, Span
from tests.support.evaluate import evaluate
from tests.support.random_graphs import feeds, random_graph

STEP = 1e-6


def weights_of(graph: Graph) -> dict[str, Array]:
    generator = np.random.default_rng(5)
    return {
        n: generator.normal(0, 0.7, node.types[0].bind({})) for n, node in graph.items() if isinstance(node.op, Weight)
    }


@pytest.mark.parametrize("seed", range(25))
def test_against_finite_differences(seed: int) -> None:
    graph = random_graph(seed, dtype=DType.FLOAT64)
    graph = total_loss(specialise(graph, Mode.TRAINING), learned(graph))
    names = learned(graph)
    whole = gradient(graph, names)
    demand_valid(whole)
    given = {**feeds(seed, DType.FLOAT64), **weights_of(graph)}
    found = evaluate(whole, given)
    direction = {n: np.random.default_rng(9).normal(size=given[n].shape) for n in names}

    def loss(step: float) -> float:
        moved = {n: given[n] + step * direction[n] for n in names}
        return float(evaluate(graph, {**given, **moved})["loss", "total"])

    expected = (loss(STEP) - loss(-STEP)) / (2 * STEP)
    along = sum(float((found["gradient", n] * direction[n]).sum()) for n in names if ("gradient", n) in found)
    assert along == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_a_shared_weight_gets_the_sum_of_its_uses() -> None:
    text = """
%a = input(made=type("float32[2, 2]")) : float32[2, 2]
%b = input(made=type("float32[2, 2]")) : float32[2, 2]
{weights}
%left = matmul() %a, %{first} : float32[2, 2]
%right = matmul() %b, %{second} : float32[2, 2]
%product = elementwise(tree=formula("multiply(x0, x1)"), arity=2) %left, %right : float32[2, 2]
%sum = sum(axes=(0, 1)) %product : float32[1, 1]
%loss = reshape(shape=()) %sum : float32[]
loss total = %loss
"""
    line = '%{0} = weight(made=type("float32[2, 2]"), init=Zeros()) : float32[2, 2]'
    one = parse_graph(text.format(weights=line.format("w"), first="w", second="w"))
    two = parse_graph(text.format(weights=line.format("u") + "\n" + line.format("v"), first="u", second="v"))
    generator = np.random.default_rng(0)
    a, b, w = (generator.normal(size=(2, 2)).astype(np.float32) for _ in range(3))
    shared = evaluate(gradient(one, ["w"]), {"a": a, "b": b, "w": w})
    apart = evaluate(gradient(two, ["u", "v"]), {"a": a, "b": b, "u": w, "v": w})
    assert np.allclose(shared["gradient", "w"], apart["gradient", "u"] + apart["gradient", "v"], rtol=1e-6)


def test_an_input_has_a_gradient_when_asked() -> None:
    graph = parse_graph("""
%x = input(made=type("float32[]")) : float32[]
%y = elementwise(tree=formula("multiply(x0, x0)"), arity=1) %x : float32[]
loss total = %y
""")
    assert evaluate(gradient(graph, ["x"]), {"x": np.float32(3)})["gradient", "x"] == 6


@dataclass(frozen=True)
class Rounded(Operator):
    """Says nothing of its gradient."""

    name: ClassVar[str] = "rounded"

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        return x

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        return np.round(x)


@pytest.mark.triggers("E0407")
def test_what_cannot_be_differentiated_is_refused_at_its_place() -> None:
    b = Builder()
    w = b.weight("w", ())
    source = Source("net.dag", "x -> round")
    with b.within(Place(path="round", spans=(Span(source, 5, 10),))):
        b.result("total", Role.LOSS, b.emit(Rounded(), w))
    with pytest.raises(Failed, match=r"net.dag:1:6: error\[E0407\]: `rounded` cannot be differentiated"):
        gradient(b.finish(), ["w"])


@pytest.mark.triggers("E0407")
def test_a_loss_without_weights_is_refused() -> None:
    b = Builder()
    b.weight("w", ())
    b.result("total", Role.LOSS, b.constant(1.0))
    with pytest.raises(Failed, match=r"E0407.*no weight that learns"):
        gradient(b.finish(), ["w"])
