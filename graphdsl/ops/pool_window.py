"""How the windows of a pool lie along each axis, those that hang over and those with gaps included."""

from __future__ import annotations

from collections.abc import Sequence

from graphdsl.ir import Dim, TensorType, TypeRuleError
from graphdsl.ops.taps import Pairs, picks
from graphdsl.ops.window import Pads, PadSetting, Sizes, demand_spatial, out_sizes, per_axis, reach, resolve_pad
from graphdsl.report import dataclass


@dataclass(frozen=True)
class Along:
    """The windows along one axis of `known` elements, of which `before` and `after` are added as padding."""

    known: int
    size: int
    stride: int
    dilation: int
    before: int
    after: int
    out: int

    def elements(self, result: int) -> range:
        """Where the window of a result stands; below 0 and from known on nothing is real."""
        first = result * self.stride - self.before
        return range(first, first + self.size * self.dilation, self.dilation)

    def real(self, result: int) -> list[int]:
        """What of the window is real."""
        return [p for p in self.elements(result) if 0 <= p < self.known]

    def sums(self) -> Pairs:
        """The sum of each window."""
        return tuple(tuple((p, 1.0) for p in self.real(j)) for j in range(self.out))

    def means(self, count_padding: bool) -> Pairs:
        """The mean of each window: of what is real, or of padding too, but not of what hangs over behind it."""
        made = []
        for j in range(self.out):
            counted = [p for p in self.elements(j) if p < self.known + self.after] if count_padding else self.real(j)
            made.append(tuple((p, 1 / len(counted)) for p in self.real(j)))
        return tuple(made)

    def each(self) -> list[Pairs]:
        """The first elements of all windows, the second, and so on; what is not real stands for another of its window.

        Raises TypeRuleError where a window sees nothing real.
        """
        if not all(self.real(j) for j in range(self.out)):
            raise TypeRuleError("some windows would see nothing but padding", operand=0, attribute="pad")
        places = [[p if 0 <= p < self.known else self.real(j)[0] for p in self.elements(j)] for j in range(self.out)]
        return [picks(row[i] for row in places) for i in range(self.size)]


@dataclass(frozen=True)
class Windows:
    """The windows of a pool over x, a number or a pair for every axis.

    pads      before and after, what hangs over included
    hangs     whether something hangs over behind the padding that was asked for
    """

    spatial: tuple[Dim, ...]
    size: Sizes
    stride: Sizes
    dilation: Sizes
    asked: Pads
    pads: Pads

    @property
    def hangs(self) -> bool:
        return self.pads != self.asked

    @property
    def dilated(self) -> bool:
        return any(d > 1 and k > 1 for d, k in zip(self.dilation, self.size, strict=True))

    def along(self) -> list[Along]:
        """By axis. Raises TypeRuleError E0401 where a size is known only at run time."""
        made = out_sizes(self.spatial, reach(self.size, self.dilation), self.stride, self.pads)
        known = [demand_known(s) for s in self.spatial]
        axes = zip(known, self.size, self.stride, self.dilation, self.asked, made, strict=True)
        return [Along(n, k, s, d, lo, hi, demand_known(o)) for n, k, s, d, (lo, hi), o in axes]


def windows(
    name: str,
    x: TensorType,
    size: int | Sizes,
    stride: int | Sizes | None,
    pad: PadSetting,
    ceil: bool,
    dilation: int | Sizes,
) -> Windows:
    """The settings of a pool, written out for every axis. Raises TypeRuleError."""
    demand_spatial(name, x)
    axes = x.rank - 2
    window = per_axis("size", size, axes)
    strides = window if stride is None else per_axis("stride", stride, axes)
    gaps = per_axis("dilation", dilation, axes)
    reached = reach(window, gaps)
    asked = resolve_pad(pad, x.spatial, reached, strides, causal=False)
    pads = _hanging(x.spatial, reached, strides, asked) if ceil else asked
    return Windows(x.spatial, window, strides, gaps, asked, pads)


def _hanging(spatial: Sequence[Dim], reached: Sizes, stride: Sizes, pads: Pads) -> Pads:
    """The padding with which rounding down gives what rounding up gives without."""
    out_sizes(spatial, reached, stride, pads)
    made = []
    for size, r, s, (lo, hi) in zip(spatial, reached, stride, pads, strict=True):
        known = demand_known(size)
        out = -(-(known + lo + hi - r) // s) + 1
        if (out - 1) * s >= known + lo:
            out -= 1
        made.append((lo, max(hi, (out - 1) * s + r - known - lo)))
    return tuple(made)


def demand_known(size: Dim) -> int:
    """Raises TypeRuleError E0401 for a size that is known only at run time."""
    if isinstance(size, int):
        return size
    raise TypeRuleError(
        f"windows that hang over or have gaps need a known size, this one is {size}",
        code="E0401",
        operand=0,
        help="leave out `ceil` and `dilation`, or give the dimension a number in the input's type",
    )
