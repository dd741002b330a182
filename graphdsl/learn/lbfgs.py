"""L-BFGS: steps along the gradient, bent by what the last steps have shown of how the loss curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from graphdsl.ir import Builder, TensorType, Value, Whole
from graphdsl.learn.optimizers import OPTIMIZERS, Filled, Optimizer, State, Stepped
from graphdsl.learn.schedules import Rate as LearningRate
from graphdsl.ops import expression, formula, sum_over
from graphdsl.report import dataclass

LEAST_CURVATURE = 1e-10
"""A step along which the gradient grew by less than this says nothing and is not remembered."""


@OPTIMIZERS.register("lbfgs")
@dataclass(frozen=True)
class Lbfgs(Optimizer):
    """Limited-memory BFGS with steps of fixed length: w = w - lr * H g, with H g from the last `history` changes of
    weight and gradient by the two-loop recursion. The first step is at most lr long, in the sum of absolute changes.

    lr        1: the whole step that the curvature suggests
    history   how many changes are remembered; each takes twice the memory of the weight

    There is no line search: every step asks for the gradient once, and nothing keeps the loss from growing where it
    curves otherwise than before; lower lr then. Each weight has a history of its own. Made for losses that are the same
    in every step, as of a picture that is learned; batches that change mislead it. For one weight it is
    torch.optim.LBFGS(max_iter=1), but for a test of how far the slope goes down, which ends torch's in the valley.

    Source: Liu and Nocedal 1989, algorithm 2.1; Nocedal 1980 for the recursion.
    """

    lr: LearningRate = 1.0
    history: Annotated[int, Whole(1, 100)] = 10

    @property
    def schedule(self) -> LearningRate:
        return self.lr

    def states(self, weight: TensorType) -> tuple[State, ...]:
        number = weight.with_shape((1,) * weight.rank)
        moves = (State(f"moved_{i}", weight) for i in range(self.history))
        bends = (State(f"bent_{i}", weight) for i in range(self.history))
        shares = (State(f"share_{i}", number) for i in range(self.history))
        last = (State("weight", weight), State("gradient", weight), State("scale", number, Filled(1.0)))
        return (*moves, *bends, *shares, *last, State("steps", weight.with_shape(())))

    def step(self, b: Builder, weight: Value, gradient: Value, states: tuple[Value, ...], rate: Value) -> Stepped:
        count = self.history
        old = states[:count], states[count : 2 * count], states[2 * count : 3 * count]
        before, slope, scale, steps = states[3 * count :]
        memory, scale = _remembered(b, old, (weight, before), (gradient, slope), scale, steps)
        way = _bent(b, gradient, memory, scale)
        size = _length(b, gradient)
        new = formula(b, _moved, weight, way, rate, steps, size, title="lbfgs")
        after = formula(b, lambda t: t + 1, steps, title="steps")
        return new, (*memory[0], *memory[1], *memory[2], weight, gradient, scale, after)


Memory = tuple[Sequence[Value], Sequence[Value], Sequence[Value]]
"""Of the last steps, the oldest first: how the weight moved, how the gradient changed by that, 1 / (their product)."""


def _moved(
    w: expression.Expression,
    way: expression.Expression,
    rate: expression.Expression,
    steps: expression.Expression,
    size: expression.Expression,
) -> expression.Scalar:
    return w - expression.where(steps > 0, rate, rate / expression.maximum(size, 1)) * way


def _remembered(
    b: Builder, old: Memory, weights: tuple[Value, Value], gradients: tuple[Value, Value], scale: Value, steps: Value
) -> tuple[Memory, Value]:
    """The memory with the step before this one in place of the oldest, if that says something; and y·s / y·y of it."""
    move = formula(b, lambda new, old: new - old, *weights, title="moved")
    bend = formula(b, lambda new, old: new - old, *gradients, title="bent")
    along, length = _product(b, move, bend), _product(b, bend, bend)
    share = formula(b, _share, along, steps, title="share")
    kept = [
        [
            formula(b, _kept, share, following, own, title="kept")
            for own, following in zip(row, (*row[1:], new), strict=True)
        ]
        for row, new in zip(old, (move, bend, share), strict=True)
    ]
    ratio = formula(b, lambda u, a, n, s: _kept(u, a / n, s), share, along, length, scale, title="scale")
    return (kept[0], kept[1], kept[2]), ratio


def _share(along: expression.Expression, steps: expression.Expression) -> expression.Scalar:
    """1 / (y·s); 0 where that step is not to be remembered, and before the first."""
    least = expression.maximum(along, LEAST_CURVATURE)
    return expression.where(steps > 0, expression.where(along > LEAST_CURVATURE, 1 / least, 0), 0)


def _kept(share: expression.Expression, new: expression.Scalar, old: expression.Expression) -> expression.Scalar:
    return expression.where(share > 0, new, old)


def _bent(b: Builder, gradient: Value, memory: Memory, scale: Value) -> Value:
    """H g: the two-loop recursion. What is not remembered yet has the share 0 and changes nothing."""
    steps = list(zip(*memory, strict=True))
    way = gradient
    taken = []
    for move, bend, share in reversed(steps):
        part = formula(b, lambda p, r: p * r, _product(b, move, way), share, title="part")
        way = formula(b, lambda q, a, y: q - a * y, way, part, bend, title="way")
        taken.append(part)
    way = formula(b, lambda q, s: q * s, way, scale, title="way")
    for (move, bend, share), part in zip(steps, reversed(taken), strict=True):
        back = formula(b, lambda p, r: p * r, _product(b, bend, way), share, title="back")
        way = formula(b, lambda r, a, c, s: r + s * (a - c), way, part, back, move, title="way")
    return way


def _product(b: Builder, x: Value, y: Value) -> Value:
    """The sum of x * y, with as many axes as they have."""
    each = formula(b, lambda p, q: p * q, x, y, title="product")
    return sum_over(b, each, tuple(range(x.type.rank)), keep=True)


def _length(b: Builder, x: Value) -> Value:
    each = formula(b, lambda v: abs(v), x, title="size")
    return sum_over(b, each, tuple(range(x.type.rank)), keep=True)
