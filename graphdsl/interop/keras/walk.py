"""A tree of models and layers, walked call by call: every call becomes steps of one flat Net."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace

from graphdsl.interop.keras import attention, core, merges, norms, operations, recurrent, windows
from graphdsl.interop.keras.nodes import Node, Ref
from graphdsl.interop.keras.scene import Flow, Scene, Step
from graphdsl.interop.keras.stored import Weights
from graphdsl.interop.keras.structure import MODELS, Model, Unit
from graphdsl.interop.keras.table import RULES
from graphdsl.ir import Array
from graphdsl.report import fail

FAMILIES = (attention, core, merges, norms, operations, recurrent, windows)
"""Importing them fills RULES."""

MISREAD = (TypeError, ValueError, IndexError, KeyError, AttributeError, ArithmeticError)
"""What comes of a value of a sort that no rule expects: rules look at what they need, and a file may hold anything."""

MOST_CALLS = 100_000
Results = dict[tuple[str, int], tuple[Flow, ...]]


class Walk:
    """generation: whose rules hold; weights: where the file has some."""

    def __init__(self, scene: Scene, generation: int, weights: Weights | None) -> None:
        self.scene = scene
        self.generation = generation
        self.weights = weights
        self._uses: dict[str, int] = {}
        self._calls = 0

    def model(
        self, model: Model, given: Sequence[Flow], path: tuple[Unit, ...], timed: bool = False
    ) -> tuple[Flow, ...]:
        """What a model makes of what flows into it."""
        if len(given) != len(model.inputs):
            raise fail("E0902", f"`{model.name}` takes {len(model.inputs)} tensors, and gets {len(given)}")
        known: Results = {(r.layer, r.node): (x,) for r, x in zip(model.inputs, given, strict=True)}
        for unit, number in self._in_order(model, known):
            read = [_result(known, ref) for ref in unit.nodes[number].refs]
            known[unit.name, number] = self.call(unit, unit.nodes[number], read, path, timed)
        return tuple(_result(known, ref) for ref in model.outputs)

    def _in_order(self, model: Model, known: Results) -> list[tuple[Unit, int]]:
        """Calls of layers, each after those that it reads; else in the order of the file. Raises E0902 for a cycle."""
        calls = [(u, n) for u in model.units for n in range(len(u.nodes)) if (u.name, n) not in known]
        place = {(u.name, n): i for i, (u, n) in enumerate(calls)}
        waiting = [len({(r.layer, r.node) for r in u.nodes[n].refs} & place.keys()) for u, n in calls]
        readers: list[list[int]] = [[] for _ in calls]
        for i, (u, n) in enumerate(calls):
            for key in {(r.layer, r.node) for r in u.nodes[n].refs} & place.keys():
                readers[place[key]].append(i)
        ready = [i for i, count in enumerate(waiting) if count == 0]
        order = []
        while ready:
            i = heapq.heappop(ready)
            order.append(calls[i])
            for reader in readers[i]:
                waiting[reader] -= 1
                _push_free(ready, waiting, reader)
        if len(order) < len(calls):
            left = next(calls[i][0].name for i, count in enumerate(waiting) if count)
            raise fail("E0902", f"`{left}` waits for itself: the model has a cycle")
        return order

    def call(self, unit: Unit, node: Node, read: list[Flow], path: tuple[Unit, ...], timed: bool) -> tuple[Flow, ...]:
        """One call of one layer."""
        self._calls += 1
        if self._calls > MOST_CALLS:
            raise fail("E0902", f"layers are called more than {MOST_CALLS:,} times")
        whole = (*path, unit)
        if unit.inner is not None:
            return self.model(unit.inner, read, whole, timed)
        if unit.kind == "TimeDistributed":
            return self.timed(unit, node, read, whole, timed)
        if unit.kind == "InputLayer":
            raise fail("E0902", f"{unit.where} is no input of its model")
        return self.apply(unit, self.step(unit, node, whole, timed), read)

    def timed(self, unit: Unit, node: Node, read: list[Flow], path: tuple[Unit, ...], timed: bool) -> tuple[Flow, ...]:
        """A layer, or a whole model, at every step of time."""
        inner = unit.wrapped[0]
        if timed:
            raise self.step(unit, node, path, timed).refuse("time within time")
        if inner.kind in MODELS and inner.inner is not None:
            return self.model(inner.inner, read, path, True)
        step = replace(self.step(unit, node, path, True), unit=inner)
        return self.apply(inner, step, read)

    def step(self, unit: Unit, node: Node, path: tuple[Unit, ...], timed: bool) -> Step:
        """What a rule is told of a call."""
        name = "/".join(u.name for u in path)
        uses = self._uses.get(name, 0)
        self._uses[name] = uses + 1
        arrays: tuple[Array, ...] | None = None
        if self.weights is not None and not uses and not unit.operation:
            arrays = self.weights.of(path)
        return Step(name, unit, arrays, uses, self.generation, timed, node)

    def apply(self, unit: Unit, step: Step, read: list[Flow]) -> tuple[Flow, ...]:
        """What the rule of a layer makes."""
        found = RULES.get(f"ops.{unit.kind}" if unit.operation else unit.kind)
        if found is None:
            raise step.refuse("the language has no such layer, nor what it could be put together from")
        if step.timed and not found.timed:
            raise step.refuse("the language cannot do it at every step of time")
        if not read or (len(read) > 1 and not found.many):
            raise fail("E0902", f"{unit.where} reads one tensor, and gets {len(read)}")
        try:
            made = found.translate(self.scene, step, read if found.many else read[0])
        except MISREAD as error:
            raise fail("E0902", f"{unit.where}: its config is not as Keras writes it: {str(error)[:100]}") from None
        return made if isinstance(made, tuple) else (made,)


def _push_free(ready: list[int], waiting: list[int], reader: int) -> None:
    if waiting[reader] == 0:
        heapq.heappush(ready, reader)


def _result(known: Results, ref: Ref) -> Flow:
    made = known[ref.layer, ref.node]
    if not 0 <= ref.tensor < len(made):
        raise fail("E0902", f"the model refers to result {ref.tensor} of `{ref.layer}`, which has {len(made)}")
    return made[ref.tensor]
