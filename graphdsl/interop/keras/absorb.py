"""A flatten of channels that came first: the transposition before it goes into the kernel of the dense layer after it.

Keras flattens [channels, height, width]; ours are [height, width, channels]. So the walk puts a transposition before
the flatten. Where nothing but dense layers read what is flattened, their rows are put in our order instead:

    transpose -> flatten -> dropout -> dense        flatten -> dropout -> dense, rows moved

What lies between may work on each number by itself only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from graphdsl.interop.net import Layer
from graphdsl.ir import Array

PLAIN = {
    "dropout",
    "relu",
    "relu6",
    "tanh",
    "sigmoid",
    "elu",
    "selu",
    "leaky_relu",
    "softplus",
    "gaussian_noise",
    "swish",
}


def absorbed(layers: Sequence[Layer], kept: set[str], turned: Mapping[str, tuple[int | None, ...]]) -> list[Layer]:
    """The layers without such transpositions. kept: tensors that are outputs; turned: what transpositions read."""
    found = {layer.name: layer for layer in layers}
    readers: dict[str, list[Layer]] = {}
    for layer in layers:
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer)
    shared = {layer.shares for layer in layers if layer.shares}
    for name, shape in turned.items():
        chain = _dense_after(found[name], readers, kept, shared)
        sizes = [n for n in shape if n is not None]
        if chain and len(sizes) == len(shape):
            _rewire(found[name], sizes, chain, readers, found)
    return [found[layer.name] for layer in layers if layer.name in found]


def _dense_after(layer: Layer, readers: Mapping[str, list[Layer]], kept: set[str], shared: set[str]) -> list[Layer]:
    """The dense layers that alone read a flattened transposition; none where something else does."""
    flats = readers.get(layer.name, [])
    if layer.name in kept or len(flats) != 1 or flats[0].word != "flatten":
        return []
    found: list[Layer] = []
    waiting = [flats[0]]
    while waiting:
        here = waiting.pop()
        after = readers.get(here.outputs[0], [])
        ends = [la for la in after if la.word == "dense" and not la.shares and la.name not in shared]
        between = [la for la in after if la.word in PLAIN]
        if here.outputs[0] in kept or not after or len(ends) + len(between) < len(after):
            return []
        found += ends
        waiting += between
    return found


def _rewire(
    layer: Layer,
    sizes: Sequence[int],
    dense: Sequence[Layer],
    readers: Mapping[str, list[Layer]],
    found: dict[str, Layer],
) -> None:
    flat = readers[layer.name][0]
    found[flat.name] = replace(found[flat.name], inputs=layer.inputs)
    del found[layer.name]
    for reader in dense:
        found[reader.name] = replace(found[reader.name], weights=_moved(layer, sizes, reader.weights))


def _moved(layer: Layer, sizes: Sequence[int], weights: Mapping[str, Array]) -> dict[str, Array]:
    """The rows of a kernel in the order of what flows in when nothing is transposed."""
    if not weights:
        return {}
    after = np.arange(prod(sizes)).reshape(sizes).transpose(layer.settings["axes"]).ravel()
    kernel = np.empty_like(weights["kernel"])
    kernel[after] = weights["kernel"]
    return {**weights, "kernel": kernel}
