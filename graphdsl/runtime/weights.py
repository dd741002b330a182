"""Weights by name: how they begin, where they lie, how they are kept in files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from math import prod

import numpy as np

from graphdsl.backends import Backend, Memory, View
from graphdsl.ir import Array, Graph, Node, TensorType, Weight
from graphdsl.report import Span
from graphdsl.runtime.memory import amount, demanded

ALIGNMENT = 64

STATES = "optimizer/"
"""What the names of optimizer states begin with."""


class WeightStore(Mapping[str, Array]):
    """Every weight of a model, in the memory of a backend, by name. Reading one copies it.

    What optimizers keep beside weights is here too, under names that begin with STATES.

    version  grows whenever a weight may have changed, so that what was made of weights can be made anew
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.types: dict[str, TensorType] = {}
        self.version = 0
        self._views: dict[str, View] = {}
        self._places: dict[str, tuple[Memory, int]] = {}

    def add(self, graph: Graph, seed: int = 0) -> tuple[str, ...]:
        """Makes and initialises the weights of graph that are not here yet; gives their names.

        Each begins as its name and the seed say, so that a new layer does not change how the others begin.
        """
        new = [(name, node) for name, node in graph.items() if isinstance(node.op, Weight) and name not in self.types]
        self._make({name: node.types[0] for name, node in new}, {name: node.spans for name, node in new})
        for name, node in new:
            self[name] = initial(name, node, seed)
        return tuple(name for name, _ in new)

    @property
    def bytes(self) -> int:
        """What all of them take."""
        return sum(_bytes(type) for type in self.types.values())

    def forget(self, names: Iterable[str]) -> None:
        """Takes weights out. Programs that use them must not be run again."""
        for name in list(names):
            del self.types[name], self._views[name], self._places[name]

    def view(self, name: str) -> View:
        """Where the weight lies, as the backend knows it."""
        return self._views[name]

    def place(self, name: str) -> tuple[Memory, int]:
        """The memory it lies in, and at which byte it begins."""
        return self._places[name]

    def __getitem__(self, name: str) -> Array:
        return self.backend.download(self._views[name])

    def __setitem__(self, name: str, array: Array) -> None:
        """Fills a weight. array has its shape."""
        shape = self.types[name].bind({})
        assert array.shape == shape, f"{name}: {array.shape} into {shape}"
        self.backend.upload(self._views[name], array)
        self.version += 1

    def __iter__(self) -> Iterator[str]:
        return iter(self.types)

    def __len__(self) -> int:
        return len(self.types)

    def snapshot(self, names: Iterable[str] | None = None) -> dict[str, Array]:
        """Copies of the weights named, of all by default."""
        return {name: self[name] for name in (self.types if names is None else names)}

    def restore(self, snapshot: Mapping[str, Array]) -> None:
        """Puts back what a snapshot holds."""
        for name, array in snapshot.items():
            self[name] = array

    def move(self, backend: Backend) -> None:
        """All of them into the memory of another backend."""
        moved, types = self.snapshot(), self.types
        self.backend, self.types, self._views, self._places = backend, {}, {}, {}
        self._make(types, {})
        self.restore(moved)

    def _make(self, types: Mapping[str, TensorType], spans: Mapping[str, tuple[Span, ...]]) -> None:
        """Room for all of them in one piece of memory, in their order. E0602 points at the largest."""
        starts: dict[str, int] = {}
        size = 0
        for name, type in types.items():
            starts[name] = size
            size += -(-_bytes(type) // ALIGNMENT) * ALIGNMENT
        largest = max(types, key=lambda name: _bytes(types[name]), default="")
        span = next(iter(spans.get(largest, ())), None)
        with demanded(self.backend, "the model's weights", size, lambda: _narrower(largest, types), span):
            memory = self.backend.alloc(size)
        for name, type in types.items():
            self.types[name] = type
            self._places[name] = (memory, starts[name])
            self._views[name] = self.backend.view(memory, starts[name], type.bind({}), type.dtype)


def _bytes(type: TensorType) -> int:
    return prod(type.bind({})) * type.dtype.size


def _narrower(largest: str, types: Mapping[str, TensorType]) -> str:
    """What to do when memory is short."""
    if not largest:
        return "make layers narrower"
    type = types[largest]
    return f"make layers narrower; the largest weight is `{largest}` {list(type.shape)}, {amount(_bytes(type))}"


def initial(name: str, node: Node, seed: int) -> Array:
    """How the weight called name begins."""
    assert isinstance(node.op, Weight)
    own = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")
    generator = np.random.default_rng([seed, own])
    return node.op.init.sample(node.types[0].bind({}), generator).astype(node.types[0].dtype.numpy)
