"""The same numbers into Keras and into ours."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.interop.keras.reading import imported
from graphdsl.interop.keras.scene import Flow
from graphdsl.ir import Array

Outputs = Callable[[Mapping[str, Array]], Mapping[str, Array]]
FREE = 16
"""The size along an axis of which the file says nothing."""

BACKENDS = {"tensorflow": "tensorflow", "torch": "torch", "jax": "jax"}
"""What Keras can run on, by the package that it needs."""


def check(path: Path, weights: Path | None, outputs_of: Outputs) -> float | None:
    """The largest difference between our outputs and Keras' on random inputs, divided by the range of its outputs.

    None where Keras or something that it runs on is not installed, or where it does not load the file: Keras 3 does not
    read all that Keras 1 and 2 wrote.
    """
    backend = next((name for name, package in BACKENDS.items() if find_spec(package)), "")
    if find_spec("keras") is None or not backend:
        return None
    made = imported(path, weights)
    inputs = [_random(flow, port.type) for flow, port in zip(made.inputs, made.net.inputs, strict=True)]
    theirs = _run(path, weights, backend, inputs)
    if theirs is None:
        return None
    feeds = {n: x.transpose(_axes(f)) for n, f, x in zip(made.names, made.inputs, inputs, strict=False)}
    ours = outputs_of(feeds)
    heads = made.names[len(inputs) :]
    wanted = [y.transpose(_axes(f)) for f, y in zip(made.outputs, theirs, strict=True)]
    return max(_difference(ours[name], y) for name, y in zip(heads, wanted, strict=True))


def _axes(flow: Flow) -> tuple[int, ...]:
    """Our axes as Keras counts them, the batch's first."""
    return (0, *(axis + 1 for axis in flow.order))


def _random(flow: Flow, type: str) -> Array:
    """Normally distributed numbers, or classes below what is allowed, for one sample."""
    generator = np.random.default_rng(0)
    shape = (1, *(FREE if n is None else n for n in flow.shape))
    if type.startswith("int("):
        return generator.integers(0, int(type[4 : type.index(")")]), shape)
    return generator.standard_normal(shape, np.float32)


def _run(path: Path, weights: Path | None, backend: str, inputs: Sequence[Array]) -> list[Array] | None:
    """What Keras gives, in the order of its outputs. Nothing in the file is executed: Keras' safe mode is on."""
    os.environ.setdefault("KERAS_BACKEND", backend)
    try:
        import keras

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = _loaded(keras, path, weights)
            made = model.predict_on_batch(list(inputs) if len(inputs) > 1 else inputs[0])
    except Exception:
        return None
    listed = list(made.values()) if isinstance(made, Mapping) else made if isinstance(made, list | tuple) else [made]
    return [np.asarray(y) for y in listed]


def _loaded(keras: Any, path: Path, weights: Path | None) -> Any:
    if path.suffix.lower() != ".json":
        return keras.models.load_model(path, compile=False, safe_mode=True)
    model = keras.models.model_from_json(path.read_text(encoding="utf-8"))
    model.load_weights(weights)
    return model


def _difference(ours: Array, theirs: Array) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    wanted = theirs.astype(np.float64)
    width = float(np.ptp(wanted)) or float(np.abs(wanted).max()) or 1.0
    return float(np.abs(ours.astype(np.float64) - wanted).max()) / width
