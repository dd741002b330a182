"""The cells of the Neocognitron, which learn without a loss: the winners of a competition copy what they see.

An S-cell answers to a pattern. What is like the pattern excites it, and all there is to see inhibits it (a shunt: it
divides), so the answer is about the cosine between pattern and picture and 0 below a threshold. All cells of a plane
have one pattern. In training

    picture ── S-cells ── the strongest cell of each competition area ── the strongest of these in each plane: its seed
       └─────────────────── what the seeds see ───────────────────────────┘   is added to the plane's pattern

so a plane comes to answer to what it answered to already, and a new pattern, which no plane answers to, falls to one
that has not learned yet. The sum over seeds of what they see is a convolution's kernel gradient, with 1 at every seed
for the gradient: all this is made of operators that machines have already.

Source: Fukushima 1980, "Neocognitron"; C-cells as in Fukushima 1988. Weights within a window count alike here, where he
lets them fall off towards its edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar

import numpy as np

from graphdsl.ir import (
    BadSample,
    Builder,
    Count,
    Dim,
    ModalOperator,
    Padding,
    Positive,
    Sample,
    Size,
    TensorType,
    TypeRuleError,
    Value,
    Zeros,
    layer,
    operator,
)
from graphdsl.ops.aggregate import Max
from graphdsl.ops.avg_pool import AvgPool
from graphdsl.ops.conv import Conv, window_of
from graphdsl.ops.elementwise import formula
from graphdsl.ops.expression import equal, maximum, sqrt, where
from graphdsl.ops.initializers import Uniform
from graphdsl.ops.max_pool import GlobalMaxPool, MaxPool, PutWinners, demand_inside
from graphdsl.ops.reduce import sum_over
from graphdsl.ops.shape import reshape
from graphdsl.ops.window import Pads, PadSetting, Sizes, demand_spatial, numbers, out_sizes, per_axis, resolve_pad
from graphdsl.report import dataclass

FAINT = 0.01
"""How much of what there is to see excites a cell that has learned nothing, at most."""

TINY = 1e-12
"""Keeps the root differentiable where there is nothing to see."""


@operator("s_cells")
@dataclass(frozen=True)
class SCells(ModalOperator):
    """S-cells before it is decided whether they learn.

    x           [batch, in..., channels]
    excitatory  [window..., channels, planes]: the patterns
    inhibitory  [planes]: how strong each pattern is
    returns     [batch, out..., planes], at least 0

    selectivity  r: the answer is 0 where the cosine of pattern and picture is below r / (r + 1), once much was learned
    area         how far cells compete, None: all over the picture
    speed        how much of what a seed sees is added
    """

    selectivity: float
    area: Sizes | None
    speed: float
    pad: Pads
    learns: ClassVar[bool] = True

    def type(self, x: TensorType, excitatory: TensorType, inhibitory: TensorType) -> TensorType:  # type: ignore[override]
        made = self._slide().type(x, excitatory)
        if inhibitory.shape != made.shape[-1:]:
            raise TypeRuleError(f"every plane has one inhibitory weight, got {inhibitory}", operand=2)
        return made

    def training(self, b: Builder, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        """The answer; and seeds, which change the weights."""
        x, excitatory, inhibitory = inputs
        size = window_of(excitatory.type)
        answer, seen = self._answer(b, inputs)
        seeds = self._seeds(b, answer)
        share = self.speed / prod(excitatory.type.bind({})[:-1])
        copied = b.emit(self._slide().for_kernel(size), x, seeds)
        grown = formula(b, lambda w, c: w + share * c, b.latest(excitatory), copied, title="reinforce")
        b.update(excitatory, grown)
        felt = formula(b, lambda s, v: s * v, seeds, seen, title="felt")
        total = sum_over(b, felt, tuple(range(felt.type.rank - 1)))
        strength = formula(b, lambda w, t: w + self.speed * t, b.latest(inhibitory), total, title="reinforce")
        b.update(inhibitory, strength)
        return (answer,)

    def inference(self, b: Builder, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        return (self._answer(b, inputs)[0],)

    def _slide(self) -> Conv:
        ones = (1,) * len(self.pad)
        return Conv(ones, self.pad, ones, 1)

    def _answer(self, b: Builder, inputs: tuple[Value, ...]) -> tuple[Value, Value]:
        """What the cells answer, and the root mean square of what each place sees, [batch, out..., 1]."""
        x, excitatory, inhibitory = inputs
        excitation = b.emit(self._slide(), x, excitatory)
        squares = sum_over(b, formula(b, lambda v: v * v, x, title="square"), (x.type.rank - 1,), keep=True)
        ones = (1,) * len(self.pad)
        mean = b.emit(AvgPool(window_of(excitatory.type), ones, self.pad, True), squares)
        channels = int(excitatory.type.bind({})[-2])
        seen = formula(b, lambda s: sqrt(s / channels + TINY), mean, title="seen")
        r = self.selectivity
        answer = formula(
            b,
            lambda e, v, w: r * maximum((1 + e) / (1 + r / (1 + r) * w * v) - 1, 0),
            *(excitation, seen, inhibitory),
            title="s_cells",
        )
        return answer, seen

    def _seeds(self, b: Builder, answer: Value) -> Value:
        """1 at the seed of every plane and sample that has one, else 0.

        A seed answers more than all cells in its area, and more than all such in its plane; equal ones: the first.
        """
        batch, *spatial, planes = answer.type.shape
        top = b.emit(Max((answer.type.rank - 1,)), answer)
        if self.area is None:
            highest = b.emit(Max(tuple(range(1, answer.type.rank - 1))), top)
        else:
            around = tuple(((s - 1) // 2, s // 2) for s in self.area)
            highest, _ = b.emit_all(MaxPool(self.area, (1,) * len(self.area), around), top)
        winners = formula(b, lambda u, h: where(equal(u, h), u, 0), answer, highest, title="winners")
        places = prod(spatial, start=1)
        strongest, place = b.emit_all(GlobalMaxPool(), reshape(b, winners, (batch, places, planes)))
        chosen = formula(b, lambda u: where(u > 0, 1, 0), strongest, title="chosen")
        return reshape(b, b.emit(PutWinners(places), chosen, place), answer.type.shape)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        """In use: excitation, what there is to see, and the answer."""
        seen = 2 * inputs[0].count + prod(window_of(inputs[1])) * outputs[0].count // numbers(outputs[0].shape[-1:])[0]
        return self._slide().flops(inputs[:2], outputs) + seen + 7 * outputs[0].count

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = 1 + np.sin(1.7 * np.arange(100.0)).reshape(2, 5, 5, 2)
        patterns = 1 + np.cos(0.9 * np.arange(54.0)).reshape(3, 3, 2, 3)
        strength = np.linspace(10, 16, 3)
        padded = cls(1.5, (3, 3), 10.0, ((1, 1), (1, 1)))
        return [
            Sample(padded, (x, patterns, strength)),
            Sample(cls(0.5, None, 10.0, ((0, 0),)), (x[:, 0], patterns[0], strength)),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        op, x, patterns = cls(2.0, None, 1.0, ((0, 0),)), TensorType((2, 9, 3)), TensorType((4, 3, 5))
        return [
            BadSample(op, (x, patterns, TensorType((4,)))),
            BadSample(op, (x, TensorType((4, 2, 5)), TensorType((5,)))),
        ]


@layer()
def s_cells(
    b: Builder,
    x: Value,
    planes: Count,
    size: Size,
    *,
    selectivity: Positive = 2.0,
    area: Size | None = None,
    speed: Positive = 1000.0,
    pad: Padding = "valid",
) -> Value:
    """Planes of cells that each answer to a pattern, and learn it unasked: the Neocognitron's simple cells.

    x        [time, features] or [height, width, channels], numbers of at least 0
    returns  [out..., planes], numbers of at least 0; 1 is about what a known pattern is worth

    planes       how many patterns
    size         of the window
    selectivity  r: a cell keeps silent where the cosine of its pattern and what it sees is below r / (r + 1)
    area         in an area of this size one cell may learn; none: one cell of the whole picture
    speed        how much of what it sees a cell that wins adds to its pattern
    pad          as for `conv`

    In training the cell with the strongest answer of its area wins, whatever its plane; the strongest of a plane's
    winners adds what it sees to the plane's pattern, once for each sample. No loss is needed and no gradient: a train
    section may do without `loss`. One sample a step (`batch=1`) is Fukushima's way: in a larger batch all choose before
    any has learned, and like patterns fall to one plane. `freeze` stops it.

    Weights: excitatory [size..., channels, planes], which begins faint at random, and inhibitory [planes]; both change
    by this rule alone.

    E0301  x is of none of these shapes; the window is larger than the padded input
    E0401  a size of x is known only at run time

    Source: Fukushima 1980.
    """
    slide = _known("s_cells", x.type, size, pad)
    demand_inside(slide.size, slide.pad)
    compete = None if area is None else per_axis("area", area, x.type.rank - 2)
    shape = (*slide.size, slide.channels)
    excitatory = b.weight("excitatory", (*shape, planes), Uniform(0.0, FAINT / prod(shape)), trainable=False)
    inhibitory = b.weight("inhibitory", (planes,), Zeros(), trainable=False)
    return b.emit(SCells(selectivity, compete, speed, slide.pad), x, excitatory, inhibitory)


@layer()
def c_cells(
    b: Builder, x: Value, size: Size, *, stride: Size = 1, half: Positive = 0.25, pad: Padding = "same"
) -> Value:
    """A blurred view of S-cells, in which a pattern may shift a little: the Neocognitron's complex cells.

    x        [time, features] or [height, width, channels], numbers of at least 0
    returns  [out..., features]: mean / (half + mean) of each window, between 0 and 1

    size, stride, pad  of the window, as for `avg_pool`; padding counts as zeros
    half               the mean that gives 1/2

    E0301  x is of none of these shapes; the window is larger than the padded input
    E0401  a size of x is known only at run time

    Source: Fukushima 1988.
    """
    slide = _known("c_cells", x.type, size, pad, stride)
    mean = b.emit(AvgPool(slide.size, slide.stride, slide.pad, True), x)
    return formula(b, lambda m: maximum(m, 0) / (maximum(m, 0) + half), mean, title="c_cells")


@dataclass(frozen=True)
class _Slide:
    """How a window slides over so many channels, every setting written out for every axis."""

    size: Sizes
    stride: Sizes
    pad: Pads
    channels: int


def _known(name: str, x: TensorType, size: int | Sizes, pad: PadSetting, stride: int | Sizes = 1) -> _Slide:
    demand_spatial(name, x)
    if not all(isinstance(s, int) for s in x.shape[1:]):
        message = f"{name} looks at a whole picture, but a size of {x.describe()} is known only at run time"
        raise TypeRuleError(message, code="E0401", operand=0, help="give it a number in the input's type")
    *_, channels = numbers(x.shape[1:])
    axes = x.rank - 2
    window, strides = per_axis("size", size, axes), per_axis("stride", stride, axes)
    pads = resolve_pad(pad, x.spatial, window, strides)
    out_sizes(x.spatial, window, strides, pads)
    return _Slide(window, strides, pads, channels)
