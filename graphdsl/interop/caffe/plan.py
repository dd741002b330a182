"""The graph that an importer builds, and tensors that know both how Caffe and how we lay them out.

Caffe has channels first, `[batch, C, H, W]`, we have features last, `[batch, H, W, C]`. A Blob says which axis of ours
is which of Caffe's, so that nothing is moved until some layer needs another order:

    Caffe's shape  (C, H, W)     as a Blob has it, without the batch axis
    axes           (1, 2, 0)     ours are H, W, C
    axes           (0,)          ours is C alone: H and W are 1 and left out, as a global pool does
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

from graphdsl.interop.names import legal
from graphdsl.interop.net import Layer
from graphdsl.ir import Array
from graphdsl.report import dataclass


@dataclass(frozen=True)
class Blob:
    """A tensor.

    tensor  its name in the Net
    shape   Caffe's, without the batch axis
    axes    for each axis of ours, which of shape it is; axes of size 1 may be missing
    was     of a flat tensor whose numbers are not in Caffe's order: what it was before it was made flat
    """

    tensor: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    was: Blob | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """Our shape, without the batch axis."""
        return tuple(self.shape[a] for a in self.axes)

    @property
    def whole_axes(self) -> tuple[int, ...]:
        """axes, with those that are missing behind."""
        return (*self.axes, *(a for a in range(len(self.shape)) if a not in self.axes))

    def with_tensor(self, tensor: str) -> Blob:
        return replace(self, tensor=tensor)


def features_last(rank: int) -> tuple[int, ...]:
    """Axes as our layers want them: channels, Caffe's first, are our last."""
    return (*range(1, rank), 0) if rank else ()


class Plan:
    """Collects layers; names of tensors are given once. Lives while one net is read."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self._taken: set[str] = set()
        self._again: Counter[str] = Counter()
        self._made: dict[tuple[str, tuple[str, ...]], str] = {}
        self._words: dict[str, str] = {}
        self._owners: dict[str, tuple[str, tuple[Any, ...]]] = {}

    def unique(self, wanted: str) -> str:
        """wanted, with a number behind it where a tensor, or what will be its name in a spec, is called so already."""
        name = wanted
        while legal(name) in self._taken:
            self._again[wanted] += 1
            name = f"{wanted}_{self._again[wanted] + 1}"
        self._taken.add(legal(name))
        return name

    def emit(
        self,
        name: str,
        word: str,
        inputs: Iterable[str],
        settings: Mapping[str, Any] | None = None,
        weights: Mapping[str, Array] | None = None,
        *,
        results: int = 1,
        shares: str = "",
    ) -> tuple[str, ...]:
        """Adds a layer and gives the names of its results. Settings that are None are left out."""
        told = {n: v for n, v in (settings or {}).items() if v is not None}
        unique = self.unique(name)
        made = (unique,) if results == 1 else tuple(self.unique(f"{unique}_{i + 1}") for i in range(results))
        self.layers.append(Layer(unique, word, tuple(inputs), made, told, weights or {}, shares))
        self._made.setdefault((word, self.layers[-1].inputs), made[0])
        self._words |= dict.fromkeys(made, word)
        return made

    def word_of(self, tensor: str) -> str:
        """The word that makes a tensor, "" for an input."""
        return self._words.get(tensor, "")

    def made(self, word: str, tensor: str) -> str | None:
        """What this word makes of a tensor, if it was written already."""
        return self._made.get((word, (tensor,)))

    def learned(
        self, name: str, word: str, x: Blob, settings: Mapping[str, Any], weights: Mapping[str, Array], owner: str
    ) -> str | None:
        """Adds a layer that has weights, or uses those of owner, a layer of Caffe that came before.

        None where owner is another kind of layer, has other settings or reads its features in another order: a spec's
        shared layer is the same everywhere.
        """
        told = {n: v for n, v in settings.items() if v is not None}
        alike = word, x.sizes[-1:], told, (x.was.shape, x.was.axes) if x.was else None
        shares, first = self._owners.get(owner, ("", alike))
        if first != alike:
            return None
        (made,) = self.emit(name, word, [x.tensor], told, {} if shares else weights, shares=shares)
        self._owners.setdefault(name, (made, alike))
        return made

    def arranged(self, blob: Blob, axes: tuple[int, ...]) -> Blob:
        """The same numbers with our axes in this order; of Caffe's axes only such of size 1 may be missing in it."""
        blob = self.in_order(blob)
        if blob.axes == axes:
            return blob
        if [a for a in blob.axes if blob.shape[a] > 1] != [a for a in axes if blob.shape[a] > 1]:
            blob = self._turned(blob, axes)
        return blob if blob.axes == axes else self._reshaped(blob, axes)

    def in_order(self, blob: Blob) -> Blob:
        """The same numbers; a flat tensor in Caffe's order."""
        if blob.was is None:
            return blob
        before = self._reshaped(replace(blob.was, tensor=blob.tensor, axes=()), blob.was.axes)
        return self.flat(self.arranged(before, tuple(range(len(before.shape)))))

    def flat(self, blob: Blob) -> Blob:
        """All numbers of a sample on one axis; where Caffe would have another order, the result remembers."""
        count = prod(blob.shape)
        kept = [a for a in blob.axes if blob.shape[a] > 1]
        tensor = blob.tensor
        if len(blob.axes) != 1:
            again = self.made("flatten", tensor)
            tensor = again or self.emit(f"{tensor}_flat", "flatten", [tensor])[0]
        if blob.was is not None:
            return replace(blob, tensor=tensor)
        return Blob(tensor, (count,), (0,), None if kept == sorted(kept) else blob)

    def _turned(self, blob: Blob, axes: tuple[int, ...]) -> Blob:
        whole = (*axes, *(a for a in blob.whole_axes if a not in axes))
        if set(blob.axes) != set(whole):
            blob = self._reshaped(blob, blob.whole_axes)
        order = [blob.axes.index(a) for a in whole]
        (tensor,) = self.emit(f"{blob.tensor}_turned", "transpose", [blob.tensor], {"axes": order})
        return replace(blob, tensor=tensor, axes=whole)

    def _reshaped(self, blob: Blob, axes: tuple[int, ...]) -> Blob:
        sizes = tuple(blob.shape[a] for a in axes)
        shape = sizes[0] if len(sizes) == 1 else sizes
        (tensor,) = self.emit(f"{blob.tensor}_shaped", "reshape", [blob.tensor], {"shape": shape})
        return replace(blob, tensor=tensor, axes=axes)
