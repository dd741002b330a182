"""Pass: from gradients to new weights.

An optimizer is a rule that emits graph: what it keeps beside a weight (states) and one step of its formula. So
updates are simplified, fused, drawn and run on every backend like everything else.

    gradient/w ─ guard ─ clip ─┐
    w ─────────────────────────┼─ step ──> update/w
    optimizer/w/momentum ──────┘      └──> update/optimizer/w/momentum

The rate is fed with every batch as the input `train/rate`, in the precision of the loss; some weights may take a
multiple of it. A state that is a scalar
beside a weight that is none (a count of steps) cannot depend on the weight, so all weights share one,
`optimizer/steps`.

The guard: a step whose loss is not finite must leave the weights alone, or the place where the first NaN came from
could never be found again. Where the loss is not finite, gradients and rate count as 0 and updates recorded by
operators (running averages) as not made; in the formulas that costs a scalar comparison, and fusion puts it into the
step.

Assumes  `gradient` has run; its results name the weights that learn.
Gives    an update for every such weight and for its states, in place of the gradient results.
Leaves   the order of reading and writing a weight to `order` and `lower`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from graphdsl.ir import Builder, Graph, Initializer, Place, Result, Role, TensorType, Value, Weight
from graphdsl.ops import expression, formula
from graphdsl.passes.total_loss import TOTAL

RATE = "train/rate"
"""The input that is fed the learning rate."""


class State(Protocol):
    """What a rule keeps beside a weight."""

    @property
    def name(self) -> str: ...

    @property
    def type(self) -> TensorType: ...

    @property
    def init(self) -> Initializer: ...


class UpdateRule(Protocol):
    """How a gradient changes a weight."""

    def states(self, weight: TensorType) -> Sequence[State]:
        """What is kept for a weight of this type."""

    def clip(self, b: Builder, gradients: Sequence[Value]) -> Sequence[Value]:
        """The gradients of all weights, cut down where the rule limits them."""

    def step(
        self, b: Builder, weight: Value, gradient: Value, states: tuple[Value, ...], rate: Value
    ) -> tuple[Value, tuple[Value, ...]]:
        """The weight and the states after a step."""


Bounds = Mapping[str, tuple[float, float]]
NO_RATES: Mapping[str, float] = MappingProxyType({})
NO_BOUNDS: Bounds = MappingProxyType({})


def update(graph: Graph, rule: UpdateRule, rates: Mapping[str, float] = NO_RATES, within: Bounds = NO_BOUNDS) -> Graph:
    """graph with the updates that rule makes of its gradients.

    rates   what the learning rate is multiplied with, by weight; 1 where nothing is said
    within  between which numbers a weight stays, by weight: what a step makes of it is put back there
    """
    gradients = graph.of_role(Role.GRADIENT)
    b = Builder.on(graph.with_results(()), merge=True)
    (loss,) = (r.value for r in graph.of_role(Role.LOSS) if r.name == TOTAL)
    finite = _finite(b, loss)
    for result in graph.results:
        if result.role is not Role.GRADIENT:
            b.result(result.name, result.role, _kept(b, graph, result, finite))
    with b.within(Place(path="update/gradients")):
        guarded = [formula(b, _or_zero, finite, r.value, title="guard") for r in gradients]
        clipped = rule.clip(b, guarded)
        rate = formula(b, _or_zero, finite, b.input(RATE, loss.type), title="guard")
    recorded: set[str] = set()
    for result, d in zip(gradients, clipped, strict=True):
        own = _times(b, rate, rates.get(result.name, 1))
        _step(b, rule, graph.value(result.name), d, own, recorded, within.get(result.name))
    return b.finish()


def _step(
    b: Builder,
    rule: UpdateRule,
    weight: Value,
    d: Value,
    rate: Value,
    recorded: set[str],
    bounds: tuple[float, float] | None,
) -> None:
    node = weight.node
    with b.within(Place(path=f"update/{node}")):
        states = tuple(_state(b, weight, s) for s in rule.states(weight.type))
        new, after = rule.step(b, weight, d, states, rate)
        new = _bounded(b, new, bounds)
    for old, value in zip((weight, *states), (new, *after), strict=True):
        if old.node not in recorded:
            b.update(old, value)
            recorded.add(old.node)


def _bounded(b: Builder, new: Value, bounds: tuple[float, float] | None) -> Value:
    if bounds is None:
        return new
    low, high = bounds
    return formula(b, lambda w: expression.maximum(expression.minimum(w, high), low), new, title="within")


def _times(b: Builder, rate: Value, factor: float) -> Value:
    with b.within(Place(path="update/rates")):
        return rate if factor == 1 else formula(b, lambda r: factor * r, rate, title="rate")


def _state(b: Builder, weight: Value, state: State) -> Value:
    shared = state.type.rank == 0 < weight.type.rank
    home = "optimizer" if shared else f"optimizer/{weight.node}"
    with b.within(Place(weights=home, reuse=True)):
        return b.weight(state.name, state.type.shape, state.init, dtype=state.type.dtype, trainable=False)


def _finite(b: Builder, loss: Value) -> Value:
    """Whether the total loss is a number: infinity and NaN minus themselves are not 0."""
    with b.within(Place(path=f"loss/{TOTAL}")):
        return formula(b, lambda x: expression.equal(x - x, 0), loss, title="finite")


def _or_zero(finite: expression.Expression, x: expression.Expression) -> expression.Scalar:
    return expression.where(finite, x, 0)


def _kept(b: Builder, graph: Graph, result: Result, finite: Value) -> Value:
    """The result; an update of a float weight only where the loss is finite."""
    if result.role is not Role.UPDATE or not result.value.type.dtype.is_float:
        return result.value
    with b.within(Place(path=f"update/{result.name}")):
        choose = expression.where
        return formula(b, choose, finite, result.value, graph.value(result.name), title="guard")


def learned(graph: Graph, names: Iterable[str] | None = None) -> tuple[str, ...]:
    """The weights that gradient steps may change: the trainable ones, or those of them that are named."""
    wanted = None if names is None else set(names)
    trainable = (name for name, node in graph.items() if isinstance(node.op, Weight) and node.op.trainable)
    return tuple(n for n in trainable if wanted is None or n in wanted)
