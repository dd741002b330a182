"""Definitions of a graph, or of a block: which tensors get names, and what is written in one go.

A tensor that one layer reads flows on with `->`, a branch that only a merge reads stands inside its list:

    y = [x -> conv(64, 1) -> relu, x -> max_pool(3, stride=1, pad=1)] -> concat -> relu

All others are named: what is read twice, operands of arithmetic, several results of one layer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field

from graphdsl.interop.names import Namer
from graphdsl.interop.net import ARITHMETIC, WEIGHT, Layer
from graphdsl.interop.wording import call_text
from graphdsl.report import dataclass

DEEPEST = 2
"""Lists inside each other; deeper ones get a name."""

LONGEST_BRANCH = 8
"""Steps of a branch that stands in a list."""


@dataclass(frozen=True)
class Part:
    """A layer or a use of a block, ready to be written.

    texts   its settings
    layers  what it consists of, in the order in which their weights are made
    """

    name: str
    word: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    texts: Mapping[str, str]
    layers: tuple[Layer, ...] = field(repr=False)

    @property
    def arithmetic(self) -> bool:
        return self.word in ARITHMETIC


class Body:
    """The definitions of parts, where some tensors have names already.

    known   tensors that stand above: their names
    kept    tensors that must be defined, with the words to define them by: `output class`, `out`
    """

    def __init__(self, parts: Sequence[Part], known: Mapping[str, str], kept: Mapping[str, str], namer: Namer) -> None:
        self.lines: list[str] = []
        self.order: list[Layer] = []
        self._names = dict(known)
        self._kept = kept
        self._namer = namer
        self._maker = {t: p for p in parts for t in p.outputs}
        self._reads = Counter(t for p in parts for t in p.inputs)
        self._reader = {t: p for p in parts for t in p.inputs}
        self._depth: dict[str, tuple[int, int]] = {}
        for part in parts:
            self._measure(part)
        for part in parts:
            if not all(self._inline(t) for t in part.outputs):
                self._define(part)

    def name_of(self, tensor: str) -> str:
        return self._names[tensor]

    def _measure(self, part: Part) -> None:
        """How many lists stand inside each other in what would be written for a part, and how many steps."""
        inner = [self._depth[t] for t in part.inputs if t in self._depth and self._inline(t)]
        deep = max((d for d, _ in inner), default=0) + (len(part.inputs) > 1 and not part.arithmetic)
        for tensor in part.outputs:
            self._depth[tensor] = deep, 1 + max((n for _, n in inner), default=0)

    def _inline(self, tensor: str) -> bool:
        """Whether a tensor is written where it is read."""
        maker, reader = self._maker.get(tensor), self._reader.get(tensor)
        if maker is None or reader is None or tensor in self._kept or self._reads[tensor] > 1:
            return False
        if len(maker.outputs) > 1 or maker.word == WEIGHT or reader.arithmetic:
            return False
        deep, long = self._depth[tensor]
        return len(reader.inputs) == 1 or (deep < DEEPEST and long <= LONGEST_BRANCH)

    def _define(self, part: Part) -> None:
        if part.word == WEIGHT:
            self._names[part.outputs[0]] = name = self._namer.name(part.name)
            self.lines.append(f"weight {name}: float[{part.texts['shape'].replace('x', ', ')}] = zeros")
            self.order.extend(part.layers)
            return
        text = self._written(part)
        self.lines.append(f"{', '.join(map(self._left_side, self._wanted(part)))} = {text}")

    def _wanted(self, part: Part) -> list[tuple[str, str]]:
        """Tensors that a part makes, and names for them."""
        several = len(part.outputs) > 1
        return [(t, f"{part.name}_{i}" if several else part.name) for i, t in enumerate(part.outputs, 1)]

    def _left_side(self, wanted: tuple[str, str]) -> str:
        tensor, name = wanted
        if tensor in self._kept:
            side = self._kept[tensor]
            self._names[tensor] = side.rsplit(" ", 1)[-1]
            return side
        self._names[tensor] = self._namer.name(name)
        return self._names[tensor]

    def _written(self, part: Part) -> str:
        """A part with all that flows into it and has no name."""
        chain = [part]
        while len(chain[-1].inputs) == 1 and not chain[-1].arithmetic and self._inline(chain[-1].inputs[0]):
            chain.append(self._maker[chain[-1].inputs[0]])
        first = chain.pop()
        texts = [self._start(first)]
        for step in reversed(chain):
            texts.append(call_text(step.word, step.texts))
            self.order.extend(step.layers)
        return " -> ".join(texts)

    def _start(self, part: Part) -> str:
        operands = [self._flow(t) for t in part.inputs]
        self.order.extend(part.layers)
        if part.arithmetic:
            left, right = part.texts.get("left"), part.texts.get("right")
            return f"{left or operands[0]} {part.word} {right or operands[-1]}"
        flow = f"[{', '.join(operands)}]" if len(operands) != 1 else operands[0]
        return f"{flow} -> {call_text(part.word, part.texts)}"

    def _flow(self, tensor: str) -> str:
        return self._written(self._maker[tensor]) if self._inline(tensor) else self._names[tensor]
