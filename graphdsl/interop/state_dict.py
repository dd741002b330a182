"""Bare weights for a spec that is there already, PyTorch's or Keras': module after module, by kind and shape.

A state dict has names, shapes and numbers, and no graph. Its modules stand in the order in which they were made, and so
do the layers of a spec; the next module that fits a layer is its own. What is left over on either side is an error.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from graphdsl.interop.formats import BARE, format_of
from graphdsl.interop.keras.bare import KINDS as KERAS_KINDS
from graphdsl.interop.keras.bare import read_bare
from graphdsl.interop.refusal import malformed
from graphdsl.ir import Array, Graph, Node, Symbolic, Weight
from graphdsl.report import dataclass, fail
from graphdsl.runtime import read_weights, some

Arrays = Mapping[str, Array]

HDF5 = (".h5", ".hdf5")
COUNTER = "num_batches_tracked"
"""How many batches a norm has seen. It takes no part in any result."""


@dataclass(frozen=True)
class Fitted:
    """weights: by our names; pairs: module and layer."""

    weights: Arrays
    pairs: tuple[tuple[str, str], ...]


def read_arrays(path: Path) -> Arrays:
    """The arrays of a .safetensors or .npz file, or of an HDF5 file of Keras, in order.

    Raises Failed E0604, E0902, E0904, E0905.
    """
    if path.suffix.lower() in HDF5:
        return read_bare(path)
    if path.suffix.lower() not in BARE:
        format_of(path)
        kinds = "bare weights are read from .safetensors, .npz and .hdf5 files"
        raise malformed(path, kinds, "import it without --spec")
    if path.suffix.lower() != ".npz":
        return read_weights(path)[0]
    try:
        with open(path, "rb") as whole, np.load(whole, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise malformed(path, "it is no .npz file of plain arrays") from error


def fitted(arrays: Arrays, graph: Graph, path: Path) -> Fitted:
    """The arrays as weights of graph, in PyTorch's layout, or Keras' where they are of an HDF5 file.

    Raises Failed E0903 where layers or modules are left over.
    """
    convert = _of_keras if path.suffix.lower() in HDF5 else _of_pytorch
    modules = _modules(arrays)
    weights: dict[str, Array] = {}
    pairs = []
    lacking = []
    for layer, parts in _layers(graph).items():
        module = next((m for m in modules if _suits(convert(graph, layer, parts, modules[m]), graph, parts)), None)
        if module is None:
            lacking.append(f"{layer} {[list(graph.node(n).types[0].shape) for n in parts.values()]}")
            continue
        made = convert(graph, layer, parts, modules.pop(module))
        weights |= {name: np.ascontiguousarray(made[part], np.float32) for part, name in parts.items()}
        pairs.append((module, layer))
    if lacking or modules:
        left = [f"{m} {[list(a.shape) for a in parts.values()]}" for m, parts in modules.items()]
        what = [f"{len(lacking)} layers find no module that fits: {some(lacking)}"] if lacking else []
        what += [f"{len(left)} modules are left over: {some(left)}"] if left else []
        help = "the spec has to have the layers of the model whose weights these are, in their order"
        raise fail("E0903", f"`{path}` does not fit: {'; '.join(what)}", help=help)
    return Fitted(weights, tuple(pairs))


def _modules(arrays: Arrays) -> dict[str, dict[str, Array]]:
    found: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        module, _, part = name.rpartition(".")
        if part != COUNTER:
            found.setdefault(module, {})[part] = array
    return found


def _layers(graph: Graph) -> dict[str, dict[str, str]]:
    """Paths of layers with weights; for each the names of its weights by part."""
    found: dict[str, dict[str, str]] = {}
    for name, node in graph.items():
        if isinstance(node.op, Weight):
            layer, _, part = name.rpartition("/")
            found.setdefault(layer, {})[part] = name
    return found


def _suits(made: Arrays, graph: Graph, parts: Mapping[str, str]) -> bool:
    shapes = {part: graph.node(name).types[0].shape for part, name in parts.items()}
    return {part: array.shape for part, array in made.items()} == shapes


def _kind(layer: str) -> str:
    return layer.rpartition("/")[2].rpartition("_")[0]


def _of_keras(graph: Graph, layer: str, parts: Mapping[str, str], module: Arrays) -> Arrays:
    """As _of_pytorch."""
    rule = KERAS_KINDS.get(_kind(layer))
    return rule(module) if rule else {}


def _of_pytorch(graph: Graph, layer: str, parts: Mapping[str, str], module: Arrays) -> Arrays:
    """A module's arrays as the parts of one of our layers; none where it is of another kind."""
    kind = _kind(layer)
    rule = KINDS.get(kind)
    made = rule(module) if rule else {}
    kernel = made.get("kernel")
    if kind == "dense" and kernel is not None:
        made = {**made, "kernel": _rows_as_ours(kernel, _flattened(graph, parts["kernel"]))}
    return made


def _renamed(parts: Mapping[str, str], turn: Callable[[Array], Array] = lambda a: a) -> Callable[[Arrays], Arrays]:
    """Their part → ours; all that the module has must be known. Turned: what has more than one axis."""

    def made(module: Arrays) -> Arrays:
        if not set(module) <= set(parts):
            return {}
        return {parts[part]: turn(a) if a.ndim > 1 else a for part, a in module.items()}

    return made


def _filters_last(kernel: Array) -> Array:
    """[filters, channels, size...] → [size..., channels, filters]."""
    return np.moveaxis(kernel, (0, 1), (-1, -2))


def _recurrent(gates: Iterable[int], *, one_bias: bool) -> Callable[[Arrays], Arrays]:
    """One layer in one direction. gates: where ours stand among theirs."""
    order = list(gates)

    def sorted_(array: Array) -> Array:
        return np.concatenate([np.split(array, len(order))[i] for i in order])

    def made(module: Arrays) -> Arrays:
        if set(module) != {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}:
            return {}
        mine = {part: sorted_(a) for part, a in module.items() if len(a) % len(order) == 0}
        if len(mine) < len(module):
            return {}
        first, second = mine["bias_ih_l0"], mine["bias_hh_l0"]
        biases = {"bias": first + second} if one_bias else {"bias": first, "recurrent_bias": second}
        return {"kernel": mine["weight_ih_l0"].T, "recurrent": mine["weight_hh_l0"].T, **biases}

    return made


_KERNEL = _renamed({"weight": "kernel", "bias": "bias"}, _filters_last)
_AFFINE = _renamed({"weight": "gamma", "bias": "beta"})

KINDS: dict[str, Callable[[Arrays], Arrays]] = {
    "conv": _KERNEL,
    "depthwise_conv": _KERNEL,
    "conv_transpose": _KERNEL,
    "dense": _renamed({"weight": "kernel", "bias": "bias"}, np.transpose),
    "embedding": _renamed({"weight": "table"}),
    "prelu": _renamed({"weight": "slope"}),
    "batch_norm": _renamed({"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "variance"}),
    "layer_norm": _AFFINE,
    "group_norm": _AFFINE,
    "instance_norm": _AFFINE,
    "lstm": _recurrent((0, 1, 2, 3), one_bias=True),
    "gru": _recurrent((1, 0, 2), one_bias=False),
}


def _rows_as_ours(kernel: Array, picture: tuple[int, ...]) -> Array:
    """PyTorch flattens [channels, height, width], we [height, width, channels]: the rows change places."""
    if len(picture) < 2 or np.prod(picture) != len(kernel):
        return kernel
    *space, channels = picture
    rows = kernel.reshape(channels, *space, -1)
    return np.moveaxis(rows, 0, -2).reshape(kernel.shape)


def _flattened(graph: Graph, kernel: str) -> tuple[int, ...]:
    """The shape, without the batch axis, of the picture that a dense layer got flattened; () where it got none."""
    own = kernel.rpartition("/")[0]
    name = graph.operands(graph.users(kernel)[0])[0].node
    while graph.operands(name) and _keeps_order(graph.node(name), own):
        name = graph.operands(name)[0].node
        shape = graph.node(name).types[0].shape
        if len(shape) > 3:
            return tuple(int(size) for size in shape[1:] if not isinstance(size, Symbolic))
    return ()


def _keeps_order(node: Node, own: str) -> bool:
    """Whether numbers leave as they came: what reshapes, drops out, or belongs to the dense layer itself."""
    return node.layer is not None and (node.layer.kind in ("flatten", "reshape", "dropout") or node.layer.path == own)
