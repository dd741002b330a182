"""Making pictures and sequences larger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Choice,
    Cotangents,
    Dim,
    Operator,
    Sample,
    Size,
    Symbolic,
    TensorType,
    TypeRuleError,
    Value,
    layer,
    operator,
)
from graphdsl.ops.reduce import broadcast_to
from graphdsl.ops.shape import reshape
from graphdsl.ops.window import Sizes, demand_spatial, per_axis
from graphdsl.report import dataclass

Method = Annotated[str, Choice(("nearest", "bilinear"))]


@operator("interpolate")
@dataclass(frozen=True)
class Interpolate(Operator):
    """x with factor times as many places along an axis, on straight lines between the old ones; or the reverse of that.

    x        any shape
    returns  the same with axis factor times as long; with adjoint, as much shorter: the gradient

    Numbers stand in the middle of their places; before the first and behind the last they do not change.
    """

    axis: int
    factor: int
    adjoint: bool = False

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        size = x.shape[self.axis] if 0 <= self.axis < x.rank else 0
        if not isinstance(size, int) or size < 1 or (self.adjoint and size % self.factor):
            raise TypeRuleError(f"interpolation by {self.factor} along axis {self.axis} of {x}", operand=0)
        changed = size // self.factor if self.adjoint else size * self.factor
        return TensorType((*x.shape[: self.axis], changed, *x.shape[self.axis + 1 :]), x.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,) = d
        return (b.emit(Interpolate(self.axis, self.factor, not self.adjoint), dy) if dy else None,)

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        size = x.shape[self.axis] // self.factor if self.adjoint else x.shape[self.axis]
        shares = self.shares(size).astype(x.dtype)
        y = np.tensordot(shares.T if self.adjoint else shares, x, (1, self.axis))
        return np.ascontiguousarray(np.moveaxis(y, 0, self.axis))

    def shares(self, size: int) -> Array:
        """[size * factor, size]: how much of each old number is in each new one."""
        at = np.clip((np.arange(size * self.factor) + 0.5) / self.factor - 0.5, 0, size - 1)
        return np.asarray(np.maximum(0.0, 1 - np.abs(at[:, None] - np.arange(size))))

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return (inputs if self.adjoint else outputs)[0].count * 3

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.sin(1.7 * np.arange(24.0)).reshape(2, 4, 3)
        return [
            Sample(cls(1, 2), (x,), torch=lambda torch, x: _torch_linear(torch, x, 2)),
            Sample(cls(1, 3), (x,), torch=lambda torch, x: _torch_linear(torch, x, 3)),
            Sample(cls(1, 2, adjoint=True), (x,)),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [
            BadSample(cls(1, 3, adjoint=True), (TensorType((2, 4, 3)),)),
            BadSample(cls(3, 2), (TensorType((2, 4)),)),
        ]


def _torch_linear(torch: Any, x: Any, factor: int) -> Any:
    return torch.nn.functional.interpolate(x.movedim(1, -1), scale_factor=factor, mode="linear").movedim(-1, 1)


@layer()
def upsample(b: Builder, x: Value, factor: Size, *, method: Method = "nearest") -> Value:
    """Makes a picture or a sequence a whole number of times larger.

    x        [time, features] or [height, width, channels]
    returns  [time * factor, features] or [height * factor, width * factor, channels]

    factor   `2`, or `1x2` for another along each axis
    method   `nearest`: every number is repeated. `bilinear`: straight lines between the numbers, which stand in the
             middle of their places (PyTorch's align_corners=False, TensorFlow 2's resize)

    E0301  x is neither of the two shapes
    E0401  bilinear along a size that is known only at run time: a sequence's end would blend with what stands behind it
    """
    demand_spatial("upsample", x.type)
    factors = per_axis("factor", factor, x.type.rank - 2)
    return _repeated(b, x, factors) if method == "nearest" else _interpolated(b, x, factors)


def _repeated(b: Builder, x: Value, factors: Sizes) -> Value:
    """[n, h, w, c] as [n, h, 1, w, 1, c], stretched over the ones."""
    batch, *spatial, channels = x.type.shape
    thin = tuple(s for size in spatial for s in (size, 1))
    wide = tuple(s for size, factor in zip(spatial, factors, strict=True) for s in (size, factor))
    large = tuple(size * factor for size, factor in zip(spatial, factors, strict=True))
    stretched = broadcast_to(b, reshape(b, x, (batch, *thin, channels)), (batch, *wide, channels))
    return reshape(b, stretched, (batch, *large, channels))


def _interpolated(b: Builder, x: Value, factors: Sizes) -> Value:
    if any(isinstance(size, Symbolic) for size in x.type.spatial):
        raise TypeRuleError(
            f"bilinear over {x.type.describe()} would blend the ends of sequences with what stands behind them",
            code="E0401",
            operand=0,
            attribute="method",
            help="use method=nearest, or give the dimension a size",
        )
    for axis, factor in enumerate(factors, 1):
        x = b.emit(Interpolate(axis, factor), x) if factor > 1 else x
    return x
