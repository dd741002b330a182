"""Pictures and sequences in other sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil, floor
from typing import Annotated

from graphdsl.ir import (
    Builder,
    Choice,
    Flag,
    Many,
    Number,
    Real,
    Size,
    Symbolic,
    TypeRuleError,
    Value,
    layer,
)
from graphdsl.ops.reduce import broadcast_to
from graphdsl.ops.shape import reshape
from graphdsl.ops.taps import Pairs, tapped
from graphdsl.ops.window import Sizes, demand_spatial, per_axis
from graphdsl.report import dataclass

Method = Annotated[str, Choice(("nearest", "bilinear"))]
Mode = Annotated[str, Choice(("nearest", "linear", "cubic"))]
Align = Annotated[str, Choice(("half_pixel", "corners", "asymmetric", "pytorch_half_pixel", "half_pixel_symmetric"))]
Rounding = Annotated[str, Choice(("prefer_floor", "prefer_ceil", "floor", "ceil"))]
Factors = Annotated[tuple[float, ...], Many(Real(0.0, low_open=True))]
LARGEST = 65_536
"""Places along an axis that a resize may give."""


@dataclass(frozen=True)
class Grid:
    """How the places of one axis of the result lie among those of x. scale: result places for one of x."""

    before: int
    after: int
    scale: float
    align: str

    def at(self, j: int) -> float:
        """Where place j of the result is, counted in places of x."""
        middle = (j + 0.5) / self.scale - 0.5
        match self.align:
            case "corners":
                return j * (self.before - 1) / (self.after - 1) if self.after > 1 else 0.0
            case "asymmetric":
                return j / self.scale
            case "pytorch_half_pixel":
                return middle if self.after > 1 else 0.0
            case "half_pixel_symmetric":
                return self.before / 2 * (1 - self.after / (self.scale * self.before)) + middle
            case _:
                return middle


def _place(at: float, rounding: str) -> int:
    match rounding:
        case "prefer_floor":
            return ceil(at - 0.5)
        case "prefer_ceil":
            return floor(at + 0.5)
        case "floor":
            return floor(at)
        case _:
            return ceil(at)


def _line(distance: float) -> float:
    return max(0.0, 1 - abs(distance))


def _cubic(a: float) -> Callable[[float], float]:
    """Source: Keys 1981; a is -0.5 there."""

    def share(distance: float) -> float:
        t = abs(distance)
        if t <= 1:
            return ((a + 2) * t - (a + 3)) * t * t + 1
        return (((t - 5) * t + 8) * t - 4) * a if t < 2 else 0.0

    return share


def _nearest(grid: Grid, rounding: str) -> Pairs:
    return tuple(((min(max(_place(grid.at(j), rounding), 0), grid.before - 1), 1.0),) for j in range(grid.after))


def _blended(grid: Grid, share: Callable[[float], float], reach: int, antialias: bool, exclude_outside: bool) -> Pairs:
    """Every result of the places within reach of it; what lies outside is the border, or left out."""
    wide = min(grid.scale, 1.0) if antialias else 1.0
    made = []
    for at in map(grid.at, range(grid.after)):
        first = floor(at) + floor(-reach / wide) + 1
        span = range(first, first + 2 * ceil(reach / wide) + 1)
        shares = [(min(max(p, 0), grid.before - 1), p, share((p - at) * wide)) for p in span]
        kept = [(inside, weight) for inside, p, weight in shares if weight and not (exclude_outside and inside != p)]
        total = sum(weight for _, weight in kept) if exclude_outside or antialias else 1.0
        made.append(_joined((inside, weight / total) for inside, weight in kept))
    return tuple(made)


def _joined(shares: Iterable[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """Each place once."""
    total: dict[int, float] = {}
    for place, weight in shares:
        total[place] = total.get(place, 0.0) + weight
    return tuple(total.items())


def resampled(before: int, after: int) -> Pairs:
    """What `resize(mode=linear, antialias=true)` does along an axis."""
    return _blended(Grid(before, after, after / before, "half_pixel"), _line, 1, True, True)


def enlarged(size: int, factor: int) -> Pairs:
    """What bilinear upsampling by a whole number does along an axis."""
    return _blended(Grid(size, size * factor, float(factor), "half_pixel"), _line, 1, False, False)


@layer()
def resize(
    b: Builder,
    x: Value,
    size: Size | None = None,
    *,
    scale: Factors | None = None,
    mode: Mode = "nearest",
    align: Align = "half_pixel",
    nearest: Rounding = "prefer_floor",
    cubic: Number = -0.75,
    antialias: Flag = False,
    exclude_outside: Flag = False,
) -> Value:
    """Makes a picture or a sequence larger or smaller: `resize(224)`, `resize(400x600, mode=linear)`.

    x        [time, features] or [height, width, channels], of known sizes
    returns  the same with the new sizes

    size       the new sizes
    scale      instead: how many times as large, a number or a list of one for each axis; sizes are rounded down, and
               places lie as the number says
    mode       `nearest`: numbers as they are. `linear`: on straight lines between them. `cubic`: on curves through them
    align      where place j of the result lies among the n places of x, the result having m:
               `half_pixel`: (j + 1/2) n / m - 1/2 (PyTorch, TensorFlow 2). `corners`: j (n - 1) / (m - 1), the ends on
               the ends. `asymmetric`: j n / m (TensorFlow 1, and PyTorch's nearest with nearest=floor).
               `pytorch_half_pixel`: 0 where m is 1. `half_pixel_symmetric`: about the middle, whatever scale says
    nearest    which place mode=nearest takes of two: the nearer one and of equally near ones the first or the last, or
               always the one before or the one behind
    cubic      how far curves swing: -0.75 in PyTorch, -0.5 in TensorFlow
    antialias  where the result is smaller, blend all that it stands for (PyTorch's antialias has exclude_outside too)
    exclude_outside   blend only what there is; else the border goes on for ever

    E0301  x is of none of these shapes
    E0305  neither size nor scale is given, or both, or they do not fit x
    E0401  a size of x is known only at run time; `upsample` repeats what has any length
    """
    demand_spatial("resize", x.type)
    sizes, scales = _target(x, size, scale)
    for axis, (after, factor) in enumerate(zip(sizes, scales, strict=True), 1):
        before = x.type.shape[axis]
        assert isinstance(before, int)
        grid = Grid(before, after, factor, align)
        if mode == "nearest":
            pairs = _nearest(grid, nearest)
        else:
            share, reach = (_line, 1) if mode == "linear" else (_cubic(cubic), 2)
            pairs = _blended(grid, share, reach, antialias, exclude_outside)
        x = tapped(b, x, axis, pairs, "resize")
    return x


def _target(x: Value, size: int | Sizes | None, scale: tuple[float, ...] | None) -> tuple[Sizes, tuple[float, ...]]:
    """The sizes of the result, and how many times as large it is along each axis."""
    if (size is None) == (scale is None):
        raise TypeRuleError("resize needs either a size or a scale", code="E0305", attribute="scale")
    axes = x.type.rank - 2
    before = [_known(x, s) for s in x.type.spatial]
    if scale is None:
        sizes = per_axis("size", size or 0, axes)
        return sizes, tuple(m / n for m, n in zip(sizes, before, strict=True))
    factors = scale * axes if len(scale) == 1 else scale
    sizes = tuple(floor(n * f) for n, f in zip(before, factors, strict=False))
    if len(factors) != axes or not all(1 <= s <= LARGEST for s in sizes):
        raise TypeRuleError(
            f"scale {', '.join(map(str, scale))} does not fit {x.type.describe()}: it needs {axes} numbers, "
            f"and results of 1 to {LARGEST:,} places",
            code="E0305",
            attribute="scale",
        )
    return sizes, factors


def _known(x: Value, size: object) -> int:
    if isinstance(size, int):
        return size
    raise TypeRuleError(
        f"resize would blend the ends of sequences in {x.type.describe()} with what stands behind them",
        code="E0401",
        operand=0,
        help="use `upsample`, or give the dimension a size",
    )


@layer()
def upsample(b: Builder, x: Value, factor: Size, *, method: Method = "nearest") -> Value:
    """Makes a picture or a sequence a whole number of times larger. For other sizes there is `resize`.

    x        [time, features] or [height, width, channels]
    returns  [time * factor, features] or [height * factor, width * factor, channels]

    factor   `2`, or `1x2` for another along each axis
    method   `nearest`: every number is repeated. `bilinear`: straight lines between the numbers, which stand in the
             middle of their places (PyTorch's align_corners=False, TensorFlow 2's resize)

    E0301  x is of none of these shapes
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
    return resize(b, x, scale=tuple(map(float, factors)), mode="linear")
