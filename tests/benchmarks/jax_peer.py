"""The same networks in JAX, compiled whole by XLA: the PyTorch module says which layers there are, our weights, in the
order and the layout of the spec, fill them. Channels stay last, as XLA likes them on a CPU. XLA uses all cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn
from torch import nn as layers

from tests.benchmarks import nets
from tests.benchmarks.cases import STILL, TRAIN, Case
from tests.benchmarks.transfer import places

Weights = Iterator[tuple[int, Any]]
"""The weights that layers take one after the other, each with its position."""

MOMENTUM = 0.9
SPATIAL = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC")}

ENDINGS: Mapping[str, Callable[[Any], Any]] = {"softmax": nn.softmax, "sigmoid": nn.sigmoid, "linear": lambda x: x}
LOSSES: Mapping[str, Callable[[Any, Any], Any]] = {
    "softmax": lambda x, t: -jnp.mean(jnp.take_along_axis(nn.log_softmax(x), t[:, None], 1)),
    "sigmoid": lambda x, t: jnp.mean(jnp.maximum(x, 0) - x * t + jnp.log1p(jnp.exp(-jnp.abs(x)))),
    "linear": lambda x, t: jnp.mean((x - t) ** 2),
}


class Jax:
    """Training steps or inference. compile_s: what the first step takes longer than the third."""

    def __init__(self, case: Case, mode: str, batch: Mapping[str, np.ndarray], weights: Sequence[np.ndarray]) -> None:
        self.case, self.network = case, nets.NETWORKS[case.name](**case.settings)
        known = [tensor.requires_grad for leaf in self.network.modules() for tensor, _ in places(leaf)]
        self.weights = [jnp.asarray(array) for array in weights]
        self.momentum = [jnp.zeros_like(w) if learns else None for w, learns in zip(self.weights, known, strict=True)]
        names = case.inputs + (case.targets if mode == TRAIN else ())
        self.arrays = [jnp.asarray(batch[name]) for name in names]
        self.rate = STILL
        self.made = jax.jit(self._trained, donate_argnums=(0, 1)) if mode == TRAIN else jax.jit(self._served)
        self.step = self._train if mode == TRAIN else self._serve
        times = []
        for _ in range(3):
            start = perf_counter()
            self.step()
            times.append(perf_counter() - start)
        self.compile_s = times[0] - times[2]

    def _train(self) -> float:
        loss, self.weights, self.momentum = self.made(self.weights, self.momentum, self.rate, *self.arrays)
        return float(loss)

    def _serve(self) -> list[np.ndarray]:
        return [np.asarray(result) for result in self.made(self.weights, *self.arrays)]

    def _results(self, weights: Sequence[Any], arrays: Sequence[Any], running: dict[int, Any] | None) -> list[Any]:
        made = network(self.network, arrays, iter(enumerate(weights)), running)
        return list(made) if isinstance(made, tuple) else [made]

    def _served(self, weights: list[Any], *arrays: Any) -> list[Any]:
        results = self._results(weights, arrays, None)
        return [ENDINGS[head.ending](result) for head, result in zip(self.case.heads, results, strict=True)]

    def _loss(self, weights: list[Any], arrays: Sequence[Any]) -> tuple[Any, dict[int, Any]]:
        """The weighted losses, and the new running averages by the position of their weights."""
        count = len(self.case.inputs)
        running: dict[int, Any] = {}
        results = self._results(weights, arrays[:count], running)
        parts = zip(self.case.heads, results, arrays[count:], strict=True)
        return sum(head.weight * LOSSES[head.ending](result, t) for head, result, t in parts), running

    def _trained(self, weights: list[Any], momentum: list[Any], rate: Any, *arrays: Any) -> Any:
        """The loss, and weights and momentum after a step."""
        (loss, running), gradients = jax.value_and_grad(self._loss, has_aux=True)(weights, arrays)
        moved = [None if v is None else MOMENTUM * v + g for v, g in zip(momentum, gradients, strict=True)]
        pairs = enumerate(zip(weights, moved, strict=True))
        after = [running.get(index, w) if v is None else w - rate * v for index, (w, v) in pairs]
        return loss, after, moved


def network(module: layers.Module, arrays: Sequence[Any], weights: Weights, running: dict[int, Any] | None) -> Any:
    """What a whole network gives. running: takes new running averages in training; None in use."""
    match module:
        case nets.Author():
            steps = _take(weights)[arrays[0]]
            steps = layer(module.body, steps, weights, running)
            person = nn.relu(_dense(steps.max(1), weights))
            return tuple(_dense(person, weights) for _ in range(3))
        case nets.Answering():
            read = _lstm(_take(weights)[arrays[0]], weights)
            asked = _lstm(_take(weights)[arrays[1]], weights)
            return _dense(jnp.concatenate([read, asked], 1), weights)
        case _:
            return layer(module, arrays[0], weights, running)


def layer(module: layers.Module, x: Any, weights: Weights, running: dict[int, Any] | None) -> Any:
    """What a layer, or layers in a row, give."""
    match module:
        case layers.Sequential():
            for child in module:
                x = layer(child, x, weights, running)
            return x
        case nets.Residual():
            body = layer(module.body, x, weights, running)
            return nn.relu(body + layer(module.skip, x, weights, running))
        case nets.Side():
            return jnp.concatenate([layer(child, x, weights, running) for child in module], -1)
        case layers.BatchNorm2d():
            return _normed(module, x, weights, running)
        case _:
            return _plain(module, x, weights)


def _plain(module: layers.Module, x: Any, weights: Weights) -> Any:
    match module:
        case layers.Conv1d() | layers.Conv2d():
            return _conv(module, x, weights)
        case layers.MaxPool1d() | layers.MaxPool2d() | layers.AvgPool2d():
            return _pool(module, x)
        case layers.Linear():
            return _dense(x.reshape(len(x), -1), weights)
        case nets.Last():
            return _lstm(x, weights)
        case nets.Mean():
            return x.mean((1, 2))
        case layers.ReLU():
            return nn.relu(x)
        case layers.Identity():
            return x
    raise NotImplementedError(type(module).__name__)


def _take(weights: Weights) -> Any:
    return next(weights)[1]


def _dense(x: Any, weights: Weights) -> Any:
    kernel, bias = _take(weights), _take(weights)
    return x @ kernel + bias


def _conv(module: Any, x: Any, weights: Weights) -> Any:
    pads = [(pad, pad) for pad in module.padding]
    made = lax.conv_general_dilated(
        x,
        _take(weights),
        module.stride,
        pads,
        dimension_numbers=SPATIAL[len(pads)],
        feature_group_count=module.groups,
    )
    return made if module.bias is None else made + _take(weights)


def _normed(module: Any, x: Any, weights: Weights, running: dict[int, Any] | None) -> Any:
    gamma, beta = _take(weights), _take(weights)
    (first, mean), (second, variance) = next(weights), next(weights)
    if running is not None:
        count, keep = x.size // x.shape[-1], 1 - module.momentum
        own, spread = x.mean((0, 1, 2)), x.var((0, 1, 2))
        running[first] = keep * mean + module.momentum * own
        running[second] = keep * variance + module.momentum * spread * count / (count - 1)
        mean, variance = own, spread
    return (x - mean) * (gamma * lax.rsqrt(variance + module.eps)) + beta


def _pool(module: Any, x: Any) -> Any:
    axes = x.ndim - 2
    window, stride, pad = (_everywhere(n, axes) for n in (module.kernel_size, module.stride, module.padding))
    pads = ((0, 0), *((p, p) for p in pad), (0, 0))
    window, stride = (1, *window, 1), (1, *stride, 1)
    if not isinstance(module, layers.AvgPool2d):
        return lax.reduce_window(x, -jnp.inf, lax.max, window, stride, pads)
    total = lax.reduce_window(x, 0.0, lax.add, window, stride, pads)
    return total / lax.reduce_window(jnp.ones_like(x[:1, ..., :1]), 0.0, lax.add, window, stride, pads)


def _everywhere(size: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    return size if isinstance(size, tuple) else (size,) * axes


def _lstm(x: Any, weights: Weights) -> Any:
    """The last hidden state."""
    kernel, bias, recurrent = _take(weights), _take(weights), _take(weights)
    start = jnp.zeros((len(x), len(recurrent)), x.dtype)

    def step(state: Any, gates: Any) -> Any:
        hidden, cell = state
        into, forget, candidate, out = jnp.split(gates + hidden @ recurrent, 4, 1)
        cell = nn.sigmoid(forget) * cell + nn.sigmoid(into) * jnp.tanh(candidate)
        return (nn.sigmoid(out) * jnp.tanh(cell), cell), None

    (hidden, _), _ = lax.scan(step, (start, start), (x @ kernel + bias).swapaxes(0, 1))
    return hidden
