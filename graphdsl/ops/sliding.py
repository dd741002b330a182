"""A network that judges crops, slid over a picture in one pass: what windows share is worked out once.

Every operation of the crop's graph says what becomes of it on the whole picture. There are three kinds of tensors:

    Still   the same for every crop: a weight, a constant
    Map     a crop's [h, w, c] is h x w neighbouring places of one large map; the next window's begin a bit further
    Each    a tensor for every window, in rows: [batch * windows, ...]

    crop     [32, 32, 3] ── conv(8, 5) ── max_pool(2) ── [14, 14, 8] ── flatten ── dense(10) ── [10]
    picture  [96, 64, 3] ── conv(8, 5) ── max_pool(2) ── [46, 30, 8] ── conv(10, 14) ── [33, 17, 10]

Convolutions and pools without padding stay what they are. A dense layer over a flattened map becomes a convolution with
a kernel as large as the map of a crop: the same weights in the same order. Further dense layers work on rows, which is
what a 1x1 convolution does. A pool over all of a crop becomes a pool over a window. What reads a crop in another way
is done window by window from there on. What no map can tell, because in a picture there is something else beside the
crop than in the crop (padding), or because it would differ from window to window before the map ends, is refused.

Source: Sermanet et al. 2013, "OverFeat"; Long et al. 2015, "Fully convolutional networks".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import singledispatch
from math import prod
from typing import Any

from graphdsl.ir import (
    BATCH,
    Builder,
    Dim,
    Operator,
    Symbolic,
    TensorType,
    TypeRuleError,
    Value,
    evaluate,
    names_of,
)
from graphdsl.ops.aggregate import Max
from graphdsl.ops.avg_pool import AvgPool
from graphdsl.ops.concat import Concat, Pad, Slice
from graphdsl.ops.conv import Conv
from graphdsl.ops.elementwise import Elementwise, formula
from graphdsl.ops.linear import MatMul
from graphdsl.ops.max_pool import GlobalMaxPool, MaxPool
from graphdsl.ops.moments import Moments
from graphdsl.ops.noise import Dropout, GaussianNoise
from graphdsl.ops.norm import BatchNorm, Standardize
from graphdsl.ops.reduce import Sum
from graphdsl.ops.shape import Reshape, Transpose, reshape, transposed
from graphdsl.ops.softmax import Softmax
from graphdsl.ops.taps import Taps, picked
from graphdsl.ops.window import Sizes
from graphdsl.report import dataclass

SPACE = (1, 2)
"""The axes of height and width."""
CHANNELS = 3
NO_PAD = ((0, 0), (0, 0))
SLIDING = Conv | MaxPool | AvgPool
"""What moves a window over a map."""


@dataclass(frozen=True)
class Still:
    """The same for every crop."""

    value: Value


@dataclass(frozen=True)
class Map:
    """What crops share.

    value    [batch, rows, columns, channels] of the picture
    whole    what it is of one crop: [batch, *spatial, channels], or these numbers in row order under another shape
    spatial  how many places of it belong to one crop
    step     how many pixels of the picture lie between two places
    """

    value: Value
    whole: TensorType
    spatial: Sizes
    step: Sizes

    @property
    def plain(self) -> bool:
        """Whether it still has the shape of a map."""
        return self.whole.shape == (BATCH, *self.spatial, self.value.type.channels)


@dataclass(frozen=True)
class Each:
    """What every window has of its own: whole is the type for one crop; value has the numbers, window after window."""

    value: Value
    whole: TensorType


State = Still | Map | Each
States = tuple[State, ...]


@dataclass
class Slider:
    """The picture's side of a fold over the crop's graph.

    windows  how many there are, down and across
    stride   how many pixels lie between two
    name     of the operation at hand
    work     multiplications and additions of one picture so far
    """

    b: Builder
    windows: Sizes
    stride: Sizes
    name: str = ""
    work: int = 0

    def emit(self, op: Operator, *operands: Value) -> tuple[Value, ...]:
        """The results of op, which is called as in the crop."""
        made = self.b.emit_all(op, *operands, name=self.name, exact=True)
        self.work += flops_of(op, operands, made)
        return made

    def rows(self, x: State) -> Value:
        """One tensor for every window, side by side along the batch."""
        if isinstance(x, Still):
            return x.value
        own = x if isinstance(x, Each) else self.apart(x)
        return reshape(self.b, own.value, _spread(own.whole.shape, self._many()))

    def grid(self, x: Map | Each) -> Value:
        """[batch, rows, columns, ...]: where the windows are."""
        own = x if isinstance(x, Each) else self.apart(x)
        return reshape(self.b, own.value, (BATCH, *self.windows, *own.whole.shape[1:]))

    def many(self, op: Operator) -> Operator:
        """op for as many samples as there are windows."""
        made = _with_many(op, self._many())
        assert isinstance(made, Operator)
        return made

    def over(self, x: Map) -> Sizes:
        """How many places lie between two windows."""
        return tuple(s // t for s, t in zip(self.stride, x.step, strict=True))

    def trimmed(self, x: Map) -> Value:
        """x without places that no window sees."""
        steps = zip(self.windows, self.over(x), x.spatial, strict=True)
        sizes = tuple((n - 1) * k + own for n, k, own in steps)
        if sizes == x.value.type.spatial:
            return x.value
        return self.emit(Slice((0, 0, 0, 0), (BATCH, *sizes, x.value.type.channels)), x.value)[0]

    def apart(self, x: Map) -> Each:
        """What every window sees of x, cut out."""
        value, (high, wide) = x.value, self.windows
        for axis, count, k, own in zip(SPACE, self.windows, self.over(x), x.spatial, strict=True):
            value = picked(self.b, value, axis, [w * k + i for w in range(count) for i in range(own)], "windows")
        value = reshape(self.b, value, (BATCH, high, x.spatial[0], wide, x.spatial[1], value.type.channels))
        return Each(transposed(self.b, value, (0, 1, 3, 2, 4, 5)), x.whole)

    def _many(self) -> Dim:
        return BATCH * prod(self.windows)


def flops_of(op: Operator, operands: Sequence[Value], made: Sequence[Value]) -> int:
    """Multiplications and additions of one sample."""
    return int(evaluate(op.flops([v.type for v in operands], [v.type for v in made]), {"batch": 1}))


def _spread(shape: tuple[Dim, ...], many: Dim) -> tuple[Dim, ...]:
    return tuple(evaluate(size, {"batch": many}) for size in shape)


def _with_many(value: Any, many: Dim) -> Any:
    """value with `many` in place of the batch, wherever sizes are among its fields."""
    if isinstance(value, Symbolic):
        return evaluate(value, {"batch": many})
    if isinstance(value, tuple):
        return tuple(_with_many(part, many) for part in value)
    if not isinstance(value, Operator):
        return value
    known = {f.name: getattr(value, f.name) for f in fields(value)}  # type: ignore[arg-type]
    return replace(value, **{name: _with_many(part, many) for name, part in known.items()})  # type: ignore[type-var]


# --- what becomes of an operation ------------------------------------------------------------------------------------


def slid(op: Operator, s: Slider, operands: Sequence[State], made: Sequence[TensorType]) -> States:
    """What op gives on the picture.

    made  the types of what it gives for one crop
    Raises TypeRuleError where a crop cannot be told from the picture.
    """
    if all(isinstance(o, Still) for o in operands) and not any("batch" in names_of(d) for t in made for d in t.shape):
        return tuple(Still(v) for v in s.emit(op, *(o.value for o in operands)))
    return rule(op, s, operands, made)


@singledispatch
def rule(op: Operator, s: Slider, operands: Sequence[State], made: Sequence[TensorType]) -> States:
    """What an operation that is not known here gives."""
    return _by_window(op, s, operands, made)


def _by_window(op: Operator, s: Slider, operands: Sequence[State], made: Sequence[TensorType]) -> States:
    """Window by window. What is a map still is refused: it would be done crop by crop, and so all that follows."""
    if any(isinstance(o, Map) and o.plain for o in operands):
        raise TypeRuleError(
            "what it makes of one place depends on the rest of the crop",
            code=REFUSED,
            help="one pass takes convolutions, pools, batch_norm and what works place by place, up to `flatten` or a "
            "global pool",
        )
    values = s.emit(s.many(op), *(s.rows(o) for o in operands))
    return tuple(Each(v, t) for v, t in zip(values, made, strict=True))


REFUSED = "E0410"


@rule.register(Conv)
@rule.register(MaxPool)
@rule.register(AvgPool)
def _window(op: SLIDING, s: Slider, operands: Sequence[State], made: Sequence[TensorType]) -> States:
    x, *kernels = operands
    if not (isinstance(x, Map) and x.plain and all(isinstance(k, Still) for k in kernels)):
        return _by_window(op, s, operands, made)
    if any(before or after for before, after in op.pad):
        raise _padded()
    step = tuple(t * n for t, n in zip(x.step, op.stride, strict=True))
    values = s.emit(op, x.value, *(k.value for k in kernels))
    return tuple(Map(v, t, _sizes(t), step) for v, t in zip(values, made, strict=True))


def _padded() -> TypeRuleError:
    return TypeRuleError(
        "it pads the border of a crop, and in a picture no window has one",
        code=REFUSED,
        help="leave `pad` (or `ceil`) out, and let the sizes shrink",
    )


def _sizes(type: TensorType) -> Sizes:
    high, wide = type.spatial
    assert isinstance(high, int) and isinstance(wide, int)
    return high, wide


@rule.register(Pad)
def _pad(op: Pad, s: Slider, operands: Sequence[State], made: Sequence[TensorType]) -> States:
    if isinstance(operands[0], Map) and operands[0].plain:
        raise _padded()
    return _by_window(op, s, operands, made)


@rule.register(Elementwise)
@rule.register(Dropout)
@rule.register(GaussianNoise)
def _place_by_place(op: Operator, s: Slider, operands: Sequence[State], made: Sequence[TensorType]) -> States:
    moving = [o for o in operands if not isinstance(o, Still)]
    maps = [o for o in moving if isinstance(o, Map)]
    still = [o.value.type for o in operands if isinstance(o, Still)]
    if len(maps) == len(moving) and _alike(maps) and all(_everywhere(maps[0], t) for t in still):
        values = s.emit(op, *(s.trimmed(o) if isinstance(o, Map) else o.value for o in operands))
        return tuple(Map(v, t, maps[0].spatial, maps[0].step) for v, t in zip(values, made, strict=True))
    if any(o.plain for o in maps) or any(o.whole.rank != made[0].rank or o.whole.shape[0] != BATCH for o in moving):
        return _by_window(op, s, operands, made)
    values = s.emit(op, *(o.value if isinstance(o, Still) else s.grid(o) for o in operands))
    return tuple(Each(v, t) for v, t in zip(values, made, strict=True))


def _alike(maps: Sequence[Map]) -> bool:
    """Whether the places of all stand for the same pixels; of flattened ones also whether all have the same shape."""
    kinds = {(m.spatial, m.step, m.plain, None if m.plain else m.whole.shape) for m in maps}
    return len(kinds) == 1


def _everywhere(x: Map, still: TensorType) -> bool:
    """Whether something still is the same at every place of x."""
    return prod(still.shape[:-1] if x.plain else still.shape) == 1


@rule.register(Softmax)
@rule.register(BatchNorm)
def _over_features(op: Softmax | BatchNorm, s: Slider, operands: Sequence[State], made: Sequence[TensorType]) -> States:
    """Of what is flattened, the features are all numbers of a crop."""
    x, *others = operands
    own = s.apart(x) if isinstance(x, Map) and not x.plain else x
    return _place_by_place(op, s, (own, *others), made)


@rule.register(Concat)
def _concat(op: Concat, s: Slider, operands: Sequence[State], made: Sequence[TensorType]) -> States:
    maps = [o for o in operands if isinstance(o, Map) and o.plain]
    if len(maps) < len(operands) or not _alike(maps) or op.axis != CHANNELS:
        return _by_window(op, s, operands, made)
    (value,) = s.emit(op, *(s.trimmed(m) for m in maps))
    return (Map(value, made[0], maps[0].spatial, maps[0].step),)


@rule.register(Slice)
def _slice(op: Slice, s: Slider, operands: Sequence[State], made: Sequence[TensorType]) -> States:
    """What is cut off in front of every crop is cut off in front of the picture."""
    (x,) = operands
    if not (isinstance(x, Map) and x.plain):
        return _by_window(op, s, operands, made)
    value = s.trimmed(x)
    left = tuple(size - start for size, start in zip(value.type.spatial, op.start[1:3], strict=True))
    (value,) = s.emit(Slice(op.start, (BATCH, *left, op.size[-1])), value)
    return (Map(value, made[0], _sizes(made[0]), x.step),)


@rule.register(Taps)
def _taps(op: Taps, s: Slider, operands: Sequence[State], made: Sequence[TensorType]) -> States:
    (x,) = operands
    if not (isinstance(x, Map) and x.plain and op.axis == CHANNELS):
        return _by_window(op, s, operands, made)
    (value,) = s.emit(op, x.value)
    return (Map(value, made[0], x.spatial, x.step),)


# --- where crops end as maps -----------------------------------------------------------------------------------------


@rule.register(Reshape)
def _reshape(op: Reshape, s: Slider, operands: Sequence[State], made: Sequence[TensorType]) -> States:
    (x,) = operands
    if isinstance(x, Map):
        return (Map(x.value, made[0], x.spatial, x.step),)
    assert isinstance(x, Each)
    return (Each(x.value, made[0]),)


@rule.register(Transpose)
def _transpose(op: Transpose, s: Slider, operands: Sequence[State], made: Sequence[TensorType]) -> States:
    (x,) = operands
    own = s.apart(x) if isinstance(x, Map) else x
    return _by_window(op, s, (own,), made)


@rule.register(MatMul)
def _matmul(op: MatMul, s: Slider, operands: Sequence[State], made: Sequence[TensorType]) -> States:
    """A product over a flattened map is a convolution with a kernel as large as the map of a crop; one over the
    channels of every place has a kernel of 1x1."""
    x, kernel = operands
    if not (isinstance(x, Map) and x.whole.rank == 2 and isinstance(kernel, Still)) or op.transpose_a:
        return _by_window(op, s, operands, made)
    matrix = transposed(s.b, kernel.value, (1, 0)) if op.transpose_b else kernel.value
    channels = x.value.type.channels
    if x.whole.shape == (BATCH * prod(x.spatial), channels) and prod(x.spatial) > 1:
        one = reshape(s.b, matrix, (1, 1, channels, matrix.type.channels))
        (value,) = s.emit(Conv((1, 1), NO_PAD, (1, 1), 1), x.value, one)
        return (Map(value, made[0], x.spatial, x.step),)
    if x.whole.shape[0] != BATCH:
        return _by_window(op, s, operands, made)
    window = reshape(s.b, matrix, (*x.spatial, channels, matrix.type.channels))
    (value,) = s.emit(Conv(s.over(x), NO_PAD, (1, 1), 1), s.trimmed(x), window)
    return (Each(value, made[0]),)


@rule.register(GlobalMaxPool)
def _largest(op: GlobalMaxPool, s: Slider, operands: Sequence[State], made: Sequence[TensorType]) -> States:
    (x,) = operands
    if not (isinstance(x, Map) and x.whole.shape == (BATCH, prod(x.spatial), x.value.type.channels)):
        return _by_window(op, s, operands, made)
    values = s.emit(MaxPool(x.spatial, s.over(x), NO_PAD), s.trimmed(x))
    return tuple(Each(v, t) for v, t in zip(values, made, strict=True))


@rule.register(Max)
@rule.register(Moments)
@rule.register(Standardize)
def _over_channels(
    op: Sum | Max | Moments | Standardize, s: Slider, operands: Sequence[State], made: Sequence[TensorType]
) -> States:
    (x,) = operands
    if not (isinstance(x, Map) and x.plain and op.axes == (CHANNELS,)):
        return _by_window(op, s, operands, made)
    values = s.emit(op, x.value)
    return tuple(Map(v, t, x.spatial, x.step) if t.rank else Still(v) for v, t in zip(values, made, strict=True))


@rule.register(Sum)
def _sum(op: Sum, s: Slider, operands: Sequence[State], made: Sequence[TensorType]) -> States:
    """Over height and width: the mean of a window, times how many places it has."""
    (x,) = operands
    if not (isinstance(x, Map) and x.plain and op.axes == SPACE):
        return _over_channels(op, s, operands, made)
    (mean,) = s.emit(AvgPool(x.spatial, s.over(x), NO_PAD, False), s.trimmed(x))
    total = formula(s.b, lambda v: v * float(prod(x.spatial)), mean, title="sum")
    return (Each(total, made[0]),)
