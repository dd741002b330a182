"""What the numbers of an output stand for, where training has met names for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphdsl.ir import PROBABILITY, Array, Value
from graphdsl.lang import Spec
from graphdsl.learn import Plan, Reading, reading_of
from graphdsl.report import dataclass, fail

HALF = 0.5
TOP = 5
"""How many classes of a sample are named unless somebody asks for another number."""

Scored = tuple[str, float]
"""A class and its score."""


@dataclass(frozen=True)
class Classes:
    """The names of the classes that an output judges, in the order of their numbers, and how it does so."""

    names: tuple[str, ...]
    reading: Reading

    def of(self, values: Array) -> Any:
        """The name of the class that each of values speaks for, as nested lists; its number where it has no name.

        Of texts: one string each, the names joined by nothing where each is one character, else by spaces.
        """
        if self.reading is Reading.TEXT:
            return [self._text(row[row >= 0].tolist()) for row in values]
        if self.reading is Reading.CLASSES:
            chosen, count = values.argmax(-1), values.shape[-1]
        else:
            one = values[..., 0] if values.ndim > 1 and values.shape[-1] == 1 else values
            chosen, count = (one >= HALF).astype(np.int64), 2
        names = [*self.names, *map(str, range(len(self.names), count))]
        return np.array(names, dtype=object)[chosen].tolist()

    def _text(self, numbers: list[int]) -> str:
        names = [self.names[k] if k < len(self.names) else str(k) for k in numbers]
        return ("" if all(len(name) == 1 for name in self.names) and self.names else " ").join(names)


def classes_of(spec: Spec, plans: Sequence[Plan], names: Mapping[str, tuple[str, ...]]) -> dict[str, Classes]:
    """Of each output that a loss or metric compares with a target whose class names are known.

    names  of classes, by target; by output where they came with a network from elsewhere
    """
    found: dict[str, Classes] = {}
    for prediction, target in _pairs(plans):
        if target.node not in spec.targets or target.node not in names or target.type.kind.name == "boxes":
            continue
        if _is_embedding(prediction, target, plans):
            continue
        reading = reading_of(prediction.type, target.type)
        if reading in (Reading.CLASSES, Reading.TEXT) or (
            reading is Reading.YES_NO and prediction.type.kind == PROBABILITY
        ):
            outputs = [name for name, value in spec.outputs.items() if _same(value, prediction)]
            found |= {name: Classes(names[target.node], reading) for name in outputs}
    boxes = {name: None for name, value in spec.outputs.items() if value.type.kind.name == "detections"}
    own = {name: names[name] for name in spec.outputs if name in names and name not in found | boxes}
    return found | {name: Classes(known, _usual(spec.outputs[name])) for name, known in own.items()}


def top(values: Array, names: Sequence[str], count: int = TOP) -> list[list[Scored]]:
    """The classes with the highest scores of each sample, best first; of equal scores the first class.

    values  [n, …, classes]; what is between must be of size 1
    names   of the classes; `class 3` where they end
    """
    scores = values.reshape(len(values), values.shape[-1])
    known = [*names, *(f"class {number}" for number in range(len(names), scores.shape[1]))]
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return [[(known[i], float(row[i])) for i in chosen] for row, chosen in zip(scores, order, strict=True)]


def fitting(names: Sequence[str], sizes: Mapping[str, Any]) -> set[str]:
    """The outputs that tell as many classes as there are names. Raises E0518 where there is none.

    sizes  how many classes each output tells
    """
    found = {name for name, size in sizes.items() if size == len(names)}
    if not found:
        told = ", ".join(f"`{name}` has {size} classes" for name, size in sizes.items()) or "none tells classes"
        wanted = " or ".join(str(size) for size in dict.fromkeys(sizes.values()))
        help = f"give {wanted} names, one a class" if wanted else "leave the names out"
        raise fail("E0518", f"{len(names)} names of classes fit no output: {told}", help=help)
    return found


def ranked(values: Array) -> bool:
    """Whether each sample has one score a class: a row of numbers, with axes of size 1 before it at most."""
    return values.ndim > 1 and values.shape[-1] > 1 and values[:1].size == values.shape[-1] * len(values[:1])


def _pairs(plans: Sequence[Plan]) -> list[tuple[Value, Value]]:
    objectives = [o for plan in plans for o in plan.objectives]
    terms = [(t.prediction, t.target) for o in objectives for t in o.terms]
    judged = [(p, t) for p, t in terms if p is not None and t is not None]
    return [*judged, *((w.prediction, w.target) for o in objectives for w in o.watches)]


def _is_embedding(prediction: Value, target: Value, plans: Sequence[Plan]) -> bool:
    """Whether a class is not what is told, but what decides which vectors lie near to each other."""
    watches = [w for plan in plans for o in plan.objectives for w in o.watches]
    by_pairs = any(w.reading is Reading.EMBEDDINGS and _same(w.prediction, prediction) for w in watches)
    one_class = target.type.kind.name == "indices" and prediction.type.rank == 2 and target.type.rank == 1
    scores = prediction.type.channels
    return by_pairs or (one_class and scores != 1 and scores != target.type.kind.classes)


def _usual(output: Value) -> Reading:
    return Reading.TEXT if output.type.kind.name == "text" else Reading.CLASSES


def _same(one: Value, other: Value) -> bool:
    return (one.node, one.port) == (other.node, other.port)
