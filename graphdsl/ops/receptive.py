"""How far a tensor sees: which steps of what flows in decide one of its steps.

    step j of the tensor is decided by the steps  stride * j + first  to  stride * j + last  of the inputs

Each operator maps what its operands see to what it sees. For a chain of convolutions over time this is the well-known
1 + sum of (size - 1) * dilation * strides before. Layers are taken as in use: batch_norm has fixed averages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import singledispatch
from math import floor, inf, isinf

from graphdsl.ir import Input, Operator, TensorType, Value
from graphdsl.ops.aggregate import Max
from graphdsl.ops.avg_pool import AvgPool
from graphdsl.ops.concat import Concat, Pad, Slice
from graphdsl.ops.conv import Conv, ConvInputGradient
from graphdsl.ops.cumulative import CumulativeSum
from graphdsl.ops.elementwise import Elementwise
from graphdsl.ops.embedding import Gather
from graphdsl.ops.gru import Gru
from graphdsl.ops.linear import MatMul
from graphdsl.ops.lstm import Lstm
from graphdsl.ops.mask import StepMask
from graphdsl.ops.max_pool import MaxPool
from graphdsl.ops.moments import Moments
from graphdsl.ops.noise import Dropout, GaussianNoise
from graphdsl.ops.norm import BatchNorm, Standardize
from graphdsl.ops.reduce import Broadcast, Sum
from graphdsl.ops.rnn import Rnn
from graphdsl.ops.shape import Reshape
from graphdsl.ops.softmax import Softmax
from graphdsl.ops.take import Cast
from graphdsl.report import dataclass

CLOSE = 1e-9
"""Strides of transposed convolutions are fractions."""


@dataclass(frozen=True)
class Sight:
    """Steps of the inputs that decide step j: from stride * j + first to stride * j + last.

    axis  on which the steps lie: 1, or 0 where samples and steps are rows of one matrix
    """

    stride: float = 1.0
    first: float = 0.0
    last: float = 0.0
    axis: int = 1

    @property
    def steps(self) -> int | None:
        """How many; None: there is no bound."""
        return None if isinf(self.last - self.first) else floor(self.last - self.first + CLOSE) + 1

    def over(self, size: int, stride: float, before: int, dilation: int = 1) -> Sight:
        """What a window sees of what sees this."""
        first = self.first - self.stride * before
        return Sight(self.stride * stride, first, self.last + self.stride * ((size - 1) * dilation - before), self.axis)


WHOLE = Sight(first=-inf, last=inf)
Seen = Sight | None
"""None: nothing of any input, as a weight."""


def sight_of(
    value: Value, operation: Callable[[Value], Operator], operands: Callable[[Value], Sequence[Value]]
) -> Seen:
    """What a tensor of a graph sees. operation, operands: how the graph tells what made a value, and of what."""
    known: dict[str, Seen] = {}
    waiting = [value]
    while waiting:
        top = waiting[-1]
        missing = [v for v in operands(top) if v.node not in known]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        known[top.node] = _seen(top, operation(top), operands(top), known)
    return known[value.node]


def _seen(value: Value, op: Operator, operands: Sequence[Value], known: Mapping[str, Seen]) -> Seen:
    if isinstance(op, Input):
        return Sight() if value.type.rank > 1 else None
    seen = [known[v.node] for v in operands]
    if not any(seen):
        return None
    return through(op, seen, [v.type for v in operands], value.type)


@singledispatch
def through(op: Operator, seen: Sequence[Seen], types: Sequence[TensorType], made: TensorType) -> Sight:
    """What an operator sees whose operands see this; of one that is not known here: everything."""
    return WHOLE


def _joined(seen: Iterable[Seen]) -> Sight:
    """What several see together, step by step."""
    real = [s for s in seen if s]
    if len({(s.stride, s.axis) for s in real if s != WHOLE}) != 1:
        return WHOLE
    some = next(s for s in real if s != WHOLE)
    return Sight(some.stride, min(s.first for s in real), max(s.last for s in real), some.axis)


@through.register(Elementwise)
@through.register(Softmax)
@through.register(BatchNorm)
@through.register(StepMask)
@through.register(Dropout)
@through.register(GaussianNoise)
@through.register(Gather)
@through.register(Cast)
@through.register(Broadcast)
def _step_by_step(op: Operator, seen: Sequence[Seen], types: Sequence[TensorType], made: TensorType) -> Sight:
    ranks = {t.rank for t, s in zip(types, seen, strict=True) if s}
    return _joined(seen) if len(ranks) == 1 or isinstance(op, Gather) else WHOLE


@through.register(Conv)
def _conv(op: Conv, seen: Sequence[Seen], types: Sequence[TensorType], made: TensorType) -> Sight:
    size = types[1].shape[0]
    if seen[0] is None or seen[1] is not None or not isinstance(size, int):
        return WHOLE
    return seen[0].over(size, op.stride[0], op.pad[0][0], op.dilation[0])


@through.register(ConvInputGradient)
def _conv_transpose(
    op: ConvInputGradient, seen: Sequence[Seen], types: Sequence[TensorType], made: TensorType
) -> Sight:
    """Step o takes part in the windows of steps (o + before - k * dilation) / stride."""
    size, x = types[1].shape[0], seen[0]
    if x is None or seen[1] is not None or not isinstance(size, int):
        return WHOLE
    step, before = x.stride / op.stride[0], op.pad[0][0]
    back = (size - 1) * op.dilation[0]
    return Sight(step, x.first + step * (before - back), x.last + step * before, x.axis)


@through.register(MaxPool)
@through.register(AvgPool)
def _pool(op: MaxPool | AvgPool, seen: Sequence[Seen], types: Sequence[TensorType], made: TensorType) -> Sight:
    return seen[0].over(op.size[0], op.stride[0], op.pad[0][0]) if seen[0] else WHOLE


@through.register(Lstm)
@through.register(Gru)
@through.register(Rnn)
def _recurrence(op: Lstm | Gru | Rnn, seen: Sequence[Seen], types: Sequence[TensorType], made: TensorType) -> Sight:
    return WHOLE


@through.register(CumulativeSum)
@through.register(Sum)
@through.register(Max)
@through.register(Moments)
@through.register(Standardize)
@through.register(Concat)
def _along(
    op: CumulativeSum | Sum | Max | Moments | Standardize | Concat,
    seen: Sequence[Seen],
    types: Sequence[TensorType],
    made: TensorType,
) -> Sight:
    """Step by step, unless steps are what it sums, counts or joins."""
    axes = (op.axis,) if isinstance(op, CumulativeSum | Concat) else op.axes
    found = _joined(seen)
    return WHOLE if {0, found.axis} & set(axes) else found


@through.register(Slice)
def _slice(op: Slice, seen: Sequence[Seen], types: Sequence[TensorType], made: TensorType) -> Sight:
    return _shifted(seen[0], op.start)


@through.register(Pad)
def _pad(op: Pad, seen: Sequence[Seen], types: Sequence[TensorType], made: TensorType) -> Sight:
    return _shifted(seen[0], tuple(-before for before in op.before))


def _shifted(seen: Seen, start: Sequence[object]) -> Sight:
    by = start[seen.axis] if seen else None
    return seen.over(1, 1, -by) if seen and isinstance(by, int) else WHOLE


@through.register(Reshape)
def _reshape(op: Reshape, seen: Sequence[Seen], types: Sequence[TensorType], made: TensorType) -> Sight:
    """Steps stay where the first two axes do; or samples and steps become the rows of a matrix, or stop being that."""
    (x,), (old,) = seen, types
    assert x is not None, "some operand sees something"
    new = made.shape
    if x.axis == 0:
        apart = len(new) > 1 and new[0] * new[1] == old.shape[0]
        return x if new[0] == old.shape[0] else Sight(x.stride, x.first, x.last, 1) if apart else WHOLE
    if new[:2] == old.shape[:2]:
        return x
    return Sight(x.stride, x.first, x.last, 0) if new[0] == old.shape[0] * old.shape[1] else WHOLE


@through.register(MatMul)
def _matmul(op: MatMul, seen: Sequence[Seen], types: Sequence[TensorType], made: TensorType) -> Sight:
    x = seen[0]
    rows = x is not None and x.axis < types[0].rank - 1
    return x if x is not None and rows and not op.transpose_a and seen[1] is None else WHOLE
