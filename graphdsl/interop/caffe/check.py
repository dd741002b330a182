"""The same numbers into OpenCV, which reads Caffe's files by a program of its own, and into ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.interop.caffe.files import read
from graphdsl.interop.net import Net
from graphdsl.ir import Array

Outputs = Callable[[Mapping[str, Array]], Mapping[str, Array]]
LAST_WITH_CAFFE = 4
"""OpenCV 5 reads no files of Caffe any more."""


def check(path: Path, weights: Path | None, outputs_of: Outputs) -> float | None:
    """The largest difference between our outputs and OpenCV's on random inputs, divided by the range of its outputs.

    None where OpenCV is not installed, is too new, or does not run the net: it knows nets to be used, not those with
    data layers, and needs their weights.
    """
    if weights is None or find_spec("cv2") is None:
        return None
    net = read(path, weights)
    inputs = _inputs(net)
    theirs = _run(path, weights, net, inputs) if inputs else None
    if theirs is None:
        return None
    ours = outputs_of({name: np.ascontiguousarray(np.moveaxis(x, 1, -1)) for name, x in inputs.items()})
    return max(_difference(ours[name], y) for name, y in theirs.items())


def _inputs(net: Net) -> dict[str, Array]:
    """Random numbers for each input, channels first; nothing where an input is not of numbers."""
    generator = np.random.default_rng(0)
    found: dict[str, Array] = {}
    for port in net.inputs:
        kind, _, sizes = port.type.removesuffix("]").partition("[")
        if kind != "float" or not sizes:
            return {}
        shape = [int(n) for n in sizes.split(",")]
        found[port.name] = generator.standard_normal((1, shape[-1], *shape[:-1]), np.float32)
    return found


def _run(path: Path, weights: Path, net: Net, inputs: Mapping[str, Array]) -> dict[str, Array] | None:
    import cv2

    if int(cv2.__version__.split(".")[0]) > LAST_WITH_CAFFE:
        return None
    try:
        runtime: Any = cv2.dnn.readNetFromCaffe(str(path), str(weights))
        for name, x in inputs.items():
            runtime.setInput(x, name)
        names = list(runtime.getUnconnectedOutLayersNames())
        made = dict(zip(names, runtime.forward(names), strict=True))
    except cv2.error:
        return None
    if len(made) == len(net.outputs) == 1:
        return {net.outputs[0][0]: next(iter(made.values()))}
    known = {name: made[tensor] for name, tensor in net.outputs if tensor in made}
    return known if len(known) == len(net.outputs) else None


def _difference(ours: Array, theirs: Array) -> float:
    """Theirs has channels first, and axes of size 1 that ours leaves out."""
    turned = np.moveaxis(theirs, 1, -1) if theirs.ndim > 2 else theirs
    turned = turned.reshape(ours.shape).astype(np.float64)
    return float(np.abs(ours - turned).max() / max(float(np.ptp(turned)), 1e-30))
