"""Update rules: against PyTorch over twenty steps, and against formulas worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from graphdsl.ir import Array, Builder, DType, Graph, Role, TensorType, Weight
from graphdsl.learn import OPTIMIZERS, Cosine, Moment, Optimizer

SHAPE = (3, 4)
STEPS = 20
LR = 0.05


def built(optimizer: Optimizer, shapes: Iterable[tuple[int, ...]], dtype: DType = DType.FLOAT64) -> Graph:
    """The graph of one step for weights w0, w1 … of these shapes."""
    b = Builder()
    weights = [b.weight(f"w{i}", shape, dtype=dtype) for i, shape in enumerate(shapes)]
    gradients = optimizer.clip(b, [b.input(f"g{i}", w.type) for i, w in enumerate(weights)])
    rate = b.input("rate", TensorType((), dtype))
    for weight, gradient in zip(weights, gradients, strict=True):
        states = optimizer.states(weight.type)
        kept = [b.weight(f"{weight.node}/{s.name}", s.type.shape, s.init, dtype=s.type.dtype) for s in states]
        new, after = optimizer.step(b, weight, gradient, tuple(kept), rate)
        for old, value in zip((weight, *kept), (new, *after), strict=True):
            b.update(old, value)
    return b.finish()


def begin(graph: Graph) -> dict[str, Array]:
    generator = np.random.default_rng(0)
    ops = {name: node.op for name, node in graph.items() if isinstance(node.op, Weight)}
    return {n: op.init.sample(op.made.bind({}), generator).astype(op.made.dtype.numpy) for n, op in ops.items()}


def stepped(graph: Graph, weights: dict[str, Array], fed: dict[str, Array]) -> dict[str, Array]:
    """The weights after one step, node by node."""
    known: dict[str, Any] = {**weights, **fed}
    for name, node in graph.items():
        if name not in known:
            known[name] = node.op.reference(*(known[v.node] for v in graph.operands(name)))
    return {r.name: known[r.value.node] for r in graph.of_role(Role.UPDATE)}


def trained(optimizer: Optimizer, start: Array, gradients: list[Array], dtype: DType = DType.FLOAT64) -> Array:
    graph = built(optimizer, [start.shape], dtype)
    weights = {**begin(graph), "w0": start.astype(dtype.numpy)}
    for step, gradient in enumerate(gradients):
        rate = np.asarray(optimizer.rate(Moment(step, 10, STEPS)), dtype.numpy)
        weights = stepped(graph, weights, {"g0": gradient.astype(dtype.numpy), "rate": rate})
    return weights["w0"]


def made(name: str, **settings: Any) -> Optimizer:
    optimizer: Optimizer = OPTIMIZERS[name].make(**settings)
    return optimizer


def problem() -> tuple[Array, list[Array]]:
    generator = np.random.default_rng(5)
    return generator.normal(size=SHAPE), [generator.normal(size=SHAPE) for _ in range(STEPS)]


TORCH: list[tuple[Optimizer, Callable[[Any, Any], Any]]] = [
    (made("sgd", lr=LR), lambda o, p: o.SGD(p, lr=LR)),
    (made("sgd", lr=LR, momentum=0.9, decay=1e-2), lambda o, p: o.SGD(p, lr=LR, momentum=0.9, weight_decay=1e-2)),
    (made("sgd", lr=LR, momentum=0.9, nesterov=True), lambda o, p: o.SGD(p, lr=LR, momentum=0.9, nesterov=True)),
    (made("rmsprop", lr=LR), lambda o, p: o.RMSprop(p, lr=LR, alpha=0.9, eps=1e-7)),
    (
        made("rmsprop", lr=LR, momentum=0.5, decay=1e-2),
        lambda o, p: o.RMSprop(p, lr=LR, alpha=0.9, eps=1e-7, momentum=0.5, weight_decay=1e-2),
    ),
    (made("adam", lr=LR), lambda o, p: o.Adam(p, lr=LR, eps=1e-7)),
    (made("adam", lr=LR, decay=1e-2), lambda o, p: o.Adam(p, lr=LR, eps=1e-7, weight_decay=1e-2)),
    (made("adam", lr=LR, beta1=0.0), lambda o, p: o.Adam(p, lr=LR, betas=(0.0, 0.999), eps=1e-7)),
    (made("adamw", lr=LR), lambda o, p: o.AdamW(p, lr=LR, eps=1e-7, weight_decay=0.004)),
    (made("adagrad", lr=LR), lambda o, p: o.Adagrad(p, lr=LR, initial_accumulator_value=0.1, eps=1e-7)),
    (
        made("adagrad", lr=LR, lr_decay=0.1, start=0.0),
        lambda o, p: o.Adagrad(p, lr=LR, lr_decay=0.1, eps=1e-7),
    ),
]


@pytest.mark.parametrize(("ours", "theirs"), TORCH, ids=lambda x: str(x) if isinstance(x, Optimizer) else "")
def test_like_torch(ours: Optimizer, theirs: Callable[[Any, Any], Any]) -> None:
    torch = pytest.importorskip("torch")
    start, gradients = problem()
    parameter = torch.nn.Parameter(torch.tensor(start))
    optimizer = theirs(torch.optim, [parameter])
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
    np.testing.assert_allclose(trained(ours, start, gradients), parameter.detach().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("ours", [o for o, _ in TORCH], ids=str)
def test_single_precision_stays_close(ours: Optimizer) -> None:
    start, gradients = problem()
    single = trained(ours, start, gradients, DType.FLOAT32)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, trained(ours, start, gradients), rtol=2e-5, atol=2e-5)


def test_clipping_by_joint_norm_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(1)
    gradients = [generator.normal(size=s) for s in ((3, 4), (5,))]
    parameters = [torch.nn.Parameter(torch.zeros(g.shape, dtype=torch.float64)) for g in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)
    torch.nn.utils.clip_grad_norm_(parameters, 1.5)
    graph = built(made("sgd", lr=1.0, clip_norm=1.5), [g.shape for g in gradients])
    after = stepped(graph, begin(graph), {"g0": gradients[0], "g1": gradients[1], "rate": np.asarray(1.0)})
    for i, parameter in enumerate(parameters):
        np.testing.assert_allclose(after[f"w{i}"], -parameter.grad.numpy(), rtol=1e-6)


def test_short_gradients_are_not_stretched() -> None:
    graph = built(made("sgd", lr=1.0, clip_norm=100.0), [(2,)])
    after = stepped(graph, begin(graph), {"g0": np.array([3.0, 4.0]), "rate": np.asarray(1.0)})
    np.testing.assert_array_equal(after["w0"], [-3.0, -4.0])


def test_clipping_by_value() -> None:
    graph = built(made("sgd", lr=1.0, clip_value=0.5), [(3,)])
    after = stepped(graph, begin(graph), {"g0": np.array([-2.0, 0.25, 9.0]), "rate": np.asarray(1.0)})
    np.testing.assert_array_equal(after["w0"], [0.5, -0.25, -0.5])


def test_rate_falls_with_time_as_in_keras() -> None:
    optimizer = made("rmsprop", lr=1e-4, lr_decay=1e-6)
    assert optimizer.rate(Moment(0, 10, 100)) == 1e-4
    assert optimizer.rate(Moment(10**6, 10, 100)) == pytest.approx(0.5e-4)


def test_rate_may_be_a_schedule() -> None:
    assert made("adam", lr=Cosine(0.1)).rate(Moment(50, 10, 100)) == pytest.approx(0.05)


def test_zero_gradient_is_no_trouble() -> None:
    for name in OPTIMIZERS:
        graph = built(made(name), [(2,)])
        after = stepped(graph, begin(graph), {"g0": np.zeros(2), "rate": np.asarray(0.1)})
        assert np.array_equal(after["w0"], np.zeros(2)), name
