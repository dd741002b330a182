"""Pass for use: a sequence is read step by step, and what was read is remembered.

A model that writes a text reads its own last letter again and again. Over a whole window that costs as many steps for
each letter as the window is long. In the graph of one step the axis of time has one place, and what operations must
know of the steps before are states: inputs `state/NAME`, all 0 at first, and results of the same names, which are what
is fed at the next step.

    text [batch, T] ── embedding ── lstm ── dense ── softmax [batch, T, 65]

    text [batch, 1] ── embedding ──┬─ two products, a formula ──┬── dense ── softmax [batch, 1, 65]
               state/lstm/hidden ──┤                            ├── state/lstm/hidden
                 state/lstm/cell ──┘                            └── state/lstm/cell

Each operator says how it goes (`Operator.stream`): most do the same at one step as at all, recurrences and causal
convolutions remember, and who mixes steps that are not there yet is refused, by the name of its layer. The hard case is
what stands still and yet has a row for every step, as a learned table of positions:

    x [batch, T, 8] ──┐                        x [batch, 1, 8] ──┐
    table [T, 8] ──── add          =>          table[position] ─ add        state/position counts

So a value of no sequence is left alone, and read by rows where it meets one that moves.

Assumes  `specialise` has run for use. The sequences begin where the states are 0, so a summary (the last state) is what
         it would be of the steps so far.
Gives    the same outputs, a step at a time; states as inputs and results; no lengths: a step that is made is real.
Leaves   to the caller: to make no more steps than the classes of `state/position`, where that is among the states.
"""

from __future__ import annotations

from collections.abc import Collection
from math import prod

from graphdsl.ir import (
    Builder,
    Dim,
    DType,
    Fusion,
    Graph,
    Moving,
    Node,
    Place,
    Stepper,
    TensorType,
    TooLong,
    TypeRuleError,
    Value,
    names_of,
)
from graphdsl.ops import Gather, formula, reshape, transposed
from graphdsl.report import Failed, fail

CONTEXT = 1024
"""Steps that a growing state has room for where the sequence has no length of its own."""


def stream(graph: Graph, inputs: Collection[str], context: int = 0) -> Graph:
    """graph for one step of these inputs, whose steps stand on the axis behind the batch.

    context  how many steps may be made where that is bounded; 0: as many as the sequence has, CONTEXT where it is free,
             fewer where a table has rows for fewer
    Raises Failed E0409, which names the layer that needs later steps.
    """
    length = _length(graph, inputs)
    room = length if isinstance(length, int) else context or CONTEXT
    try:
        return _Streaming(graph, frozenset(inputs), Stepper(Builder(merge=True), length, room, _row)).run()
    except TooLong as error:
        return stream(graph, inputs, error.rows)


def _length(graph: Graph, inputs: Collection[str]) -> Dim:
    """How many steps the inputs have. Raises E0409 where one is no sequence or they differ."""
    types = {name: graph.node(name).types[0] for name in inputs}
    flat = [name for name, type in types.items() if type.rank < 2]
    if flat:
        raise fail("E0409", f"`{flat[0]}` is no sequence: {types[flat[0]].describe()}")
    lengths = {type.shape[1] for type in types.values()}
    if len(lengths) != 1:
        raise fail("E0409", "the sequences that come step by step have different lengths")
    return lengths.pop()


class _Streaming:
    """The fold. new: what has become of each node's results."""

    def __init__(self, graph: Graph, inputs: frozenset[str], stepper: Stepper) -> None:
        self.graph = graph
        self.inputs = inputs
        self.stepper = stepper
        self.b = stepper.b
        self.new: dict[str, tuple[Moving, ...]] = {}

    def run(self) -> Graph:
        needed = self.graph.needed()
        for name, node in self.graph.items():
            if name in needed:
                with self.b.within(Place(path=name, weights=name, layer=node.layer, spans=node.spans)):
                    self.new[name] = self._node(name, node)
        for result in self.graph.results:
            self.b.result(result.name, result.role, self.new[result.value.node][result.value.port].value)
        if self.stepper.counts:
            position = self.stepper.position()
            one = self.b.constant(1, DType.INT32)
            self.stepper.carry(position, formula(self.b, lambda n, k: n + k, position, one, title="count"))
        return self.b.finish(drop_dead=True)

    def _node(self, name: str, node: Node) -> tuple[Moving, ...]:
        if name in self.inputs:
            return (self._input(name, node.types[0]),)
        operands = tuple(self.new[v.node][v.port] for v in self.graph.operands(name))
        if self._stands(node, operands):
            made = self.b.emit_all(node.op, *(o.value for o in operands), name=name, exact=True)
            so_far = any(o.so_far for o in operands)
            return tuple(Moving(v, t, None, so_far) for v, t in zip(made, node.types, strict=True))
        self.stepper.node, self.stepper.whole = name, node.types
        try:
            _demand_steps(operands)
            streamed = node.op.stream(self.stepper, *operands)
        except TypeRuleError as error:
            raise _refused(name, node, error) from None
        return tuple(Moving(v, t, a, a is None) for (v, a), t in zip(streamed, node.types, strict=True))

    def _input(self, name: str, whole: TensorType) -> Moving:
        single = whole.with_shape(self.stepper.single(whole, 1))
        return Moving(self.b.input(name, single), whole, 1)

    def _stands(self, node: Node, operands: tuple[Moving, ...]) -> bool:
        """Whether the operation has nothing to do with steps."""
        if any(o.axis is not None for o in operands):
            return False
        free = names_of(self.stepper.length)
        mentions = any(free & names_of(size) for type in node.types for size in type.shape)
        return node.op.fusion is Fusion.SOURCE or not mentions


def _demand_steps(operands: tuple[Moving, ...]) -> None:
    """Raises TypeRuleError where a summary of all steps meets steps."""
    if any(o.so_far for o in operands) and any(o.axis is not None for o in operands):
        raise TypeRuleError("its first step needs what is known after the last one")


def _refused(name: str, node: Node, error: TypeRuleError) -> Failed:
    """What to tell of an operation that does not go step by step."""
    title = node.layer.path if node.layer else name
    message = f"`{title}` does not go step by step: {error.message}"
    return fail("E0409", message, next(iter(node.spans), None), help=error.help)


def _row(s: Stepper, still: Moving, axis: int) -> Value:
    """The row of this step along axis: [..., 1, ...]."""
    shape = still.whole.shape
    order = (axis, *(a for a in range(len(shape)) if a != axis))
    rest = tuple(shape[a] for a in order[1:])
    table = reshape(s.b, transposed(s.b, still.value, order), (shape[axis], prod(rest, start=1)))
    row = s.b.emit(Gather(), table, reshape(s.b, s.position(), (1,)))
    back = tuple(order.index(a) for a in range(len(shape)))
    return transposed(s.b, reshape(s.b, row, (1, *rest)), back)
