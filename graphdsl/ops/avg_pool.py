"""The mean of a window."""

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
    Operator,
    Sample,
    TensorType,
    TypeRuleError,
    Value,
    operator,
)
from graphdsl.ops.max_pool import demand_inside, distinct
from graphdsl.ops.window import Pads, Sizes, cropped, numbers, out_sizes, padded, places
from graphdsl.report import dataclass


@dataclass(frozen=True)
class Averaging(Operator):
    """What the mean over windows and its gradient share.

    count_padding  whether padding counts as numbers that happen to be 0; else the mean is over what is real
    """

    size: Sizes
    stride: Sizes
    pad: Pads
    count_padding: bool

    def counts(self, spatial: Sequence[int]) -> Array:
        """What each window's sum is divided by: [1, out..., 1]."""
        real = np.ones((1, *spatial, 1))
        return self.sums(padded(real, self.pad, float(self.count_padding)), spatial)

    def sums(self, room: Array, spatial: Sequence[int]) -> Array:
        """The sum of each window of the padded input."""
        out = numbers(out_sizes(spatial, self.size, self.stride, self.pad))
        total = np.zeros((len(room), *out, room.shape[-1]), room.dtype)
        for _, met in places(self.size, self.stride, (1,) * len(out), out):
            total += room[met]
        return total


@operator("avg_pool")
@dataclass(frozen=True)
class AvgPool(Averaging):
    """The mean of each window, feature by feature.

    x        [batch, in..., features]
    returns  [batch, out..., features]
    """

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        demand_inside(self.size, self.pad)
        return TensorType((x.shape[0], *out_sizes(x.spatial, self.size, self.stride, self.pad), x.channels), x.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,) = d
        back = AvgPoolGradient(self.size, self.stride, self.pad, self.count_padding, inputs[0].type.spatial)
        return (b.emit(back, dy) if dy else None,)

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        spatial = x.shape[1:-1]
        return np.asarray(self.sums(padded(x, self.pad), spatial) / self.counts(spatial).astype(x.dtype))

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return outputs[0].count * (prod(self.size) + 1)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [Sample(op, (x,), torch=_torch_avg(op)) for op, x in _averages()]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls((6,), (6,), ((0, 0),), False), (TensorType((2, 5, 1)),))]


@operator("avg_pool_gradient")
@dataclass(frozen=True)
class AvgPoolGradient(Averaging):
    """Every number divided among the places of its window.

    y        [batch, out..., features]
    returns  [batch, spatial..., features]
    """

    spatial: tuple[Dim, ...]

    def type(self, y: TensorType) -> TensorType:  # type: ignore[override]
        if y.spatial != out_sizes(self.spatial, self.size, self.stride, self.pad):
            raise TypeRuleError(f"{y.describe()} is not what windows over {self.spatial} give", operand=0)
        return TensorType((y.shape[0], *self.spatial, y.channels), y.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dx,) = d
        return (b.emit(AvgPool(self.size, self.stride, self.pad, self.count_padding), dx) if dx else None,)

    def reference(self, y: Array) -> Array:  # type: ignore[override]
        spatial = numbers(self.spatial)
        room = padded(np.zeros((len(y), *spatial, y.shape[-1]), y.dtype), self.pad)
        share = y / self.counts(spatial).astype(y.dtype)
        for _, met in places(self.size, self.stride, (1,) * len(spatial), y.shape[1:-1]):
            room[met] += share
        return cropped(room, self.pad)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[0].count * (prod(self.size) + 1)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        found = []
        for op, x in _averages():
            back = cls(op.size, op.stride, op.pad, op.count_padding, x.shape[1:-1])
            found.append(Sample(back, (np.cos(op.reference(x)),)))
        return found

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls((2,), (2,), ((0, 0),), False, (8,)), (TensorType((2, 5, 1)),))]


# --- samples ---------------------------------------------------------------------------------------------------------


def _averages() -> list[tuple[AvgPool, Array]]:
    return [
        (AvgPool((2, 2), (2, 2), ((0, 0), (0, 0)), False), distinct((2, 5, 6, 2))),
        (AvgPool((3, 2), (2, 1), ((1, 1), (1, 1)), False), distinct((2, 5, 6, 1))),
        (AvgPool((3, 3), (2, 2), ((1, 1), (1, 1)), True), distinct((1, 5, 5, 1))),
        (AvgPool((3,), (2,), ((1, 1),), False), distinct((2, 7, 2))),
    ]


def _torch_avg(op: AvgPool) -> Callable[..., Any]:
    def run(torch: Any, x: Any) -> Any:
        call = torch.nn.functional.avg_pool1d if len(op.size) == 1 else torch.nn.functional.avg_pool2d
        around = tuple(before for before, _ in op.pad)
        return call(x.movedim(-1, 1), op.size, op.stride, around, False, op.count_padding).movedim(1, -1)

    return run
