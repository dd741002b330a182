"""Pass: in which order the operations run.

Any topological order computes the same numbers; how much memory waits at the worst moment differs. The graph's own
order (forward, then backward as the sweep went) is a good one to begin with, with one weakness: whatever passes
append late, the updates above all, comes when every gradient is already in memory.

    own order    d w1, d w2, d w3, …, step w1, step w2, step w3     all gradients alive at once
    ours         d w3, step w3, d w2, step w2, d w1, step w1        one gradient alive

The rule: follow the own order, but whatever gives back at least as much memory as it takes runs as soon as it can.
Views take nothing, an update takes nothing because it is written into its weight, a sum of two dying values is
written into one of them.

An update waits until everybody else has read the weight's old value. Where an operation needs both the old value and
the update, waiting would never end; then the first that waits runs, and `lower` gives it a place of its own.

Assumes  nothing of the graph. sizes gives the bytes of a value.
Gives    the names of the operations that compute something some result needs (inputs, weights and constants are not
         among them), topological, the same for the same graph.
Leaves   where the memory is to `memory`.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable

from graphdsl.ir import Fusion, Graph, Role, Value

NOTHING = 256
"""Bytes that do not count: single numbers run as soon as they can, because much may wait for them."""

Slot = tuple[str, int]
"""A value by node and port."""


def order(graph: Graph, size: Callable[[Value], int]) -> tuple[str, ...]:
    """The names of the operations in the order they run in."""
    return tuple(_Schedule(graph, size).run())


class Roots:
    """Which memory a value lies in: a view lies in what it views."""

    def __init__(self, graph: Graph) -> None:
        self._below: dict[Slot, Slot] = {}
        for name, node in graph.items():
            if node.op.fusion is Fusion.VIEW:
                self._below[name, 0] = self.of(graph.operands(name)[0])

    def of(self, value: Value) -> Slot:
        """The value that owns the memory."""
        slot = (value.node, value.port)
        return self._below.get(slot, slot)


class _Schedule:
    """List scheduling with two queues in one heap: what frees memory, then all else, each in the graph's own order."""

    def __init__(self, graph: Graph, size: Callable[[Value], int]) -> None:
        self.graph = graph
        needed = graph.needed()
        self.names = [n for n, node in graph.items() if n in needed and node.op.fusion is not Fusion.SOURCE]
        self.position = {name: i for i, name in enumerate(self.names)}
        self.roots = Roots(graph)
        self.readers: dict[Slot, set[str]] = defaultdict(set)
        self.bytes: dict[Slot, int] = {}
        self.taken: dict[str, int] = {}
        self.reads: dict[str, tuple[Slot, ...]] = {}
        for name in self.names:
            self._add(name, size)
        self.pinned = {self.roots.of(r.value) for r in graph.results}
        self.writes = self._writes()
        self.writer = {slot: name for name, slots in self.writes.items() for slot in slots}
        self.waiting = {n: len({v.node for v in graph.operands(n)} & self.position.keys()) for n in self.names}
        self.heap: list[tuple[bool, int]] = []
        self.held: dict[str, None] = {}
        self.done: set[str] = set()

    def _add(self, name: str, size: Callable[[Value], int]) -> None:
        view = self.graph.node(name).op.fusion is Fusion.VIEW
        self.reads[name] = tuple({self.roots.of(v): None for v in self.graph.operands(name)})
        for slot in self.reads[name]:
            self.readers[slot].add(name)
        made = self.graph.values(name)
        self.taken[name] = 0
        for value in () if view else made:
            self.bytes[name, value.port] = size(value)
            self.taken[name] += self.bytes[name, value.port]

    def _writes(self) -> dict[str, list[Slot]]:
        """Operation -> the weights it may write to, one for each of its results."""
        found: dict[Slot, str] = {}
        for result in self.graph.of_role(Role.UPDATE):
            slot = self.roots.of(result.value)
            if slot[0] in self.position:
                found.setdefault(slot, result.name)
        writes: dict[str, list[Slot]] = defaultdict(list)
        for (node, _), weight in found.items():
            writes[node].append((weight, 0))
        return dict(writes)

    def run(self) -> list[str]:
        made: list[str] = []
        for name in self.names:
            if not self.waiting[name]:
                self._ready(name)
        while len(made) < len(self.names):
            name = self._next()
            if name not in self.done:
                self._finish(name)
                made.append(name)
        return made

    def _next(self) -> str:
        if self.heap:
            return self.names[heapq.heappop(self.heap)[1]]
        first = next(iter(self.held))
        del self.held[first]
        return first

    def _ready(self, name: str) -> None:
        if any(self.readers[slot] - {name} for slot in self.writes.get(name, ())):
            self.held[name] = None
        else:
            heapq.heappush(self.heap, (self._grows(name), self.position[name]))

    def _grows(self, name: str) -> bool:
        """Whether it takes more memory than it gives back."""
        taken = 0 if name in self.writes else self.taken[name]
        if taken <= NOTHING:
            return False
        last = [s for s in self.reads[name] if len(self.readers[s]) == 1 and s not in self.pinned]
        return taken > sum([self.bytes.get(s, 0) for s in last])

    def _finish(self, name: str) -> None:
        self.done.add(name)
        for slot in self.reads[name]:
            self.readers[slot].discard(name)
            self._one_less(slot)
        for user in self.graph.users(name):
            if user in self.position:
                self.waiting[user] -= 1
                self._ready_when_supplied(user)

    def _ready_when_supplied(self, name: str) -> None:
        if not self.waiting[name]:
            self._ready(name)

    def _one_less(self, slot: Slot) -> None:
        """A value has one reader less: its last reader may free it now, and who waits to overwrite it may run."""
        left = self.readers[slot]
        if len(left) == 1:
            (last,) = left
            if not self.waiting[last] and last not in self.held:
                heapq.heappush(self.heap, (self._grows(last), self.position[last]))
        writer = self.writer.get(slot)
        if writer in self.held and not any(self.readers[own] - {writer} for own in self.writes[writer]):
            del self.held[writer]
            heapq.heappush(self.heap, (False, self.position[writer]))
