"""What is written while a graph is read: layers one after the other, and where each of ONNX's tensors is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite, prod
from typing import Any

import numpy as np

from graphdsl.interop.net import ARITHMETIC, WEIGHT, Layer
from graphdsl.interop.onnx.flow import NONE, Flow, Mix, Value, refined, regrouped, rejoined, thick, together
from graphdsl.interop.onnx.model import Model, Step
from graphdsl.interop.refusal import cannot_say
from graphdsl.ir import LAYERS, Array
from graphdsl.report import Failed, dataclass, fail

MOST_NUMBERS = 1 << 26
"""Of a matrix, or of a list of places, that a step is turned into."""


class Mixed(Exception):
    """A step brings samples of a batch together: then the whole graph is one sample. step: which, once it is known."""

    step: Step | None = None


class Turned(Exception):
    """An input had better come in another order of axes, or as class numbers: the reading begins anew."""

    def __init__(self, port: str, order: tuple[int, ...] = (), classes: int = 0, batch: int = 0) -> None:
        self.port, self.order, self.classes, self.batch = port, order, classes, batch


@dataclass(frozen=True)
class Reading:
    """How a graph is being read.

    batched   whether axis 0 is the batch; otherwise the whole graph is one sample
    sizes     stand-ins for sizes that are known only at run time, by name
    orders    our axes of inputs, where they are not ONNX's
    classes   inputs that hold class numbers, and below which number
    batches   which axis of inputs is the batch, where it is not axis 0
    """

    batched: bool
    sizes: Mapping[str, int]
    orders: Mapping[str, tuple[int, ...]]
    classes: Mapping[str, int]
    batches: Mapping[str, int]


class Sheet:
    """The layers written so far, and the values of ONNX's tensors by name.

    samples  how many a batch holds, or a stand-in for that
    read     the tensors that a step or an output reads
    """

    def __init__(self, model: Model, reading: Reading) -> None:
        self.model, self.reading = model, reading
        self.samples = 1
        self.layers: list[Layer] = []
        self.values: dict[str, Value] = {}
        self.step = Step("input", "", (), (), {})
        self.read = {*model.outputs, *(i for s in model.steps for i in s.inputs)} - {""}
        self._made: dict[tuple[Any, ...], str] = {}
        self._names: set[str] = set()
        self._views: dict[str, tuple[str, tuple[int, ...]]] = {}

    # --- what a step reads -------------------------------------------------------------------------------------------

    def raw(self, index: int) -> Value | None:
        """An input of the step as it is, None where it is left out."""
        name = self.step.input(index)
        if not name:
            return None
        if name not in self.values:
            raise fail("E0902", f"{self.step.label} reads `{name}`, which nothing before it makes")
        return self.values[name]

    def value(self, index: int) -> Value | None:
        """An input of the step, None where it is left out. Whole numbers become floats, which operators reckon with."""
        found = self.raw(index)
        if isinstance(found, Flow) and found.groups:
            raise Mixed
        if not isinstance(found, Flow) or not found.classes:
            return found
        return replace(found, name=self.put("to_float", (found.name,))[0], classes=0)

    def flow(self, index: int) -> Flow:
        """An input of the step as a tensor that flows; a constant becomes a weight."""
        found = self.value(index)
        if found is None:
            raise fail("E0902", f"{self.step.label} has no input {index}")
        return found if isinstance(found, Flow) else self.weight(found)

    def raw_flow(self, index: int) -> Flow:
        """An input of the step that flows, as whole numbers if it holds such."""
        found = self.raw(index)
        return found if isinstance(found, Flow) else self.flow(index)

    def whole_flow(self, index: int) -> Flow:
        """The same, whose batch is not joined with other axes."""
        found = self.raw_flow(index)
        if found.groups:
            raise Mixed
        return found

    def fixed(self, index: int, what: str) -> Array:
        """An input of the step that must be known now. Raises E0901 where data decide it."""
        found = self.value(index)
        if isinstance(found, np.ndarray):
            return found
        if found is None:
            raise fail("E0902", f"{self.step.label} lacks {what}")
        raise self.refused(f"{what} depends on the input, and a spec needs it when the graph is built")

    def optional(self, index: int, what: str) -> Array | None:
        """The same, or None where it is left out."""
        return None if self.value(index) is None else self.fixed(index, what)

    def numbers(self, attribute: str, index: int) -> list[int] | None:
        """Whole numbers that older versions give as an attribute and newer ones as an input."""
        if self.step.get(attribute) is not None:
            return [int(n) for n in self.step.get(attribute)]
        found = self.optional(index, f"`{attribute}`") if index else None
        return None if found is None else [int(n) for n in np.ravel(found)]

    def wants(self, index: int) -> bool:
        """Whether anybody reads this result of the step."""
        return self.step.output(index) in self.read

    def refused(self, why: str, help: str = "") -> Failed:
        """E0901 about this step, to be raised."""
        return cannot_say(self.step.name, self.step.op, why, help)

    def demand_small(self, numbers: int, what: str) -> None:
        """Refuses what would take too much memory to work out."""
        if numbers > MOST_NUMBERS:
            raise self.refused(f"{what} would hold {numbers:,} numbers, and at most {MOST_NUMBERS:,} are worked out")

    # --- what it writes ----------------------------------------------------------------------------------------------

    def put(
        self,
        word: str,
        inputs: Sequence[str],
        settings: Mapping[str, Any] | None = None,
        weights: Mapping[str, Array] | None = None,
        outputs: int = 1,
    ) -> tuple[str, ...]:
        """One layer; the names of what it makes. The same layer of the same tensors is not written twice."""
        self._demand_word(word, settings or {})
        key = (word, tuple(inputs), repr(settings or {}))
        if not weights and key in self._made and outputs == 1:
            return (self._made[key],)
        wanted = [n for n in self.step.outputs if n][:outputs]
        names = tuple(self._unique(w) for w in [*wanted, *[self.step.name] * (outputs - len(wanted))])
        parts = {part: np.asarray(a, np.float32) for part, a in (weights or {}).items()}
        self.layers.append(Layer(self.step.name, word, tuple(inputs), names, dict(settings or {}), parts))
        self._made[key] = names[0]
        return names

    def _demand_word(self, word: str, settings: Mapping[str, Any]) -> None:
        if word == WEIGHT or word in ARITHMETIC:
            return
        if word not in LAYERS:
            raise self.refused(f"the language has no `{word}`")
        if any(isinstance(v, float) and not isfinite(v) for v in settings.values()):
            raise self.refused("one of its numbers is infinite or none at all, and a spec has no word for that")
        unknown = set(settings) - {s.name for s in LAYERS[word].settings}
        if unknown:
            raise self.refused(f"`{word}` has no `{min(unknown)}`")

    def _unique(self, wanted: str) -> str:
        name, number = wanted, 2
        while name in self._names or name in self.model.constants:
            name, number = f"{wanted}#{number}", number + 1
        self._names.add(name)
        return name

    def claim(self, name: str) -> None:
        """Keeps a name for an input."""
        self._names.add(name)

    def unary(self, word: str, x: Flow, **settings: Any) -> Flow:
        """A formula of one tensor: the axes stay."""
        (name,) = self.put(word, (x.name,), settings)
        return replace(x, name=name)

    def then(self, x: Flow, word: str, weights: Mapping[str, Array] | None = None, **settings: Any) -> str:
        """A layer of one tensor; what it makes."""
        return self.put(word, (x.name,), settings, weights)[0]

    def scaled(self, x: Flow, word: str, number: float, left: bool = False) -> Flow:
        """x + 2, x * 2, or with left 2 - x, 2 / x; x itself where that changes nothing."""
        if (word, number) in (("+", 0), ("*", 1)) or (not left and (word, number) in (("-", 0), ("/", 1))):
            return x
        if not isfinite(number):
            raise self.refused(f"the number {number} has no word in a spec")
        told = int(number) if number == int(number) and abs(number) < 1e6 else float(number)
        return replace(x, name=self.put(word, (x.name,), {"left" if left else "right": told})[0])

    def weight(self, array: Array) -> Flow:
        """A constant tensor. In a batch it must be the same for all samples."""
        batch = 0 if self.reading.batched else NONE
        if batch == 0 and array.ndim and array.shape[0] == self.samples and (array == array[:1]).all():
            array = array[:1]
        if batch == 0 and (array.ndim == 0 or array.shape[0] != 1):
            raise Mixed
        order = tuple(range(1 if self.reading.batched else 0, array.ndim))
        shape = array.shape[1:] if self.reading.batched else array.shape
        name = self.constant(array.reshape(shape))
        whole = (self.samples, *shape) if self.reading.batched else array.shape
        return Flow(name, whole, order, batch, array.dtype.name)

    @staticmethod
    def sizes(shape: Sequence[int]) -> Any:
        """A shape as a setting: `7x7x128`, `[10]`."""
        return tuple(int(s) for s in shape) if len(shape) > 1 else [int(s) for s in shape]

    def constant(self, array: Array) -> str:
        """A constant tensor in our order; its name."""
        settings = {"shape": tuple(array.shape)}
        return self.put(WEIGHT, (), settings, {"": array})[0]

    # --- orders and shapes -------------------------------------------------------------------------------------------

    def arranged(self, x: Flow, order: Sequence[int]) -> Flow:
        """x with its axes in this order, all of them; a transpose or a reshape only where numbers must move."""
        x = self.plain(x)
        order = tuple(order)
        if x.order == order:
            return x
        if x.port and sorted(x.order) == sorted(order):
            raise Turned(x.port, order)
        target = tuple(a for a in order if a in x.order)
        left_out = tuple(a for a in x.order if a not in order)
        if any(x.shape[a] != 1 for a in left_out):
            raise Mixed
        if thick(x.shape, x.order) != thick(x.shape, target):
            whole = (*target, *left_out)
            (name,) = self.put("transpose", (x.name,), {"axes": [x.place(a) for a in whole]})
            x = replace(x, name=name, order=whole)
        return self.shown(x, order)

    def shown(self, x: Flow, order: Sequence[int]) -> Flow:
        """x with axes of size 1 put in or left out, so that its order is this one; nothing moves."""
        made = replace(x, order=tuple(order))
        return replace(made, name=self._reshaped(x, made.written))

    def _reshaped(self, x: Flow, shape: tuple[int, ...]) -> str:
        if x.written == shape:
            return x.name
        if not shape:
            return self.put("reduce_sum", (x.name,))[0]
        name, own = self._views.get(x.name, (x.name, x.written))
        if own == shape:
            return name
        if len(shape) == 1:
            return self.put("flatten", (name,))[0]
        kept = 0
        while own[kept : kept + 1] == shape[kept : kept + 1] and shape[kept] in self.reading.sizes.values():
            kept += 1
        (made,) = self.put("reshape", (name,), {"shape": self.sizes(shape[kept:])})
        self._views[made] = (name, own)
        return made

    def viewed(self, name: str, have: tuple[int, ...], shape: tuple[int, ...]) -> str:
        """A tensor of our shape `have` under another one."""
        flow = Flow(name, have, tuple(range(len(have))), NONE)
        return self._reshaped(flow, shape)

    def natural(self, x: Flow) -> Flow:
        """x with all of ONNX's axes in ONNX's order."""
        return self.arranged(x, x.axes)

    def plain(self, x: Flow) -> Flow:
        """x with its features in ONNX's order."""
        if x.mix is None:
            return x
        sizes = tuple(x.mix.sizes[a] for a in x.mix.order)
        (name,) = self.put("reshape", (x.name,), {"shape": self.sizes(sizes)})
        axes = [x.mix.order.index(a) for a in sorted(x.mix.order)]
        (name,) = self.put("transpose", (name,), {"axes": axes})
        return replace(x, name=self.put("flatten", (name,))[0], mix=None)

    def reshaped(self, x: Flow, shape: Sequence[int]) -> Flow:
        """ONNX's Reshape, in our order where that can be; a flattened picture keeps its features as they are."""
        shape = tuple(int(s) for s in shape)
        if prod(shape) != prod(x.shape):
            raise fail("E0902", f"{self.step.label}: {x.shape} cannot be reshaped to {shape}")
        if shape == x.shape:
            return x
        batch = self._batch_after(x, shape)
        if batch is None:
            return self._joined(x, shape)
        if x.mix is not None and len([s for s in _single(shape, batch) if s != 1]) == 1:
            return replace(x, shape=shape, batch=batch, order=_fat(shape, batch), port="")
        x = self.plain(x)
        inner = replace(x, shape=_single(x.shape, x.batch), order=x.order)
        order = regrouped(inner, _single(shape, batch))
        if order is not None:
            free = [a for a in range(len(shape)) if a != batch]
            made = replace(x, shape=shape, order=order or tuple(free[-1:]), batch=batch, port="")
            return replace(made, name=self._reshaped(x, made.written))
        if len(_fat(shape, batch)) == 1:
            name = self.put("flatten", (x.name,))[0]
            mix = Mix(tuple(1 if a == x.batch else s for a, s in enumerate(x.shape)), x.order)
            return Flow(name, shape, _fat(shape, batch), batch, x.dtype, mix=mix)
        return self.reshaped(self.arranged(replace(x, port=""), together(inner, _single(shape, batch))), shape)

    def _joined(self, x: Flow, shape: tuple[int, ...]) -> Flow:
        """A reshape that joins the batch with other axes. ONNX may cut it off again: our axes stay apart."""
        found = refined(x.shape, shape, x.batch) if x.shape[x.batch] > 1 else None
        if found is None:
            raise Mixed
        sizes, counts = found
        return rejoined(self.reshaped(x, sizes), counts)

    def _batch_after(self, x: Flow, shape: tuple[int, ...]) -> int | None:
        """Where the batch is after a reshape; None where it is joined with something."""
        if x.batch == NONE:
            return NONE
        before, size = prod(x.shape[: x.batch]), x.shape[x.batch]
        for axis, here in enumerate(shape):
            if here == size and prod(shape[:axis]) == before:
                return axis
        return None


def _single(shape: Sequence[int], batch: int) -> tuple[int, ...]:
    """The shape of one sample, with 1 where the batch stands."""
    return tuple(1 if a == batch else s for a, s in enumerate(shape))


def _fat(shape: Sequence[int], batch: int) -> tuple[int, ...]:
    return tuple(a for a, s in enumerate(shape) if s != 1 and a != batch)
