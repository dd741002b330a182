"""Our weights in PyTorch's modules: one after the other, each turned into PyTorch's layout."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from tests.benchmarks.nets import Flat

Place = tuple[Tensor, Callable[[np.ndarray], np.ndarray]]
"""Where an array goes, and how it is turned."""


def fill(module: nn.Module, arrays: Iterable[np.ndarray]) -> None:
    """Copies the weights of a spec, in its order, into the module of the same network."""
    rest = iter(arrays)
    with torch.no_grad():
        for leaf in module.modules():
            for tensor, turned in places(leaf):
                tensor.copy_(torch.from_numpy(np.ascontiguousarray(turned(next(rest)))))
    assert next(rest, None) is None, "the spec has more weights than the module"


def places(leaf: nn.Module) -> Iterator[Place]:
    """The tensors of a layer in the order in which ours has them."""
    match leaf:
        case nn.Conv1d() | nn.Conv2d():
            yield leaf.weight, _kernel
        case Flat():
            yield leaf.weight, lambda array: _flat(array, leaf.spatial)
        case nn.Linear():
            yield leaf.weight, np.transpose
        case nn.BatchNorm2d():
            yield from ((tensor, _same) for tensor in (leaf.weight, leaf.bias, leaf.running_mean, leaf.running_var))
            return
        case nn.LSTM():
            yield leaf.weight_ih_l0, np.transpose
            yield leaf.bias_ih_l0, _same
            yield leaf.weight_hh_l0, np.transpose
            return
        case nn.Embedding():
            yield leaf.weight, _same
            return
        case _:
            return
    if leaf.bias is not None:
        yield leaf.bias, _same


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _kernel(array: np.ndarray) -> np.ndarray:
    """[size..., inputs, outputs] to [outputs, inputs, size...]"""
    return array.transpose(-1, -2, *range(array.ndim - 2))


def _flat(array: np.ndarray, spatial: tuple[int, int]) -> np.ndarray:
    """[height * width * channels, features] to [features, channels * height * width]"""
    features = array.shape[1]
    return array.reshape(*spatial, -1, features).transpose(3, 2, 0, 1).reshape(features, -1)
