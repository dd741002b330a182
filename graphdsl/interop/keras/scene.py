"""What rules write into: the steps of a Net so far, and what is known of each tensor.

Keras' tensors have their features last or first; ours have them last. A Flow says both: its shape as Keras sees it, and
which of Keras' axes each of ours is. So a model that is channels_first throughout becomes one that is channels-last
without a single transposition, and where Keras mixes both, transpositions stand where they are needed.

    Keras  [3, 224, 200]     order (1, 2, 0)     ours  [224, 200, 3]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from graphdsl.interop.keras.nodes import Node
from graphdsl.interop.keras.options import Options
from graphdsl.interop.keras.structure import Unit
from graphdsl.interop.net import Layer
from graphdsl.interop.refusal import cannot_say, unfit
from graphdsl.ir import LAYERS, Array
from graphdsl.report import Failed, dataclass

Dims = tuple[int | None, ...]
"""Sizes without the batch axis; None where a size is free."""

INNER = "(state)"
"""The name of a tensor that stays within its layer: a recurrent layer's state, which nobody may read."""

ARITHMETIC = ("+", "-", "*", "/", "weight")


@dataclass(frozen=True)
class Flow:
    """A tensor.

    name    in the Net
    shape   as Keras sees it
    order   our axis i is Keras' axis order[i]
    port    the input whose numbers these are, unchanged; or nothing
    masked  the layer that says which steps are padding; or nothing
    """

    name: str
    shape: Dims
    order: tuple[int, ...]
    port: str = ""
    masked: str = ""

    @property
    def ours(self) -> Dims:
        """The sizes in the order of our axes."""
        return tuple(self.shape[axis] for axis in self.order)

    @property
    def rank(self) -> int:
        return len(self.shape)


@dataclass(frozen=True)
class Step:
    """One call of one layer.

    name        with those of the models that it is in: `encoder/conv_1`
    arrays      its weights as Keras 2 and 3 order them, or None where the file has none
    uses        how often this layer was called before
    generation  1, 2 or 3: whose rules hold
    timed       called by TimeDistributed: the first axis is time, and the layer sees what is behind it
    node        what it was called with
    """

    name: str
    unit: Unit
    arrays: tuple[Array, ...] | None
    uses: int
    generation: int
    timed: bool = False
    node: Node = Node(())

    @property
    def kind(self) -> str:
        return self.unit.kind

    @property
    def options(self) -> Options:
        return self.unit.options

    def refuse(self, why: str, help: str = "") -> Failed:
        """E0901, by the name that Keras has for it."""
        return cannot_say(self.name, str(self.options.raw("written_as") or self.kind), why, help)

    def parts(self, **shapes: Sequence[int | None]) -> dict[str, Array]:
        """The arrays by these names, in this order; nothing where the file has none.

        Raises E0903 where they are more or fewer, or of other shapes. None stands for any size.
        """
        if self.arrays is None:
            return {}
        if len(self.arrays) != len(shapes):
            raise unfit(self.name, f"the file has {len(self.arrays)} arrays, and the layer needs {len(shapes)}")
        for (part, shape), array in zip(shapes.items(), self.arrays, strict=True):
            fits = len(shape) == array.ndim and all(s in (None, n) for s, n in zip(shape, array.shape, strict=True))
            if not fits:
                raise unfit(self.name, f"{part} is {list(array.shape)} in the file, and {list(shape)} is needed")
        return dict(zip(shapes, self.arrays, strict=True))


class Scene:
    """The Net in the making. Layers that are called again share the weights of their first call."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.ports: dict[str, Flow] = {}
        self.vocabulary: dict[str, int] = {}
        self.numbers: set[str] = set()
        self.same_lengths = False
        self.turned: dict[str, Dims] = {}
        self.notes: dict[str, list[str]] = {}
        self._names: set[str] = set()

    def note(self, what: str, layer: str = "") -> None:
        """A line of the head comment, followed by the layers that it is true of."""
        told = self.notes.setdefault(what, [])
        if layer and layer not in told:
            told.append(layer)

    def unique(self, wanted: str) -> str:
        """A name that no tensor has yet."""
        found, number = wanted, 2
        while found in self._names:
            found, number = f"{wanted}_{number}", number + 1
        self._names.add(found)
        return found

    def emit(
        self,
        step: Step,
        word: str,
        inputs: Iterable[str],
        settings: Mapping[str, Any] | None = None,
        weights: Mapping[str, Array] | None = None,
        tag: str = "",
        learns: bool = False,
    ) -> str:
        """One layer; the name of what it makes. learns: whether it has weights, given or not."""
        read = tuple(inputs)
        if INNER in read:
            raise step.refuse(
                "it reads the state of a recurrent layer, and in the language that stays within the layer"
            )
        if word not in LAYERS and word not in ARITHMETIC:
            raise step.refuse(f"the language has no `{word}`")
        first = f"{step.name}/{tag}" if tag else step.name
        name = self.unique(first)
        shares = first if learns and step.uses else ""
        given = {} if shares or weights is None else {n: np.asarray(w, np.float32) for n, w in weights.items()}
        self.layers.append(Layer(name, word, read, (name,), dict(settings or {}), given, shares))
        return name

    def apply(self, step: Step, word: str, x: Flow, *others: Flow, tag: str = "", **settings: Any) -> Flow:
        """A layer without weights that keeps the shape."""
        self.take_numbers(x, *others)
        name = self.emit(step, word, [x.name, *(o.name for o in others)], settings, tag=tag)
        return replace(x, name=name, port="")

    def take_numbers(self, *flows: Flow) -> None:
        """These are read as numbers, not as class indices."""
        self.numbers |= {f.port for f in flows if f.port}

    def made(self, x: Flow, name: str, ours: Dims, order: tuple[int, ...] | None = None) -> Flow:
        """What became of x: a tensor of this shape in our order, with Keras' axes in the same order as those of x."""
        order = x.order if order is None else order
        shape: list[int | None] = [None] * len(ours)
        for axis, size in zip(order, ours, strict=True):
            shape[axis] = size
        keeps_time = len(ours) > 1 and x.rank > 1
        return Flow(name, tuple(shape), order, masked=x.masked if keeps_time else "")

    def arranged(self, step: Step, x: Flow, order: tuple[int, ...]) -> Flow:
        """x with our axes in this order: transposed where they are in another."""
        if x.order == order:
            return x
        if _same_in_memory(x, order):
            name = self.emit(step, "reshape", [x.name], {"shape": [*(x.shape[a] for a in order)]}, tag="shaped")
        else:
            axes = [x.order.index(axis) for axis in order]
            name = self.emit(step, "transpose", [x.name], {"axes": axes}, tag="transpose")
            self.turned[name] = x.ours
        self.take_numbers(x)
        return replace(x, name=name, order=order, port="")

    def straight(self, step: Step, x: Flow) -> Flow:
        """x with its axes in Keras' order."""
        return self.arranged(step, x, tuple(range(x.rank)))

    def last(self, step: Step, x: Flow, axis: int) -> Flow:
        """x with this axis of Keras' (without the batch axis) as our last."""
        if not x.rank:
            raise step.refuse("it reads features, and gets one number for each sample")
        if x.order[-1] == axis:
            return x
        return self.arranged(step, x, (*(a for a in x.order if a != axis), axis))

    def features(self, step: Step, x: Flow) -> int:
        """How many features x has. Raises E0901 where that is free: kernels have a size."""
        if x.ours[-1] is None:
            raise step.refuse("the number of features that it reads is not in the file")
        return x.ours[-1]

    def spatial(self, step: Step, x: Flow, axes: int) -> Flow:
        """x with its features last, as the layer's data_format says where they are; a timed layer has time before.

        Raises E0901 for another rank.
        """
        lead = int(step.timed)
        if x.rank != axes + 1 + lead:
            raise step.refuse(f"it reads {axes + 1 + lead} axes, and gets {x.rank}: {list(x.shape)}")
        form = step.options.raw("data_format")
        first = form == "channels_first"
        if form not in (None, "channels_first", "channels_last", "default"):
            raise step.options.wrong("data_format", "channels_last or channels_first")
        last_first = (*range(lead + 1, x.rank), lead)
        return self.arranged(step, x, (*range(lead), *last_first) if first else tuple(range(x.rank)))


def _same_in_memory(x: Flow, order: tuple[int, ...]) -> bool:
    """Whether the numbers stand in the same order either way, since only axes of size 1 change places."""
    if None in x.shape:
        return False
    long = [a for a in order if x.shape[a] != 1]
    return long == [a for a in x.order if x.shape[a] != 1]


def axis_of(step: Step, x: Flow, key: str = "axis", default: int = -1) -> int:
    """An axis that a layer names, counted as Keras does with the batch axis, as one of x without it.

    Raises E0901 for the batch axis, and E0902 for an axis that x does not have.
    """
    return axis_at(step, x, step.options.integer(key, default), key)


def axis_at(step: Step, x: Flow, given: Any, key: str = "axis") -> int:
    """The same for an axis that is read already."""
    if type(given) is not int:
        raise step.options.wrong(key, "an axis")
    if given == 0 or given == -x.rank - 1:
        raise step.refuse("it works on the batch axis, and ours is never written")
    axis = given - 1 if given > 0 else given + x.rank
    if not 0 <= axis < x.rank:
        raise step.options.wrong(key, f"an axis of {list(x.shape)}")
    return axis
