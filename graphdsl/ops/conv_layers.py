"""The convolution layers of the language. The rank of what flows in decides what they run over: time, space, volume."""

from __future__ import annotations

from typing import Annotated, Any

from graphdsl.ir import (
    Builder,
    Count,
    Dim,
    Flag,
    Init,
    NonNegative,
    Padding,
    Size,
    SizeDomain,
    TensorType,
    TypeRuleError,
    Value,
    Zeros,
    layer,
)
from graphdsl.ops.conv import Conv, ConvInputGradient, demand_groups
from graphdsl.ops.initializers import GlorotUniform, PerGroup
from graphdsl.ops.linear import add_bias
from graphdsl.ops.mask import mask_steps
from graphdsl.ops.window import Pads, PadSetting, Sizes, demand_spatial, per_axis, reach, reads_past_end, resolve_pad
from graphdsl.report import dataclass

GLOROT = GlorotUniform()
ZEROS = Zeros()
Margin = Annotated[int | tuple[int, ...], SizeDomain(0)]


@layer()
def conv(
    b: Builder,
    x: Value,
    filters: Count,
    size: Size,
    *,
    stride: Size = 1,
    pad: Padding = "valid",
    dilation: Size = 1,
    groups: Count = 1,
    bias: Flag = True,
    init: Init = GLOROT,
    bias_init: Init = ZEROS,
    l1: NonNegative = 0.0,
    l2: NonNegative = 0.0,
) -> Value:
    """Slides windows of weights over time or over a picture; each filter gives one feature of the result.

    x        [time, features], [height, width, channels] or, over volumes, [depth, height, width, channels]
    returns  [out(time), filters] or [out(height), out(width), filters], and so for volumes;
             out(s) = (s + padding - reach) // stride + 1, reach = (size - 1) * dilation + 1

    filters   how many results at every place
    size      of the window: `3` for the same on every axis, `1x7` for height 1 and width 7
    stride    how far the window moves
    pad       `valid`: none. `same`: zeros so that out = ceil(in / stride); of an odd number the larger half stands at
              the end (TensorFlow's rule). A number: as many zeros on both sides (PyTorch's). A list: so many before
              each axis, then behind each, `pad=[top, left, bottom, right]`. `causal`: over time, all zeros before, so
              that a result depends on nothing later
    dilation  how far apart the window's elements stand
    groups    channels and filters are cut into so many parts that see nothing of each other
    bias      whether every filter has a bias
    init, bias_init   how kernel and bias begin: glorot_uniform and zeros unless given
    l1, l2    the loss grows by l1 * sum |kernel| + l2 * sum kernel²

    The window is not flipped: what mathematics calls cross-correlation. Sequences of different lengths: steps behind a
    sequence's end count as zeros.

    Weights: kernel [size..., channels / groups, filters], bias [filters]; 3x3 over 3 channels: 28 parameters a filter.

    E0301  x is of none of these shapes; the window is larger than the padded input; groups do not divide
    E0401  the number of channels, or what `same` would pad with a stride, is known only at run time

    Source: LeCun et al. 1998; groups: Krizhevsky et al. 2012; dilation: Yu and Koltun 2016; causal: van den Oord et al.
    2016.
    """
    slide = _slide("conv", x.type, size, stride, pad, dilation)
    y = _convolve(b, x, filters, slide, groups, _Kernel("kernel", init, l1, l2))
    return add_bias(b, y, bias_init) if bias else y


@layer()
def depthwise_conv(
    b: Builder,
    x: Value,
    size: Size,
    *,
    stride: Size = 1,
    pad: Padding = "valid",
    dilation: Size = 1,
    multiplier: Count = 1,
    bias: Flag = True,
    init: Init = GLOROT,
    bias_init: Init = ZEROS,
    l1: NonNegative = 0.0,
    l2: NonNegative = 0.0,
) -> Value:
    """Slides windows over every channel by itself: a conv with as many groups as channels.

    x        [time, features] or [height, width, channels]
    returns  [out..., channels * multiplier]; results of channel c stand at c * multiplier and after

    multiplier  how many filters every channel has
    The other settings are those of `conv`.

    Weights: kernel [size..., 1, channels * multiplier], bias [channels * multiplier].

    E0301, E0401  as `conv`

    Source: Sifre 2014; Howard et al. 2017 (MobileNets).
    """
    channels = _known_channels("depthwise_conv", x.type)
    slide = _slide("depthwise_conv", x.type, size, stride, pad, dilation)
    y = _convolve(b, x, channels * multiplier, slide, channels, _Kernel("kernel", init, l1, l2))
    return add_bias(b, y, bias_init) if bias else y


@layer()
def separable_conv(
    b: Builder,
    x: Value,
    filters: Count,
    size: Size,
    *,
    stride: Size = 1,
    pad: Padding = "valid",
    dilation: Size = 1,
    multiplier: Count = 1,
    bias: Flag = True,
    init: Init = GLOROT,
    bias_init: Init = ZEROS,
    l1: NonNegative = 0.0,
    l2: NonNegative = 0.0,
) -> Value:
    """Looks at space and at channels one after the other: a depthwise conv, then a 1x1 conv that mixes the channels.

    x        [time, features] or [height, width, channels]
    returns  [out..., filters]

    The settings are those of `conv` and `depthwise_conv`; init, l1 and l2 hold for both kernels.

    Weights: depthwise_kernel [size..., 1, channels * multiplier], bias [filters],
    pointwise_kernel [1..., channels * multiplier, filters]. Nothing stands between the two, not even a bias (Keras').

    E0301, E0401  as `conv`

    Source: Chollet 2017 (Xception).
    """
    channels = _known_channels("separable_conv", x.type)
    slide = _slide("separable_conv", x.type, size, stride, pad, dilation)
    kernel = _Kernel("depthwise_kernel", init, l1, l2)
    y = _convolve(b, x, channels * multiplier, slide, channels, kernel)
    point = _slide("separable_conv", y.type, 1, 1, "valid", 1)
    y = _convolve(b, y, filters, point, 1, _Kernel("pointwise_kernel", init, l1, l2))
    return add_bias(b, y, bias_init) if bias else y


@layer()
def conv_transpose(
    b: Builder,
    x: Value,
    filters: Count,
    size: Size,
    *,
    stride: Size = 1,
    pad: Padding = "valid",
    output_pad: Margin = 0,
    dilation: Size = 1,
    groups: Count = 1,
    bias: Flag = True,
    init: Init = GLOROT,
    bias_init: Init = ZEROS,
    l1: NonNegative = 0.0,
    l2: NonNegative = 0.0,
) -> Value:
    """The gradient of a convolution, used forward: every number paints the window, scaled; what overlaps adds up.

    x        [time, features] or [height, width, channels]
    returns  [out..., filters]

    pad         `valid`: nothing is cut off, out = (in - 1) * stride + reach. `same`: out = in * stride.
                A number p: as many are cut off on both sides, out = (in - 1) * stride + reach - 2 p. A list: so many
                before each axis, then behind each
    output_pad  so many places more at the end, below the stride: chooses among the sizes that a strided conv would turn
                into this one; not with `same`
    The other settings are those of `conv`; reach = (size - 1) * dilation + 1.

    Weights: kernel [size..., filters / groups, channels], bias [filters]. The kernel is the one of the conv that goes
    the other way, so in and out stand exchanged.

    E0301  x has another shape, the padding cuts everything off, groups do not divide, output_pad or pad do not fit
    E0401  the number of channels is known only at run time

    Source: Zeiler et al. 2010; Dumoulin and Visin 2016 for the sizes.
    """
    demand_spatial("conv_transpose", x.type)
    axes = x.type.rank - 2
    window, strides = per_axis("size", size, axes), per_axis("stride", stride, axes)
    slide = _Slide(window, strides, (), per_axis("dilation", dilation, axes))
    sizes, pads = _transposed(x.type, slide, pad, per_axis("output_pad", output_pad, axes))
    demand_groups(x.type.channels, filters, groups)
    kernel = b.weight("kernel", (*window, filters // groups, x.type.channels), init, l1=l1, l2=l2)
    op = ConvInputGradient(strides, pads, slide.dilation, groups, sizes)
    y = b.emit(op, mask_steps(b, x), kernel, name="conv_transpose")
    return add_bias(b, y, bias_init) if bias else y


@dataclass(frozen=True)
class _Slide:
    """How a window of this size slides, every setting written out for every axis."""

    size: Sizes
    stride: Sizes
    pad: Pads
    dilation: Sizes


@dataclass(frozen=True)
class _Kernel:
    """Name, beginning and regularisation of a kernel."""

    name: str
    init: Any
    l1: float
    l2: float


def _slide(
    name: str,
    x: TensorType,
    size: int | Sizes,
    stride: int | Sizes,
    pad: PadSetting,
    dilation: int | Sizes,
) -> _Slide:
    demand_spatial(name, x)
    axes = x.rank - 2
    window, strides = per_axis("size", size, axes), per_axis("stride", stride, axes)
    dilations = per_axis("dilation", dilation, axes)
    pads = resolve_pad(pad, x.spatial, reach(window, dilations), strides)
    return _Slide(window, strides, pads, dilations)


def _convolve(b: Builder, x: Value, filters: int, slide: _Slide, groups: int, kernel: _Kernel) -> Value:
    demand_groups(x.type.channels, filters, groups)
    shape = (*slide.size, x.type.channels // groups, filters)
    init = PerGroup(kernel.init, groups) if groups > 1 else kernel.init
    weight = b.weight(kernel.name, shape, init, l1=kernel.l1, l2=kernel.l2)
    real = mask_steps(b, x) if reads_past_end(slide.pad) else x
    return b.emit(Conv(slide.stride, slide.pad, slide.dilation, groups), real, weight)


def _known_channels(name: str, x: TensorType) -> int:
    demand_spatial(name, x)
    if isinstance(x.channels, int):
        return x.channels
    raise TypeRuleError(
        f"{name} has weights for every channel, but how many there are, {x.channels}, is known only at run time",
        code="E0401",
        operand=0,
        help="give the last dimension a number in the input's type",
    )


def _transposed(x: TensorType, slide: _Slide, pad: PadSetting, extra: Sizes) -> tuple[tuple[Dim, ...], Pads]:
    """Result sizes and what is cut off, such that the conv of the same settings turns them back into those of x."""
    if any(extra) and (pad == "same" or any(e >= s for e, s in zip(extra, slide.stride, strict=True))):
        raise TypeRuleError(
            "output_pad must be below the stride, and pad=same leaves nothing to choose",
            attribute="output_pad",
            help="leave it out, or write the padding as a number",
        )
    reached = reach(slide.size, slide.dilation)
    if pad == "same":
        totals = [max(r - s, 0) for r, s in zip(reached, slide.stride, strict=True)]
        sizes = tuple(n * s for n, s in zip(x.spatial, slide.stride, strict=True))
        return sizes, tuple((t // 2, t - t // 2) for t in totals)
    pads = resolve_pad(pad, x.spatial, reached, slide.stride, causal=False)
    parts = zip(x.spatial, slide.stride, reached, pads, extra, strict=True)
    made = tuple((n - 1) * s + r - lo - hi + e for n, s, r, (lo, hi), e in parts)
    if any(isinstance(m, int) and m < 1 for m in made):
        raise TypeRuleError(f"pad {pad} cuts everything off: the result would be {made}", operand=0, attribute="pad")
    return made, pads
