"""What tests of the way in from Keras share: a file imported and run, and Keras' models with random weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphdsl.interop import Net, written
from graphdsl.interop.keras import read
from graphdsl.interop.names import legal
from graphdsl.ir import Array
from graphdsl.model import Model
from graphdsl.report import Source
from graphdsl.runtime import fill_weights


def keras_module() -> Any:
    """Keras on PyTorch; the test is skipped where they are not installed."""
    pytest.importorskip("torch")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


class Imported:
    """A file of Keras as our model."""

    def __init__(self, path: Path, weights: Path | None = None, backend: str = "cpu") -> None:
        self.net: Net = read(path, weights)
        made = written(self.net)
        self.text = made.text
        self.model = Model(Source("imported.dag", made.text), backend=backend)
        self.parameters = sum(w.size for w in made.weights.values())
        if made.weights:
            fill_weights(self.model.executor.weights, made.weights, path)

    def __call__(self, *arrays: Array) -> list[Array]:
        """Outputs in Keras' order, of inputs in Keras' order."""
        feeds = {legal(port.name): x for port, x in zip(self.net.inputs, arrays, strict=True)}
        made = self.model.predict(feeds)
        return [np.asarray(made[name]) for name, _ in self.net.outputs]


def randomised(model: Any, seed: int = 0) -> Any:
    """The model with random numbers in every weight; variances are positive."""
    rng = np.random.default_rng(seed)
    arrays = []
    for weight in model.weights:
        fan = max(int(np.prod(weight.shape[:-1])), 1) if len(weight.shape) > 1 else 4
        numbers = rng.standard_normal(tuple(weight.shape), np.float32) / np.float32(np.sqrt(fan))
        arrays.append(np.abs(numbers) + 0.5 if "variance" in weight.path else numbers)
    model.set_weights(arrays)
    return model


def random_inputs(model: Any, net: Net, free: int = 6) -> list[Array]:
    """Two samples for each input; whole numbers where our type says so."""
    rng = np.random.default_rng(1)
    arrays = []
    for tensor, type in zip(model.inputs, [port.type for port in net.inputs], strict=True):
        shape = (2, *(free if n is None else n for n in tensor.shape[1:]))
        arrays.append(rng.integers(0, 20, shape) if type.startswith("int") else rng.standard_normal(shape, np.float32))
    return arrays


def off_by(ours: Array, theirs: Array) -> float:
    """The largest difference, relative to the largest number."""
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
