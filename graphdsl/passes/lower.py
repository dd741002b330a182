"""Pass: from a graph to a program: calls over buffers, every size a number, every place decided.

    graph                                   program for {batch: 32}
    x ── conv ── relu ── reshape ── y       conv(x, kernel -> arena 0), relu(arena 0 -> arena 0), result y = arena 0
    update of w: step(w, rate, d)           step(w, rate, d -> w)

What becomes of a value:
- an input, a weight: a buffer of its own, outside the arena;
- an operation on nothing but constants (a size as a number): computed here, a constant of the program;
- a view: the buffer of what it views, in another shape; no call;
- the new value of a weight: made in the weight itself or copied there last (see `place`);
- a result or an update that is the old value of a weight which changes: copied out before anything runs;
- what is made of nothing but constants and weights that stay: computed when weights change, not in every run, and kept
  apart from the arena, which programs share; the calls for it come first;
- all else: a block of the arena, perhaps that of an operand (see `place`, `memory`).

Assumes  modal operators are gone; binding has a number for every free dimension.
Gives    a Program. Results keep their memory to the end.
Leaves   which machine runs it, and how, to backends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from graphdsl.ir import (
    Array,
    Buffer,
    Call,
    DType,
    Fusion,
    Graph,
    Input,
    Node,
    Operator,
    Program,
    Role,
    Storage,
    Symbolic,
    TensorType,
    Value,
    Weight,
    collector_paused,
)
from graphdsl.ops import Elementwise, Slice, expression
from graphdsl.passes.memory import aligned, plan
from graphdsl.passes.order import Roots, Slot, order
from graphdsl.passes.place import Access, Home, Step, place, straight
from graphdsl.report import fail

MOST_FOLDED = 65_536
"""Numbers that a constant computed here may hold."""

COPY = Elementwise(expression.Operand(0), 1, title="copy")


def lower(graph: Graph, binding: Mapping[str, int], *, apart: int = 0) -> Program:
    """The program that runs graph with these sizes. apart: bytes of values up to which their memory is not used again.

    Raises Failed E0408 where a free size leaves nothing, or wants more than there is: a sequence too short for a
    window, or longer than there are positions.
    """
    with collector_paused():
        return _lower(graph, binding, apart)


def _lower(graph: Graph, binding: Mapping[str, int], apart: int) -> Program:
    read = _Reading(graph, binding)
    steps = read.steps()
    ends = {r.key: read.access(r.value) for r in graph.results if r.role is not Role.UPDATE}
    news = {r.name: read.access(r.value) for r in graph.of_role(Role.UPDATE) if r.value.node != r.name}
    weights = {name: read.access(graph.value(name)) for name in news}
    old = {(name, 0) for name in news} & {a.root for a in (*ends.values(), *news.values())}
    saves = [_copy(f"{name}/old", weights[name], _moved(weights[name], old)) for name in news if (name, 0) in old]
    ends = {key: _moved(a, old) for key, a in ends.items()}
    news = {name: _moved(a, old) for name, a in news.items()}
    steps = [*saves, *steps]
    direct = straight(steps, news)
    written = set(direct.values())
    steps += [_copy(f"update/{n}", a, weights[n]) for n, a in news.items() if n not in written]
    homes = read.homes | {root: Home(Storage.WEIGHT, name) for root, name in direct.items()}
    once = _once(steps, homes, {a.root for a in (*weights.values(), *news.values())})
    first = {step.name for step in once}
    steps = [*once, *(step for step in steps if step.name not in first)]
    kept, size = _kept(once)
    return replace(_assemble(read, steps, ends, homes | kept, apart), once=len(once), kept_bytes=size)


def _once(steps: Sequence[Step], homes: Mapping[Slot, Home], moving: set[Slot]) -> list[Step]:
    """The steps that give the same in every run, unless somebody else changes weights.

    moving: the weights that this program changes, and their new values.
    """
    stay = {Storage.WEIGHT, Storage.CONSTANT}
    fixed = {root for root, home in homes.items() if home.storage in stay} - moving
    found = []
    for step in steps:
        same = step.op.pure and step.reads and all(r.root in fixed for r in step.reads)
        if same and not any(a.root in moving for a in step.makes):
            fixed |= {a.root for a in step.makes}
            found.append(step)
    return found


def _kept(once: Sequence[Step]) -> tuple[dict[Slot, Home], int]:
    """Where what these make lies, one after another, and how many bytes that takes."""
    homes: dict[Slot, Home] = {}
    size = 0
    for made in (made for step in once for made in step.makes):
        homes[made.root] = Home(Storage.KEPT, made.root[0], offset=size)
        size += aligned(made.bytes)
    return homes, size


def _copy(name: str, source: Access, target: Access) -> Step:
    return Step(name, COPY, (source,), (target,))


def _moved(access: Access, old: set[Slot]) -> Access:
    """The access, to the saved copy where its root is among the old values that are saved."""
    return replace(access, root=(f"{access.root[0]}/old", 0)) if access.root in old else access


class _Reading:
    """Reads a graph with numbers for its sizes. homes: of the roots that lie outside the arena."""

    def __init__(self, graph: Graph, binding: Mapping[str, int]) -> None:
        self.graph = graph
        self.binding = dict(binding)
        self.roots = Roots(graph)
        self.homes: dict[Slot, Home] = {}
        self.constants: dict[str, Array] = {}
        self._accesses: dict[Value, Access] = {}
        self._ops: dict[Operator, Operator] = {}
        self._shapes: dict[tuple[object, ...], tuple[int, ...]] = {}

    def steps(self) -> list[Step]:
        """What has to be called, in order: views and constants are not called."""
        found = []
        for name in order(self.graph, lambda v: self.access(v).bytes):
            node = self.graph.node(name)
            if node.op.fusion is Fusion.VIEW:
                continue
            op = self._bound(node.op)
            reads = tuple(self.access(v) for v in self.graph.operands(name))
            if isinstance(op, Slice) and op is not node.op:
                _demand_within(op, reads[0].shape, name, node, self.binding)
            makes = tuple(self.access(v) for v in self.graph.values(name))
            if not self._folds(name, op, reads, makes):
                found.append(Step(name, op, reads, makes, node.spans))
        return found

    def _bound(self, op: Operator) -> Operator:
        known = self._ops.get(op)
        if known is None:
            known = self._ops[op] = op.bound(self.binding)
        return known

    def access(self, value: Value) -> Access:
        found = self._accesses.get(value)
        if found is None:
            found = self._accesses[value] = self._accessed(value)
        return found

    def _accessed(self, value: Value) -> Access:
        root = self.roots.of(value)
        if root not in self.homes:
            self._source(root[0], self.graph.node(root[0]))
        shape = self._shape(value.type, value.node)
        return Access(root, shape, value.type.dtype, prod(shape) * value.type.dtype.size)

    def _source(self, name: str, node: Node) -> None:
        if isinstance(node.op, Input):
            self.homes[name, 0] = Home(Storage.INPUT, name)
        elif isinstance(node.op, Weight):
            self.homes[name, 0] = Home(Storage.WEIGHT, name)
        elif node.op.fusion is Fusion.SOURCE:
            self._constant(name, node.op.bound(self.binding), (), node.types[0].dtype)

    def _folds(self, name: str, op: Operator, reads: Sequence[Access], makes: Sequence[Access]) -> bool:
        """Computes what depends on constants alone."""
        small = len(makes) == 1 and prod(makes[0].shape) <= MOST_FOLDED
        if not (op.pure and small and all(r.root[0] in self.constants for r in reads)):
            return False
        self._constant(name, op, tuple(self.constants[r.root[0]].reshape(r.shape) for r in reads), makes[0].dtype)
        return True

    def _constant(self, name: str, op: Operator, arrays: tuple[Array, ...], dtype: DType) -> None:
        made = op.reference(*arrays)
        assert not isinstance(made, tuple), f"{op.name} has several results"
        self.constants[name] = made.astype(dtype.numpy)
        self.homes[name, 0] = Home(Storage.CONSTANT, name)

    def _shape(self, type: TensorType, name: str) -> tuple[int, ...]:
        known = self._shapes.get(type.shape)
        if known is None:
            known = self._shapes[type.shape] = type.bind(self.binding)
            _demand_positive(known, type, name, self.graph.node(name), self.binding)
        return known


def _demand_positive(
    shape: tuple[int, ...], type: TensorType, name: str, node: Node, binding: Mapping[str, int]
) -> None:
    if all(size > 0 for size, dim in zip(shape, type.shape, strict=True) if isinstance(dim, Symbolic)):
        return
    given = ", ".join(f"{symbol} = {size}" for symbol, size in binding.items() if symbol != "batch")
    raise fail(
        "E0408",
        f"`{name}` would be {list(shape)} where {given}",
        node.spans[0] if node.spans else None,
        label=f"makes {type.describe()}",
        help="the samples are too small for this layer: give larger ones, or pad them",
    )


def _demand_within(op: Slice, full: tuple[int, ...], name: str, node: Node, binding: Mapping[str, int]) -> None:
    """Whether there is as much as a free size wants: positions for every step."""
    if (np.array(op.start, int) + np.array(op.size, int) <= full).all():
        return
    given = ", ".join(f"{symbol} = {size}" for symbol, size in binding.items() if symbol != "batch")
    raise fail(
        "E0408",
        f"`{name}` wants {list(op.size)} of {list(full)} where {given}",
        node.spans[0] if node.spans else None,
        help="the samples are too long for this layer: give shorter ones, or raise its limit",
    )


def _assemble(
    read: _Reading, steps: Sequence[Step], ends: Mapping[str, Access], homes: dict[Slot, Home], apart: int
) -> Program:
    homes, blocks = place(steps, homes, [a.root for a in ends.values()])
    offsets, size = plan(blocks, apart)
    table = _Table(homes, offsets)
    calls = tuple(
        Call(s.name, s.op, tuple(map(table.index, s.reads)), tuple(map(table.index, s.makes)), s.spans) for s in steps
    )
    results = {key: table.index(a) for key, a in ends.items()}
    sources = {root[0]: table.index(read.access(read.graph.value(root[0]))) for root in read.homes}
    of = {name: read.homes[name, 0].storage for name in sources}
    return Program(
        tuple(table.buffers),
        calls,
        size,
        {name: read.constants[name] for name in sources if of[name] is Storage.CONSTANT},
        {name: index for name, index in sources.items() if of[name] is Storage.INPUT},
        {name: index for name, index in sources.items() if of[name] is Storage.WEIGHT},
        results,
        read.binding,
    )


class _Table:
    """The buffers so far: one for every root and shape."""

    def __init__(self, homes: Mapping[Slot, Home], offsets: Sequence[int]) -> None:
        self.homes = homes
        self.offsets = offsets
        self.buffers: list[Buffer] = []
        self._known: dict[tuple[Slot, tuple[int, ...]], int] = {}

    def index(self, access: Access) -> int:
        key = (access.root, access.shape)
        if key not in self._known:
            self._known[key] = len(self.buffers)
            home = self.homes[access.root]
            offset = self.offsets[home.block] if home.storage is Storage.ARENA else home.offset
            self.buffers.append(Buffer(access.root[0], access.shape, access.dtype, home.storage, offset, home.key))
        return self._known[key]
