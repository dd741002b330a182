"""Pictures read at places that are computed: where a network looks."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Annotated

from graphdsl.ir import Builder, Choice, DType, Flag, TensorType, TypeRuleError, Value, layer
from graphdsl.ops import expression as e
from graphdsl.ops.argmax import taken
from graphdsl.ops.concat import known_along, pieces
from graphdsl.ops.elementwise import formula
from graphdsl.ops.expression import Expression, Scalar
from graphdsl.ops.reduce import broadcast_to
from graphdsl.ops.shape import reshape
from graphdsl.ops.take import Cast, within
from graphdsl.ops.window import demand_float, demand_spatial
from graphdsl.report import dataclass

Mode = Annotated[str, Choice(("nearest", "linear", "cubic"))]
Outside = Annotated[str, Choice(("zeros", "border", "reflection"))]
MOST_PLACES = 2**24
"""Up to here every whole number is a float32."""


@dataclass(frozen=True)
class _Axis:
    """How places along one axis of so many numbers are read."""

    size: int
    mode: str
    outside: str
    corners: bool

    def taps(self, at: Expression) -> list[tuple[Expression, Scalar]]:
        """The numbers that are read for a place between -1 and 1, each by its place and with its weight."""
        place = (at + 1) * (0.5 * (self.size - 1)) if self.corners else ((at + 1) * self.size - 1) * 0.5
        if self.mode == "cubic":
            return self._cubic(place)
        place = self._moved(place)
        if self.mode == "nearest":
            return [self._read(e.nearest(place), 1.0)]
        first = e.floor(place)
        return [self._read(first, 1 - (place - first)), self._read(first + 1, place - first)]

    def _cubic(self, place: Expression) -> list[tuple[Expression, Scalar]]:
        """Source: Keys 1981, with -0.75 as PyTorch has it."""
        first, a = e.floor(place), -0.75
        t = place - first

        def near(d: Expression) -> Expression:
            return ((a + 2) * d - (a + 3)) * d * d + 1

        def far(d: Expression) -> Expression:
            return (((d - 5) * d + 8) * d - 4) * a

        shares = (far(t + 1), near(t), near(1 - t), far(2 - t))
        return [self._read(self._moved(first + (k - 1)), share) for k, share in enumerate(shares)]

    def _moved(self, place: Expression) -> Expression:
        """A place outside, moved inside where outside says so."""
        if self.outside == "zeros":
            return place
        low, high = (0.0, self.size - 1.0) if self.corners else (-0.5, self.size - 0.5)
        if self.outside == "reflection":
            place = _reflected(place, low, high - low) if high > low else place * 0
        return e.minimum(e.maximum(place, 0), self.size - 1)

    def _read(self, place: Expression, weight: Scalar) -> tuple[Expression, Scalar]:
        if self.outside == "zeros":
            weight = e.where(e.both(place >= 0, place <= self.size - 1), weight, 0)
        return within(place, self.size), weight


def _reflected(place: Expression, low: float, span: float) -> Expression:
    """place thrown back at low and at low + span until it lies between them."""
    beyond = abs(place - low)
    turns = e.floor(beyond / span)
    rest = beyond - turns * span
    even = e.equal(turns - 2 * e.floor(turns * 0.5), 0)
    return e.where(even, rest + low, span - rest + low)


@layer()
def grid_sample(
    b: Builder,
    x: Value,
    grid: Value,
    *,
    mode: Mode = "linear",
    outside: Outside = "zeros",
    corners: Flag = False,
) -> Value:
    """Reads a picture at computed places: `[picture, grid] -> grid_sample`.

    x        [time, features], [height, width, channels] or [depth, height, width, channels], of known sizes
    grid     [out..., axes]: for every result a place, each number from -1 to 1, that of the width first (PyTorch's and
             ONNX's order)
    returns  [out..., channels]

    mode     of the numbers around a place: the nearest, on straight lines between them, or on curves through them
    outside  what stands outside of the picture: zeros, its border for ever, or its mirror image
    corners  whether -1 and 1 are the middles of the outermost numbers, or the borders of the picture

    The picture and the places learn; with mode=nearest only the picture. NaN as a place reads the first number.

    E0301  the shapes do not go together, or there are more than 16,777,216 places
    E0401  a size of x is known only at run time

    Source: Jaderberg et al. 2015 (spatial transformer).
    """
    demand_spatial("grid_sample", x.type)
    demand_float("grid_sample", grid.type, 1)
    spatial = [known_along(x.type, a, "grid_sample") for a in range(1, x.type.rank - 1)]
    if grid.type.rank < 2 or grid.type.channels != len(spatial) or prod(spatial) > MOST_PLACES:
        raise TypeRuleError(
            f"grid_sample needs {len(spatial)} numbers for every place, and at most {MOST_PLACES:,} places in "
            f"{x.type.describe()}; got {grid.type.describe()}",
            operand=1,
        )
    batch, *out, _ = grid.type.shape
    channels, count = x.type.channels, TensorType(tuple(out)).count
    ends = pieces(b, reshape(b, grid, (batch, count, len(spatial))), 2, [1] * len(spatial))[::-1]
    taps = [_Axis(n, mode, outside, corners).taps(e.Operand(a)) for a, n in enumerate(spatial)]
    flat = reshape(b, x, (batch, prod(spatial), channels))
    parts: list[Value] = []
    for combination in product(*taps):
        place, weight = _joined(combination, spatial)
        where = b.emit(Cast(DType.INT32, prod(spatial)), formula(b, lambda *_, p=place: p, *ends, title="place"))
        read = taken(b, flat, broadcast_to(b, where, (batch, count, channels)), 1)
        share = formula(b, lambda *_, w=weight: w, *ends, title="weight")
        parts.append(formula(b, lambda v, w: v * w, read, share, title="share"))
    total = formula(b, lambda *vs: sum(vs[1:], vs[0]), *parts, title="grid_sample")
    return reshape(b, total, (batch, *out, channels))


def _joined(combination: tuple[tuple[Expression, Scalar], ...], spatial: list[int]) -> tuple[Expression, Scalar]:
    """The place in row order, and the weight, of one number of every axis."""
    place, weight = combination[0]
    for size, (at, share) in zip(spatial[1:], combination[1:], strict=True):
        place, weight = place * size + at, weight * share
    return place, weight
