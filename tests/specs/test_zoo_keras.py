"""Networks of the zoo beside keras.applications: with the same weights they give the same scores for the same picture.

Every weight is drawn from its part and shape alone, so nobody has to say which weight of ours is which of Keras's: a
branch that reads something else, another stride, padding or epsilon gives other scores.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any
from zlib import crc32

import numpy as np
import pytest

import graphdsl
from graphdsl.ir import Array
from tests.specs.test_zoo import ZOO

PARTS = {
    "moving_mean": "mean",
    "moving_variance": "variance",
    "depthwise_kernel": "kernel",
    "pointwise_kernel": "kernel",
}
NETWORKS = {
    "densenet121": "DenseNet121",
    "inception_resnet_v2": "InceptionResNetV2",
    "inception_v3": "InceptionV3",
    "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "resnet50": "ResNet50",
    "resnet50v2": "ResNet50V2",
    "xception": "Xception",
}
MODULES = {name: name for name in NETWORKS}
MODULES |= {"densenet121": "densenet", "resnet50": "resnet", "resnet50v2": "resnet_v2"}
"""Where Keras says how pictures become what the network takes."""


@cache
def drawn(part: str, shape: tuple[int, ...]) -> Array:
    part = PARTS.get(part, part)
    generator = np.random.default_rng(crc32(f"{part} {shape}".encode()))
    if part == "kernel":
        return generator.normal(0, np.sqrt(0.3 / np.prod(shape[:-1])), shape).astype(np.float32)
    if part in ("gamma", "variance"):
        return generator.uniform(0.8, 1.2, shape).astype(np.float32)
    return generator.normal(0, 0.1, shape).astype(np.float32)


def of_keras(keras: Any, path: str, shape: tuple[int, ...], layer: Any) -> Array:
    """The same numbers as ours, in the shape that Keras gives them."""
    part = path.rsplit("/", 1)[-1]
    if part == "depthwise_kernel" or isinstance(layer, keras.layers.DepthwiseConv2D):
        height, width, channels, _ = shape
        return drawn("kernel", (height, width, 1, channels)).reshape(shape)
    if layer.name == "conv_preds" and part == "kernel":
        return drawn(part, shape[2:]).reshape(shape)
    return drawn(part, shape)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("name", "theirs"), NETWORKS.items())
def test_same_scores(name: str, theirs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    keras = pytest.importorskip("keras")
    network = getattr(keras.applications, theirs)(weights=None)
    for layer in network.layers:
        for weight in layer.weights:
            weight.assign(of_keras(keras, weight.path, tuple(weight.shape), layer))
    side = network.input_shape[1]
    picture = np.random.default_rng(1).integers(0, 256, (1, max(side, 256), max(side, 256), 3), np.uint8)
    edge = (picture.shape[1] - side) // 2
    centre = picture[:, edge : edge + side, edge : edge + side].astype(np.float32)
    ready = getattr(keras.applications, MODULES[name]).preprocess_input(centre)
    expected = np.log(keras.ops.convert_to_numpy(network(ready, training=False)))
    model = graphdsl.compile(ZOO / f"{name}.dag")
    weights = model.executor.weights
    weights.restore({n: drawn(n.rsplit("/", 1)[-1], weights[n].shape) for n in weights})
    found = np.log(model.predict({"image": picture})["class"])
    assert np.abs(found - expected).max() < 1e-5 * np.ptp(expected)
