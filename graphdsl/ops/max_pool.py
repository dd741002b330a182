"""The largest number of a window, the largest of all, and the way back to where it stood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Cotangents,
    Dim,
    DType,
    Operator,
    Sample,
    TensorType,
    TypeRuleError,
    Value,
    operator,
)
from graphdsl.ops.shape import reshape
from graphdsl.ops.window import Pads, Sizes, numbers, out_sizes, padded, places
from graphdsl.report import dataclass


@operator("max_pool")
@dataclass(frozen=True)
class MaxPool(Operator):
    """The largest number of each window, feature by feature, and where it stood.

    x        [batch, in..., features]
    returns  y and winner, both [batch, out..., features]; winner int32: the place within in..., in row order

    Padding never wins. Of equal numbers the first in row order wins and gets all the gradient. NaN wins over numbers.
    """

    size: Sizes
    stride: Sizes
    pad: Pads

    def type(self, x: TensorType) -> tuple[TensorType, TensorType]:  # type: ignore[override]
        demand_inside(self.size, self.pad)
        made = TensorType((x.shape[0], *out_sizes(x.spatial, self.size, self.stride, self.pad), x.channels), x.dtype)
        return made, made.with_dtype(DType.INT32)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        back = MaxPoolGradient(self.size, self.stride, self.pad, inputs[0].type.spatial)
        return (b.emit(back, d[0], outputs[1]) if d[0] else None,)

    def reference(self, x: Array) -> tuple[Array, Array]:  # type: ignore[override]
        spatial = x.shape[1:-1]
        out = numbers(out_sizes(spatial, self.size, self.stride, self.pad))
        room = padded(x, self.pad, -np.inf)
        place = padded(np.arange(prod(spatial), dtype=np.int32).reshape(1, *spatial, 1), self.pad)
        y = np.full((len(x), *out, x.shape[-1]), -np.inf, x.dtype)
        winner = np.broadcast_to(self._first(spatial, out)[None, ..., None], y.shape).astype(np.int32)
        for _, met in places(self.size, self.stride, (1,) * len(out), out):
            candidate = room[met]
            better = (candidate > y) | (candidate != candidate)
            winner = np.where(better, place[met], winner)
            y = np.maximum(y, candidate)
        return y, winner

    def _first(self, spatial: Sequence[int], out: Sequence[int]) -> Array:
        """The first real place of each window: it wins where everything is minus infinity."""
        starts = [
            np.maximum(np.arange(o) * s - lo, 0) for o, s, (lo, _) in zip(out, self.stride, self.pad, strict=True)
        ]
        return np.ravel_multi_index(np.ix_(*starts), tuple(spatial))

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return outputs[0].count * prod(self.size)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        picture, sequence = distinct((2, 5, 6, 2)), distinct((2, 9, 3))
        ties = np.array([1.0, 1.0, 0.0, 1.0, 1.0, 2.0, 2.0, 2.0, -np.inf]).reshape(1, 3, 3, 1)
        cases = (
            (cls((2, 2), (2, 2), ((0, 0), (0, 0))), picture),
            (cls((3, 2), (2, 1), ((1, 1), (1, 1))), picture),
            (cls((3,), (2,), ((1, 1),)), sequence),
        )
        tied = cls((2, 2), (1, 1), ((0, 0), (0, 0)))
        return [
            *(Sample(op, (x,), torch=_torch_max(op)) for op, x in cases),
            Sample(cls((3, 3), (2, 2), ((0, 1), (1, 0))), (picture,)),
            Sample(tied, (ties,), smooth=(), torch=_torch_max(tied)),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [
            BadSample(cls((6,), (6,), ((0, 0),)), (TensorType((2, 5, 1)),)),
            BadSample(cls((2,), (2,), ((2, 2),)), (TensorType((2, 5, 1)),)),
        ]


@operator("max_pool_gradient")
@dataclass(frozen=True)
class MaxPoolGradient(Operator):
    """Zeros, with each number added at the place of its window's winner.

    y        [batch, out..., features]
    winner   int32, the shape of y, as max_pool with these settings gives it
    returns  [batch, spatial..., features]

    What put_winners does, with the knowledge of which windows a place belongs to: a machine can ask each place for
    its windows instead of scattering.
    """

    size: Sizes
    stride: Sizes
    pad: Pads
    spatial: tuple[Dim, ...]

    def type(self, y: TensorType, winner: TensorType) -> TensorType:  # type: ignore[override]
        if y.spatial != out_sizes(self.spatial, self.size, self.stride, self.pad):
            raise TypeRuleError(f"{y.describe()} is not what windows over {self.spatial} give", operand=0)
        if winner.shape != y.shape or winner.dtype.is_float:
            raise TypeRuleError(f"every number needs a whole number as its place, got {y} and {winner}", operand=1)
        return TensorType((y.shape[0], *self.spatial, y.channels), y.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dx,), (y, winner) = d, inputs
        if dx is None:
            return None, None
        rows = (y.type.shape[0], prod(y.type.spatial, start=1), y.type.channels)
        flat = reshape(b, dx, (rows[0], prod(self.spatial, start=1), rows[2]))
        taken = b.emit(TakeWinners(), flat, reshape(b, winner, rows))
        return reshape(b, taken, y.type.shape), None

    def reference(self, y: Array, winner: Array) -> Array:  # type: ignore[override]
        spatial = numbers(self.spatial)
        rows = (len(y), prod(y.shape[1:-1]), y.shape[-1])
        total = PutWinners(prod(spatial)).reference(y.reshape(rows), winner.reshape(rows))
        return total.reshape(len(y), *spatial, y.shape[-1])

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[0].count

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        found = []
        for sample in MaxPool.samples():
            op, (x,) = sample.operator, sample.arrays
            assert isinstance(op, MaxPool)
            y, winner = op.reference(x)
            found.append(Sample(cls(op.size, op.stride, op.pad, x.shape[1:-1]), (np.cos(y), winner)))
        return found

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        op, y = cls((2,), (2,), ((0, 0),), (8,)), TensorType((2, 4, 1))
        winner = y.with_dtype(DType.INT32)
        return [
            BadSample(op, (TensorType((2, 5, 1)), winner)),
            BadSample(op, (y, y)),
        ]


@operator("global_max_pool")
@dataclass(frozen=True)
class GlobalMaxPool(Operator):
    """The largest number of every feature, and the step where it stood.

    x        [batch, steps, features]
    returns  y and winner (int32), both [batch, 1, features]

    Of equal numbers the first wins and gets all the gradient. NaN wins over numbers.
    """

    def type(self, x: TensorType) -> tuple[TensorType, TensorType]:  # type: ignore[override]
        if x.rank != 3 or x.shape[1] == 0:
            raise TypeRuleError(f"a global maximum needs at least one step, got {x.describe()}", operand=0)
        made = TensorType((x.shape[0], 1, x.shape[2]), x.dtype)
        return made, made.with_dtype(DType.INT32)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy, _), (x,) = d, inputs
        return (b.emit(PutWinners(x.type.shape[1]), dy, outputs[1]) if dy else None,)

    def reference(self, x: Array) -> tuple[Array, Array]:  # type: ignore[override]
        winner = x.argmax(axis=1, keepdims=True)
        return np.take_along_axis(x, winner, axis=1), winner.astype(np.int32)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[0].count

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [Sample(cls(), (distinct((3, 7, 2)),), torch=lambda torch, x: x.max(1, keepdim=True))]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls(), (TensorType((2, 3)),))]


@operator("put_winners")
@dataclass(frozen=True)
class PutWinners(Operator):
    """Zeros, with each number added at the place of its winner: the gradient of a maximum.

    y        [batch, places, features]
    winner   int32, the shape of y, each below size
    returns  [batch, size, features]
    """

    size: Dim

    def type(self, y: TensorType, winner: TensorType) -> TensorType:  # type: ignore[override]
        if y.rank != 3 or winner.shape != y.shape or winner.dtype.is_float:
            raise TypeRuleError(f"every number needs a whole number as its place, got {y} and {winner}")
        return TensorType((y.shape[0], self.size, y.shape[2]), y.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dx,) = d
        return (b.emit(TakeWinners(), dx, inputs[1]) if dx else None, None)

    def reference(self, y: Array, winner: Array) -> Array:  # type: ignore[override]
        batch, _, features = y.shape
        (size,) = numbers((self.size,))
        sample, feature = np.ogrid[:batch, :features]
        flat = (sample[:, None] * size + winner) * features + feature[:, None]
        total = np.bincount(flat.ravel(), y.ravel(), batch * size * features)
        return total.reshape(batch, size, features).astype(y.dtype)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [Sample(cls(5), (distinct((2, 4, 3)), _winners()))]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls(5), (TensorType((2, 4, 3)), TensorType((2, 4), DType.INT32)))]


@operator("take_winners")
@dataclass(frozen=True)
class TakeWinners(Operator):
    """The numbers at the places of the winners.

    x        [batch, size, features]
    winner   int32 [batch, places, features], each below size
    returns  [batch, places, features]
    """

    def type(self, x: TensorType, winner: TensorType) -> TensorType:  # type: ignore[override]
        ends = (0, -1)
        if x.rank != 3 or winner.rank != 3 or any(x.shape[a] != winner.shape[a] for a in ends) or winner.dtype.is_float:
            raise TypeRuleError(f"winners are whole numbers, feature by feature; got {winner} for {x}", operand=1)
        return TensorType(winner.shape, x.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,) = d
        return (b.emit(PutWinners(inputs[0].type.shape[1]), dy, inputs[1]) if dy else None, None)

    def reference(self, x: Array, winner: Array) -> Array:  # type: ignore[override]
        return np.take_along_axis(x, winner, axis=1)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [Sample(cls(), (distinct((2, 5, 3)), _winners()), torch=lambda torch, x, w: x.gather(1, w.long()))]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls(), (TensorType((2, 5, 3)), TensorType((2, 4, 2), DType.INT32)))]


def demand_inside(size: Sizes, pad: Pads) -> None:
    """Refuses padding as wide as the window: some windows would then see nothing real."""
    if any(max(pair) >= s for s, pair in zip(size, pad, strict=True)):
        raise TypeRuleError(
            f"a pool's padding must be smaller than its window, got {pad} for {size}",
            attribute="pad",
            help="at most half the window is usual: `max_pool(3, pad=1)`",
        )


# --- samples ---------------------------------------------------------------------------------------------------------


def distinct(shape: tuple[int, ...]) -> Array:
    """Numbers of which no two are close, in no order: a maximum has a gradient there."""
    return np.asarray(4 * ((np.arange(prod(shape)) * 0.618033988749895) % 1.0) - 2).reshape(shape)


def _winners() -> Array:
    """Places below 5, [2, 4, 3], some taken twice."""
    return (np.arange(24, dtype=np.int32) * 7 % 5).reshape(2, 4, 3)


def _torch_max(op: MaxPool) -> Callable[..., Any]:
    def run(torch: Any, x: Any) -> Any:
        call = torch.nn.functional.max_pool1d if len(op.size) == 1 else torch.nn.functional.max_pool2d
        around = tuple(before for before, _ in op.pad)
        y, winner = call(x.movedim(-1, 1), op.size, op.stride, around, return_indices=True)
        return y.movedim(1, -1), winner.movedim(1, -1)

    return run
