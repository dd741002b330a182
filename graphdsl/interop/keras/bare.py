"""Weights of Keras without their model, for a spec that is there already: layer after layer, by kind and shape.

`model.save_weights("x.hdf5")` of Keras 1 and 2 leaves names of layers in their order, and for each its arrays:

    layer_names   input embedding rnn_1 rnn_2 …        rnn_1/rnn_1/kernel:0  rnn_1/rnn_1/bias:0 …

Layouts are as in models (`stored.py`): gates of cuDNN are turned over and its two biases added up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.interop.keras.files import UNREADABLE, hdf5
from graphdsl.interop.keras.stored import MOST_NUMBERS, from_cudnn
from graphdsl.interop.refusal import malformed
from graphdsl.ir import Array

Parts = Mapping[str, Array]
MOST_LAYERS = 10_000


def read_bare(path: Path) -> dict[str, Array]:
    """The arrays of a file as `layer.part`, in the order of the layers. Raises Failed E0902, E0904."""
    with hdf5(path, path) as group:
        try:
            return dict(_arrays(path, group.get("model_weights", group)))
        except UNREADABLE as error:
            raise malformed(path, f"it is damaged: {str(error)[:100]}") from None


def _arrays(path: Path, group: Any) -> Iterator[tuple[str, Array]]:
    layers = _texts(group.attrs.get("layer_names", ()))
    if not layers:
        raise malformed(path, "it names no layers", "weights of Keras 1 and 2 do: model.save_weights('weights.hdf5')")
    total = 0
    for layer, name in _names(group, layers[:MOST_LAYERS]):
        dataset = group[layer][name]
        total += prod(dataset.shape)
        if total > MOST_NUMBERS:
            raise malformed(path, f"it has more than {MOST_NUMBERS:,} numbers, and no more are read")
        folder, _, part = name.rpartition("/")
        inside = folder.removeprefix(layer).strip("/")
        yield f"{layer}{'/' if inside else ''}{inside}.{part.partition(':')[0]}", np.asarray(dataset[()], np.float32)


def _names(group: Any, layers: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The name of each array, with its layer."""
    return ((layer, name) for layer in layers for name in _texts(group[layer].attrs.get("weight_names", ())))


def _texts(names: Any) -> list[str]:
    return [n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n) for n in names]


# --- a layer's arrays as ours ----------------------------------------------------------------------------------------


def _named(names: Mapping[str, str]) -> Callable[[Parts], Parts]:
    def made(module: Parts) -> Parts:
        return {names[part]: a for part, a in module.items()} if set(module) <= set(names) else {}

    return made


def _dense(module: Parts) -> Parts:
    """A kernel with or without a bias; also the only matrix of a layer that somebody wrote."""
    if len(module) == 1:
        return {"kernel": next(iter(module.values()))}
    return _named({"kernel": "kernel", "bias": "bias"})(module)


def _recurrent(gates: int) -> Callable[[Parts], Parts]:
    def made(module: Parts) -> Parts:
        if set(module) != {"kernel", "recurrent_kernel", "bias"} or module["recurrent_kernel"].ndim != 2:
            return {}
        parts = from_cudnn("", (module["kernel"], module["recurrent_kernel"], module["bias"]), gates)
        kernel, recurrent, bias = parts
        both = {"bias": bias} if bias.ndim == 1 else {"bias": bias[0], "recurrent_bias": bias[1]}
        return {"kernel": kernel, "recurrent": recurrent, **both}

    return made


_AFFINE = {"gamma": "gamma", "beta": "beta"}
KINDS: Mapping[str, Callable[[Parts], Parts]] = {
    "conv": _named({"kernel": "kernel", "bias": "bias"}),
    "dense": _dense,
    "embedding": _named({"embeddings": "table"}),
    "batch_norm": _named({**_AFFINE, "moving_mean": "mean", "moving_variance": "variance"}),
    "layer_norm": _named(_AFFINE),
    "lstm": _recurrent(4),
    "gru": _recurrent(3),
    "rnn": _named({"kernel": "kernel", "recurrent_kernel": "recurrent", "bias": "bias"}),
}
"""What the arrays of a layer of Keras are in one of ours, by its word; nothing where they are not its own."""
