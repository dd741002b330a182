"""Definitions of a graph, or of a block: which tensors get names, and what is written in one go.

A tensor that one layer reads flows on with `->`, a branch that only a merge reads stands inside its list:

    y = [x -> conv(64, 1) -> relu, x -> max_pool(3, stride=1, pad=1)] -> concat -> relu

All others are named: what is read twice, operands of arithmetic, several results of one layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from graphdsl.interop.names import Namer
from graphdsl.interop.parts import Flow, Part

DEEPEST = 2
"""Lists inside each other; deeper ones get a name."""

SUMS = ("add", "subtract", "multiply", "average", "maximum", "minimum")

LONGEST_BRANCH = 8
"""Steps of a branch that stands in a list."""


class Body:
    """The definitions of parts, where some tensors have names already.

    known   tensors that stand above: their names
    kept    tensors that must be defined, with the words to define them by: `output class`, `out`; "" for any name
    called  how a part is written behind an arrow
    titled  whether the names of parts mean something here; in a block they are those of one use out of many

    lines   the definitions
    order   the parts in the order in which the text makes their weights
    """

    def __init__(
        self,
        parts: Sequence[Part],
        known: Mapping[str, str],
        kept: Mapping[str, str],
        namer: Namer,
        called: Callable[[Part], str],
        titled: bool = True,
    ) -> None:
        self.lines: list[str] = []
        self.order: list[Part] = []
        self._names = dict(known)
        self._namer = namer
        self._called = called
        self._titled = titled
        self._flow = Flow(parts, kept)
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
        maker = self._flow.maker.get(tensor)
        if maker is None or tensor in self._flow.kept or self._flow.reads(tensor) != 1:
            return False
        (reader,) = self._flow.readers[tensor]
        if len(maker.outputs) > 1 or maker.constant or reader.arithmetic:
            return False
        deep, long = self._depth[tensor]
        return len(reader.inputs) == 1 or (deep < DEEPEST and long <= LONGEST_BRANCH)

    def _define(self, part: Part) -> None:
        if part.constant:
            self._names[part.outputs[0]] = name = self._namer.name(part.name)
            self.lines.append(f"weight {name}: float[{part.texts['shape'].replace('x', ', ')}] = zeros")
            self.order.append(part)
            return
        text = self._written(part)
        self.lines.append(f"{', '.join(map(self._left_side, self._wanted(part)))} = {text}")

    def _wanted(self, part: Part) -> list[tuple[str, str]]:
        """Tensors that a part makes, and names for them."""
        several = len(part.outputs) > 1
        if not self._titled:
            return [(t, self._role(t) or part.word) for t in part.outputs]
        return [(t, f"{part.name}_{i}" if several else part.name) for i, t in enumerate(part.outputs, 1)]

    def _role(self, tensor: str) -> str:
        """`body` and `skip` of a sum or product, `stem` of several branches; "" for anything else."""
        readers = self._flow.readers.get(tensor, [])
        if len(readers) > 1:
            return "stem"
        if not readers or not (readers[0].arithmetic or readers[0].word in SUMS):
            return ""
        longest = max(self._depth.get(t, (0, 0))[1] for t in readers[0].inputs)
        return "body" if self._depth[tensor][1] == longest else "skip"

    def _left_side(self, wanted: tuple[str, str]) -> str:
        tensor, name = wanted
        if self._flow.kept.get(tensor):
            side = self._flow.kept[tensor]
            self._names[tensor] = side.rsplit(" ", 1)[-1]
            return side
        self._names[tensor] = self._namer.name(name)
        return self._names[tensor]

    def _written(self, part: Part) -> str:
        """A part with all that flows into it and has no name."""
        chain = [part]
        while len(chain[-1].inputs) == 1 and not chain[-1].arithmetic and self._inline(chain[-1].inputs[0]):
            chain.append(self._flow.maker[chain[-1].inputs[0]])
        first = chain[-1]
        operands = [self._operand(t) for t in first.inputs]
        self.order += reversed(chain)
        if first.arithmetic:
            chain.pop()
            left, right = first.texts.get("left"), first.texts.get("right")
            start = f"{left or operands[0]} {first.word} {right or operands[-1]}"
        else:
            start = f"[{', '.join(operands)}]" if len(operands) != 1 else operands[0]
        return " -> ".join([start, *self._calls(reversed(chain))])

    def _calls(self, steps: Iterable[Part]) -> Iterator[str]:
        """What stands behind the arrows; equal neighbours are written once: `res(64) * 3`."""
        for (call, _), equal in groupby(steps, lambda s: (self._called(s), s.outputs if s.alone else ())):
            count = len(list(equal))
            yield call if count == 1 else f"{call} * {count}"

    def _operand(self, tensor: str) -> str:
        return self._written(self._flow.maker[tensor]) if self._inline(tensor) else self._names[tensor]
