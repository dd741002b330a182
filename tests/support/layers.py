"""Layers by themselves: what they make of arrays and weights, and whether PyTorch makes the same, with gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from graphdsl.ir import BATCH, LAYERS, Array, Builder, DType, Graph, Kind, Role, TensorType, Value, Weight
from graphdsl.ops import COUNTER, formula, sum_over
from graphdsl.passes import Mode, gradient, specialise
from tests.support.evaluate import evaluate

Case = tuple[str, Mapping[str, Array], Mapping[str, Any], Callable[..., Any]]
"""A layer, its operands and weights by name, its settings, and the same in PyTorch."""


def cases(found: Sequence[Case]) -> list[Any]:
    """Parameters of a test."""
    return [pytest.param(*case, id=f"{case[0]}-{number}") for number, case in enumerate(found)]


def first(make: Callable[..., Any]) -> Callable[..., Any]:
    """make, which has features second as PyTorch has them, of features last."""
    return lambda torch, x0, **weights: make(torch, x0.movedim(-1, 1), **weights).movedim(1, -1)


def called(name: str, b: Builder, xs: tuple[Value, ...], settings: Mapping[str, Any]) -> tuple[Value, ...]:
    """The results of a layer of the language."""
    entry = LAYERS[name]
    made = entry.make(b, xs, **settings) if entry.variadic else entry.make(b, *xs, **settings)
    return made if isinstance(made, tuple) else (made,)


def wave(*shape: int, speed: float = 1.7) -> Array:
    """Numbers between -2 and 2 of which no two are close."""
    count = int(np.prod(shape, dtype=int))
    return np.asarray(4 * ((np.arange(count) * speed * 0.618033988749895) % 1.0) - 2).reshape(shape)


def numbers_of(name: str, arrays: Mapping[str, Array], below: int = 0, **settings: Any) -> list[Array]:
    """What the layer makes of its operands x0, x1 …; other names are its weights. below: what whole numbers are."""
    graph = _graph(name, arrays, below, settings, probe=False)
    found = evaluate(specialise(graph, Mode.INFERENCE), _given(graph, arrays))
    return [found["output", f"y{i}"] for i in range(len(found))]


def check(name: str, arrays: Mapping[str, Array], torch_too: Callable[..., Any], **settings: Any) -> None:
    """The layer, and the gradient of every float operand and weight, against torch_too(torch, x0=…, kernel=…)."""
    torch = pytest.importorskip("torch")
    arrays = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in arrays.items()}
    tensors = {n: torch.from_numpy(np.array(a)) for n, a in arrays.items()}
    smooth = tuple(n for n, a in arrays.items() if a.dtype.kind == "f")
    for n in smooth:
        tensors[n].requires_grad_()
    theirs = torch_too(torch, **tensors)
    theirs = theirs if isinstance(theirs, tuple) else (theirs,)
    ours = numbers_of(name, arrays, **settings)
    for mine, their in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, their.detach().numpy(), rtol=1e-9, atol=1e-9)
    if not any(t.requires_grad for t in theirs):
        return
    sum((t * torch.from_numpy(_weights_of(t.shape))).sum() for t in theirs if t.requires_grad).backward()
    below = settings.pop("below", 0)
    graph = specialise(_graph(name, arrays, below, settings, probe=True), Mode.INFERENCE)
    found = evaluate(gradient(graph, smooth), {**_given(graph, arrays), COUNTER: np.array(0)})
    for n in smooth:
        mine = found.get(("gradient", n), np.zeros_like(arrays[n]))
        wanted = np.zeros_like(mine) if tensors[n].grad is None else tensors[n].grad.numpy()
        np.testing.assert_allclose(mine, wanted, rtol=1e-8, atol=1e-8, err_msg=f"gradient of {n}")


def _graph(name: str, arrays: Mapping[str, Array], below: int, settings: Mapping[str, Any], *, probe: bool) -> Graph:
    b = Builder()
    xs = []
    for n in sorted(n for n in arrays if n[0] == "x" and n[1:].isdigit()):
        a = arrays[n]
        kind = Kind("indices", below) if a.dtype.kind == "i" else Kind("plain")
        xs.append(b.input(n, TensorType((BATCH, *a.shape[1:]), DType(a.dtype.name), kind)))
    made = called(name, b, tuple(xs), settings)
    if not probe:
        for i, y in enumerate(made):
            b.result(f"y{i}", Role.OUTPUT, y)
        return b.finish()
    parts = [y for y in made if y.type.dtype.is_float]
    totals = [_weighted(b, y, len(arrays["x0"])) for y in parts]
    b.result("total", Role.LOSS, formula(b, lambda *p: sum(p[1:], p[0]), *totals, title="total"))
    return b.finish()


def _weighted(b: Builder, y: Value, batch: int) -> Value:
    coefficients = b.input(f"c/{y.node}/{y.port}", y.type)
    product = formula(b, lambda p, q: p * q, y, coefficients, title="probe")
    return sum_over(b, product, tuple(range(y.type.rank)))


def _weights_of(shape: tuple[int, ...]) -> Array:
    return wave(*shape, speed=0.37)


def _given(graph: Graph, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """What is fed: operands, weights, and the coefficients of the probe."""
    weights = {n for n, node in graph.items() if isinstance(node.op, Weight)}
    assert weights == {n for n in arrays if not (n[0] == "x" and n[1:].isdigit())}
    batch = {"batch": len(arrays["x0"])}
    probes = {n: _weights_of(node.types[0].bind(batch)) for n, node in graph.items() if n.startswith("c/")}
    return {**arrays, **probes}
