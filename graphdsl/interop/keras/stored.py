"""Weights in HDF5 files: found for each layer, in Keras 2's and 3's order and layout whatever wrote them.

Keras 1, 2    [model_weights/]dense_1 with the attribute weight_names: `dense_1/kernel:0`, `dense_1/bias:0`
Keras 3       layers/dense/vars/0, layers/dense/vars/1; models, wrappers and cells are folders within
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from itertools import takewhile
from math import prod
from typing import Any

import numpy as np

from graphdsl.interop.keras.nodes import DEEPEST
from graphdsl.interop.keras.structure import Unit
from graphdsl.interop.refusal import unfit
from graphdsl.ir import Array
from graphdsl.report import dataclass, fail

DAMAGED = (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError)
"""What h5py raises where a file is not what it seems."""

MOST_NUMBERS = 1 << 30
"""In all weights of a file together."""

CHILDREN = (
    *("layer", "cell", "forward_layer", "backward_layer"),
    *("query_dense", "key_dense", "value_dense", "output_dense"),
)
CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
FLIPPED = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose")
Arrays = tuple[Array, ...]


@dataclass(frozen=True)
class Weights:
    """The weights of a file. group is a folder of HDF5; generation and backend are those of the Keras that wrote it.

    folders  what is known already: by the name of a folder of layers, the folder of each layer
    numbers  how many were read: "all"
    """

    group: Any
    generation: int
    backend: str = ""
    folders: dict[str, dict[str, str]] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)

    def of(self, path: Sequence[Unit]) -> Arrays:
        """The arrays of the last of these layers, each of which is in the one before. Raises E0903, E0902."""
        numbered = self.generation == 3 and any(name in self.group for name in CONTAINERS)
        try:
            found = self._numbered(path) if numbered else self._named(path)
        except DAMAGED as error:
            raise fail("E0902", f"the weights of `{path[-1].name}` cannot be read: {str(error)[:100]}") from None
        return modern(path[-1], found, self.generation, self.backend)

    def _numbered(self, path: Sequence[Unit]) -> Arrays:
        group = self.group
        for unit in path:
            group = self._within(group, unit)
            if group is None:
                return ()
        return tuple(self._gathered(group))

    def _within(self, group: Any, unit: Unit) -> Any:
        """The folder of a layer within that of a model, or None."""
        for _ in range(DEEPEST):
            group = group.get("layer", group)
        for container in CONTAINERS:
            if container in group:
                layers = group[container]
                return layers.get(self._folders(layers).get(unit.name, unit.slot))
        return None

    def _folders(self, layers: Any) -> dict[str, str]:
        """Folders by the names of layers, where variables say these; files of the first Keras 3 do not."""
        found = self.folders.get(layers.name)
        if found is None:
            said = {key: folder["vars"].attrs.get("name") for key, folder in layers.items() if "vars" in folder}
            found = self.folders[layers.name] = {str(name): key for key, name in said.items() if name is not None}
        return found

    def _named(self, path: Sequence[Unit]) -> Arrays:
        top = path[0].name
        if top not in self.group:
            return ()
        group = self.group[top]
        names = [n.decode() if isinstance(n, bytes) else str(n) for n in group.attrs.get("weight_names", ())]
        chain = [unit.name for unit in path]
        scores = [_belongs(n, chain) for n in names]
        if len(path) > 1:
            best = max(scores, default=NOT_AT_ALL)
            names = [n for n, score in zip(names, scores, strict=True) if score == best != NOT_AT_ALL]
        return tuple(self._array(group[name]) for name in names)

    def _gathered(self, group: Any) -> list[Array]:
        """A layer's own arrays by their numbers, then those of what is in it."""
        found = []
        if "vars" in group:
            own = group["vars"]
            found += [self._array(own[key]) for key in sorted(own, key=lambda k: int(k) if k.isdigit() else -1)]
        for child in CHILDREN:
            if child in group:
                found += self._gathered(group[child])
        return found

    def _array(self, dataset: Any) -> Array:
        shape = getattr(dataset, "shape", None)
        if shape is None or not np.issubdtype(dataset.dtype, np.number):
            raise fail("E0902", f"`{dataset.name}` holds no numbers")
        self.numbers["all"] += prod(shape)
        if self.numbers["all"] > MOST_NUMBERS:
            raise fail("E0902", f"the weights have more than {MOST_NUMBERS:,} numbers, and no more are read")
        return np.asarray(dataset[()], np.float32)


NOT_AT_ALL = (0, 0)


def _belongs(weight: str, chain: Sequence[str]) -> tuple[int, int]:
    """How well a weight called `outer/dense_1/kernel:0`, or `dense_1_W` by Keras 1, fits a layer.

    chain: the names of the models around the layer and its own. As many of them as stand before the weight's part
    count, then as few others as possible.
    """
    *folders, part = weight.split("/")
    if chain[-1] not in folders:
        return (1, 0) if part.startswith(f"{chain[-1]}_") else NOT_AT_ALL
    at = len(folders) - folders[::-1].index(chain[-1])
    pairs = zip(folders[:at][::-1], chain[::-1], strict=False)
    matched = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    return matched, matched - at


# --- other generations' layouts ------------------------------------------------------------------


def modern(unit: Unit, arrays: Arrays, generation: int, backend: str) -> Arrays:
    """The arrays in the order and layout of Keras 2 and 3. Raises E0903 where they cannot be turned."""
    if not arrays:
        return arrays
    if unit.kind == "TimeDistributed" and unit.wrapped:
        return modern(unit.wrapped[0], arrays, generation, backend)
    if unit.kind == "Bidirectional" and unit.wrapped:
        half = len(arrays) // 2
        back = unit.wrapped[-1]
        return modern(unit.wrapped[0], arrays[:half], generation, backend) + modern(
            back, arrays[half:], generation, backend
        )
    if generation == 1:
        arrays = _first_generation(unit, arrays)
    if unit.kind in FLIPPED and (backend == "theano" or (generation == 1 and _theano(unit))):
        arrays = (_flipped(arrays[0]), *arrays[1:])
    gates = {"LSTM": 4, "CuDNNLSTM": 4, "GRU": 3, "CuDNNGRU": 3}.get(unit.kind, 0)
    return from_cudnn(unit.name, arrays, gates)


def _theano(unit: Unit) -> bool:
    """Keras 1 does not say what ran it, but channels come first only where it was Theano."""
    return bool(unit.options.raw("data_format") == "channels_first")


def _flipped(kernel: Array) -> Array:
    """Theano's convolutions turn the window around."""
    axes = tuple(range(kernel.ndim - 2))
    return np.flip(kernel, axes)


TURNS: Mapping[tuple[str, bool], tuple[int, ...]] = {
    ("Conv2D", True): (2, 3, 1, 0),
    ("Conv2DTranspose", True): (2, 3, 0, 1),
    ("Conv2DTranspose", False): (0, 1, 3, 2),
    ("Conv3D", True): (2, 3, 4, 1, 0),
}
"""Of kernels of Keras 1, by class and whether channels come first."""

GATE_ORDER = {"LSTM": (0, 2, 1, 3), "GRU": (0, 1, 2)}
"""Keras 1 keeps a kernel, recurrent kernel and bias for each gate: in, candidate, forget, out."""


def _first_generation(unit: Unit, arrays: Arrays) -> Arrays:
    kernel, first = arrays[0], unit.options.raw("data_format") == "channels_first"
    if unit.kind == "Conv1D" and kernel.ndim == 4:
        length = unit.options.sizes("kernel_size", 1)[0]
        turned = kernel if kernel.shape[:2] == (length, 1) else kernel.transpose(2, 3, 1, 0)
        return (turned[:, 0], *arrays[1:])
    turn = TURNS.get((unit.kind, first))
    if turn is not None and kernel.ndim == len(turn):
        return (kernel.transpose(turn), *arrays[1:])
    gates = GATE_ORDER.get(unit.kind)
    if gates is None or len(arrays) != 3 * len(gates):
        return arrays
    return tuple(np.concatenate([arrays[3 * g + part] for g in gates], axis=-1) for part in range(3))


def from_cudnn(layer: str, arrays: Arrays, gates: int) -> Arrays:
    """cuDNN's kernels are turned over gate by gate, and it has two biases. gates: of a recurrent layer, else 0."""
    if not gates or len(arrays) != 3 or arrays[1].ndim != 2:
        return arrays
    kernel, recurrent, bias = arrays
    units = recurrent.shape[0]
    if bias.shape != (2 * gates * units,):
        return arrays
    if kernel.shape[-1] != gates * units or recurrent.shape[-1] != gates * units:
        raise unfit(layer, f"kernels {list(kernel.shape)} and {list(recurrent.shape)} do not belong together")
    turned = [k.T.reshape(k.shape, order="F") for k in np.split(kernel, gates, axis=1)]
    again = [k.T for k in np.split(recurrent, gates, axis=1)]
    both = bias.reshape(2, -1)
    return np.hstack(turned), np.hstack(again), both.sum(axis=0) if gates == 4 else both
