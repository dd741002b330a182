"""The same numbers into ONNX Runtime and into ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.interop.onnx.model import Source, load
from graphdsl.interop.onnx.reading import Imported, imported
from graphdsl.ir import Array

Outputs = Callable[[Mapping[str, Array]], Mapping[str, Array]]
FREE = 16
"""The size along an axis of which the file says nothing."""


def check(path: Path, weights: Path | None, outputs_of: Outputs) -> float | None:
    """The largest difference between our outputs and ONNX Runtime's on random inputs, divided by the range of its
    outputs; None where it is not installed, or does not run the file."""
    if find_spec("onnxruntime") is None:
        return None
    model = load(path)
    made = imported(model)
    feeds = {s.name: _random(made, s) for s in model.inputs}
    theirs = _run(path, feeds)
    if theirs is None:
        return None
    used = {f.name: f.ours for f in made.inputs}
    ours = outputs_of({name: made.to_ours(key, feeds[key]) for key, name in used.items()})
    return max(_difference(made.to_theirs(f.name, ours[f.ours]), theirs[f.name]) for f in made.outputs)


def _run(path: Path, feeds: Mapping[str, Array]) -> dict[str, Array] | None:
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        types = {i.name: i.type for i in session.get_inputs()}
        given = {
            n: a.astype(np.float16) if "float16" in types.get(n, "") else a for n, a in feeds.items() if n in types
        }
        names = [o.name for o in session.get_outputs()]
        return dict(zip(names, session.run(names, given), strict=True))
    except Exception:
        return None


def _random(made: Imported, source: Source) -> Array:
    """An input: normally distributed, or class numbers below what is allowed."""
    free: dict[Any, int] = {}
    shape = []
    for axis, size in enumerate(source.shape):
        shape.append(size if isinstance(size, int) else free.setdefault(size, 1 if axis == 0 else FREE))
    generator = np.random.default_rng(0)
    classes = next((f.flow.classes for f in made.inputs if f.name == source.name), 0)
    if classes:
        return generator.integers(0, classes, shape).astype(source.dtype)
    return generator.standard_normal(shape).astype(source.dtype)


def _difference(ours: Array, theirs: Array) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    wanted = theirs.astype(np.float64)
    width = float(np.ptp(wanted)) or float(np.abs(wanted).max()) or 1.0
    return float(np.abs(ours.astype(np.float64) - wanted).max()) / width
