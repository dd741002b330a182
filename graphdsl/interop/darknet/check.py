"""The same numbers into OpenCV, which runs Darknet's files up to version 4, and into ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from graphdsl.interop.darknet.cfg import read_cfg
from graphdsl.ir import Array

Outputs = Callable[[Mapping[str, Array]], Mapping[str, Array]]
BOX = 5
"""Columns of a candidate before its classes."""


def check(path: Path, weights: Path | None, outputs_of: Outputs) -> float | None:
    """The largest difference between our outputs and OpenCV's on random inputs, divided by the range of its outputs;
    None where OpenCV is not installed, or does not run the file."""
    net = read_cfg(path)[0]
    shape = tuple(net.whole(key) for key in ("height", "width", "channels"))
    if find_spec("cv2") is None or weights is None or not all(shape):
        return None
    x = np.random.default_rng(0).random((1, *shape), dtype=np.float32)
    theirs = _run(path, weights, x)
    ours = outputs_of({"image": x})
    found = [_difference(mine[0], other) for name, other in theirs.items() for mine in _same(name, other, ours)]
    return max(found, default=None)


def _same(name: str, theirs: Array, ours: Mapping[str, Array]) -> list[Array]:
    """Our tensor of this name, or else, since OpenCV calls a last layer as it likes, the one of this size."""
    named = [ours[name]] if name in ours else list(ours.values())
    return [mine for mine in named if mine[0].size == theirs.size and np.isfinite(theirs).all()][:1]


def _run(path: Path, weights: Path, x: Array) -> dict[str, Array]:
    """What OpenCV says, by the names of its last layers; nothing where it does not read the file, as version 5."""
    import cv2

    reader = getattr(cv2.dnn, "readNetFromDarknet", None)
    if reader is None:
        return {}
    try:
        net = reader(str(path), str(weights))
        net.setInput(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
        names = net.getUnconnectedOutLayersNames()
        return dict(zip(names, net.forward(names), strict=True))
    except cv2.error:
        return {}


def _difference(ours: Array, theirs: Array) -> float:
    """Of candidates, OpenCV multiplies classes by object and writes 0 for products of at most a threshold."""
    if ours.ndim == 2 and theirs.shape == ours.shape and ours.shape[1] > BOX:
        products = ours[:, BOX:] * ours[:, BOX - 1 : BOX]
        ours = np.concatenate([ours[:, :BOX], np.where(theirs[:, BOX:] > 0, products, 0)], 1)
    elif ours.ndim == 3:
        ours = ours.transpose(2, 0, 1)
    spread = float(theirs.max() - theirs.min())
    return float(np.abs(ours.ravel() - theirs.ravel()).max()) / (spread or 1.0)
